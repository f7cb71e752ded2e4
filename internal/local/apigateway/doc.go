// Package apigateway serves the REST API of a synthesized stack over HTTP, as Amazon API Gateway does:
// the resource tree and stages, request validators and models, mapping templates in both directions,
// selection patterns, overrides, gateway responses, and the integrations AWS (DynamoDB), AWS_PROXY
// (Lambda) and MOCK. An API may also be declared by a Body of OpenAPI 3.0 or Swagger 2.0, and have custom domain names.
//
//	api, err := apigateway.New(ctx, apigateway.Config{Cloud: c, Port: 4510, Invoke: functions.Invoke, Sink: sink})
//	// provision the stack with api.Provisions(), then:
//	go api.Run(ctx)
//	http.Post(api.URL()+"orders", "application/json", body)
//
// Mapping templates run in a child process of Node.js: velocityjs parses them, and the modules in vtl/
// run them with Velocity's and Java's semantics. A template that does not parse, an integration that is
// not supported, a response mapping that API Gateway would refuse at deployment: each is an error when
// the resource is provisioned.
//
// # What differs from API Gateway
//
//   - Callers of methods with IAM authorization are authorized where [Config.AuthorizeCaller] is set, which
//     is what --auth does; a method with an authorizer is then refused. Without it everybody is let in. Events
//     have no authorizer either way, and identity says nothing about the caller.
//   - API keys are checked where callers are authorized; usage plans count nothing. Throttling, caching, access logs, binary media types and CORS settings outside methods
//     have no effect. Exactly one RestApi a stack is supported.
//   - A custom domain is served below its name on the API's port, since nothing resolves it here: its paths are
//     http://127.0.0.1:4510/api.example.com/<base path>/.
//   - Of a Body, what its schemas say is validated, as in models that are declared outside of one. API Gateway's import
//     leaves out some keywords, such as minItems.
//   - A deployment is not a snapshot: every stage serves the methods that the template has.
//   - There is no CloudFront in front: its headers are missing, and it respells none.
//   - Two settings that AWS leaves undocumented follow what users report: a reference to nothing is the
//     empty string, and the empty string holds in #if. Write #if($x != "") and both readings agree.
//   - $input.json keeps the meaning of JSON, not its spelling: API Gateway may write "\/" for "/".
//   - A method that Java has and the local run lacks is an error that names it, as are JSONPath filters
//     and slices, and regular expressions that JavaScript reads otherwise. "\\" as an argument needs
//     single quotes ('\\'): velocityjs misreads it in double ones.
//   - A superfluous #end is ignored, and not refused.
//   - The texts of $context.error.validationErrorString follow API Gateway's validator, but no document
//     lists them, nor says whether quotes in them are escaped: here they are not. The text of the 400 for a
//     body that begins like JSON and is none is our own.
//   - A remapped Date or Server keeps its value: what API Gateway overwrites it with is documented nowhere.
//   - An integer is what JSON Schema draft 4 says: neither 1.0 nor 1e1. API Gateway may be more generous.
package apigateway
