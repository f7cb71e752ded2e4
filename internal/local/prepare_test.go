package local

import (
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
)

// missingStack has, beside two mistakes of its mapping and its role, a pipe and a mapping of a stream that name what is not
// in the stack.
const missingStack = `{"Resources": {
  "Role": {"Type": "AWS::IAM::Role", "Properties": {
    "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": ["pipes.amazonaws.com", "lambda.amazonaws.com"]}}]},
    "Policies": [{"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["dynamodb:*", "events:*"], "Resource": "*"}]}}]}},
  "Pipe": {"Type": "AWS::Pipes::Pipe", "Properties": {
    "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}, "DesiredState": "STOPPED",
    "Source": "arn:aws:dynamodb:eu-west-1:000000000000:table/Elsewhere/stream/2026-11-23T15:32:59.825",
    "SourceParameters": {"DynamoDBStreamParameters": {"StartingPosition": "LATEST", "DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-west-1:000000000000:Letters"}}},
    "Target": "arn:aws:events:eu-west-1:000000000000:event-bus/Elsewhere"}},
  "Bridge": {"Type": "AWS::Pipes::Pipe", "Properties": {
    "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
    "Source": "arn:aws:dynamodb:eu-west-1:000000000000:table/Elsewhere/stream/2026-11-23T15:32:59.825",
    "SourceParameters": {"DynamoDBStreamParameters": {"StartingPosition": "LATEST"}},
    "Target": "arn:aws:sqs:eu-west-1:000000000000:Target"}},
  "Mapping": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"FunctionName": "nobody", "EventSourceArn": "arn:aws:sqs:eu-west-1:000000000000:Letters"}}
}}`

// "Ready" is not printed while something that the stack needs is missing, and the error names all of it: what the parts
// found, in their order.
func TestNotReadyWhileSomethingIsMissing(t *testing.T) {
	app := t.TempDir()
	writeApp(t, app, missingStack)
	out := &recorder{ready: make(chan console.Summary, 1)}
	err := Run(t.Context(), Options{App: app}, out)
	if err == nil {
		t.Fatal("the run ended without an error")
	}
	rest := err.Error()
	for _, want := range []string{
		"Pipe: the role Role may not sqs:SendMessage", // of the policies
		"pipe Pipe: Source must name a stream that exists, got arn:aws:dynamodb:eu-west-1:000000000000:table/Elsewhere/stream/2026-11-23T15:32:59.825: put the table into a stack",
		"pipe Pipe: Target must name an event bus that exists",
		"pipe Pipe: DeadLetterConfig.Arn must name a queue that exists",
		"pipe Bridge: Source must name a stream",
		"pipe Bridge: Target must name a queue that exists, got arn:aws:sqs:eu-west-1:000000000000:Target: run the stack with the queue too (--stack), or let an empty one stand in for it (--stand-in queue=Target)",
		"event source mapping Mapping: FunctionName must be a function of the stack",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Errorf("the error does not say %q, or not in its place:\n%v", want, err)
			continue
		}
		rest = after
	}
	select {
	case <-out.ready:
		t.Error("it said Ready")
	default:
	}
}
