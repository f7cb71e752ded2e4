// Package functionurl serves the URLs of functions (AWS::Lambda::Url): each on a port of its own, as each has a domain of its
// own on AWS, so that links of a page that begin with a slash lead to the same function.
//
//	urls := functionurl.New(functionurl.Config{Cloud: c, Port: 4520, Exists: exists, Invoke: functions.Invoke, Sink: sink})
//	// provision the stack with urls.Provisions(), then:
//	go urls.Run(ctx)
//
// A request becomes an event of the payload format 2.0, and the function's answer is read as Lambda reads it: one without
// statusCode is the body. With a configuration of CORS the URL answers preflights itself.
//
// # What differs from Lambda
//
//   - Callers of a URL with the type AWS_IAM are authorized where [Config.AuthorizeCaller] is set, which is what --auth does.
//     Without it everybody is let in. Events have no authorizer either way.
//   - Pages of other sites are refused, whatever CORS allows: the URL serves the developer's machine.
//   - Answers are not streamed.
//   - No page of AWS lists which types of bodies are text and not base64: here they are those of text, JSON, XML and
//     JavaScript. Nor is it said what happens to a Cookie header: here it is in cookies only.
package functionurl
