// Package control answers for the AWS services that have no endpoint of their own in the local run: what the command
// outbox and the functions ask of CloudFormation, Systems Manager, Lambda, Pipes, CloudWatch, SNS and STS, each in the
// protocol that the SDKs speak. AWS_ENDPOINT_URL leads there.
//
// It passes requests to DynamoDB, SQS and EventBridge on to their own endpoints. It refuses every other one, in the answer
// and on the console, by the names of the service and the operation: nothing is sent to AWS, and nothing looks as if it
// had worked.
//
// A request must be signed, as every SDK does. The signature is not checked; a page in a browser cannot send one (see the
// package guard). The key in it says who calls: what a role of the template asks for is evaluated by [Config.Guard] before
// it comes here, and a denial is answered in the protocol of the call.
package control
