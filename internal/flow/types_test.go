package flow_test

import (
	"slices"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/flow"
)

// TestTypes: each type of a local run through which events move is in the flow, with what it hands on to and what fails.
func TestTypes(t *testing.T) {
	const (
		queues    = `"Q":{"Type":"AWS::SQS::Queue"},"D":{"Type":"AWS::SQS::Queue"}`
		topic     = `"T":{"Type":"AWS::SNS::Topic"}`
		functions = `"F":{"Type":"AWS::Lambda::Function"},"G":{"Type":"AWS::Lambda::Function"}`
		table     = `"Table":{"Type":"AWS::DynamoDB::Table"}`
		stream    = `{"Fn::GetAtt":["Table","StreamArn"]}`
		failed    = `{"OnFailure":{"Destination":{"Fn::GetAtt":["D","Arn"]}}}`
	)
	for name, c := range map[string]struct {
		resources string
		want      []string
	}{
		"a subscription with a dead-letter queue": {
			queues + "," + topic + `,"S":{"Type":"AWS::SNS::Subscription","Properties":{"TopicArn":{"Ref":"T"},"Protocol":"sqs","Endpoint":{"Fn::GetAtt":["Q","Arn"]},"RedrivePolicy":{"deadLetterTargetArn":{"Fn::GetAtt":["D","Arn"]}}}}`,
			[]string{"T → Q", "T ⇢ D"},
		},
		"a schedule": {
			queues + "," + functions + `,"S":{"Type":"AWS::Scheduler::Schedule","Properties":{"ScheduleExpression":"rate(1 hour)","Target":{"Arn":{"Fn::GetAtt":["F","Arn"]},"DeadLetterConfig":{"Arn":{"Fn::GetAtt":["D","Arn"]}}}}}`,
			[]string{"S → F", "S ⇢ D"},
		},
		"the URL of a function": {
			functions + `,"U":{"Type":"AWS::Lambda::Url","Properties":{"TargetFunctionArn":{"Fn::GetAtt":["F","Arn"]}}}`,
			[]string{"U → F"},
		},
		"a pipe with an enrichment": {
			queues + "," + functions + "," + table + `,"P":{"Type":"AWS::Pipes::Pipe","Properties":{"Source":` + stream + `,"Enrichment":{"Fn::GetAtt":["F","Arn"]},"Target":{"Fn::GetAtt":["Q","Arn"]}}}`,
			[]string{"P → F", "P → Q", "Table → P"},
		},
		"a stream's mapping to an alias": {
			queues + "," + functions + "," + table + `,"V":{"Type":"AWS::Lambda::Version","Properties":{"FunctionName":{"Ref":"F"}}},"A":{"Type":"AWS::Lambda::Alias","Properties":{"FunctionName":{"Ref":"F"},"FunctionVersion":{"Fn::GetAtt":["V","Version"]}}},` +
				`"M":{"Type":"AWS::Lambda::EventSourceMapping","Properties":{"EventSourceArn":` + stream + `,"FunctionName":{"Ref":"A"},"DestinationConfig":` + failed + `}}`,
			[]string{"F ⇢ D", "Table → F"},
		},
		"asynchronous invocations": {
			queues + "," + functions + `,"C":{"Type":"AWS::Lambda::EventInvokeConfig","Properties":{"FunctionName":{"Ref":"F"},"DestinationConfig":{"OnSuccess":{"Destination":{"Fn::GetAtt":["G","Arn"]}},"OnFailure":{"Destination":{"Fn::GetAtt":["D","Arn"]}}}}}`,
			[]string{"F → G", "F ⇢ D"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := read(t, c.resources)
			if got := text(g); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			checkLayout(t, g, g.Wide())
			checkLayout(t, g, g.Narrow())
		})
	}
}

// TestATopicStaysOne also where it is told of what could not be handled: nothing waits there to be redriven.
func TestATopicStaysOne(t *testing.T) {
	g := read(t, `"T":{"Type":"AWS::SNS::Topic"},"F":{"Type":"AWS::Lambda::Function","Properties":{"DeadLetterConfig":{"TargetArn":{"Ref":"T"}}}}`)
	if n, _ := g.Node("T"); n.Kind != flow.Topic {
		t.Errorf("it is %q, want a topic", n.Kind)
	}
}

// TestEnrichment is told apart from the target of a pipe.
func TestEnrichment(t *testing.T) {
	g := read(t, `"Q":{"Type":"AWS::SQS::Queue"},"F":{"Type":"AWS::Lambda::Function"},"G":{"Type":"AWS::Lambda::Function"},`+
		`"P":{"Type":"AWS::Pipes::Pipe","Properties":{"Source":{"Fn::GetAtt":["Q","Arn"]},"Enrichment":{"Fn::GetAtt":["F","Arn"]},"Target":{"Fn::GetAtt":["G","Arn"]}}}`)
	if !g.Enriches("P", "F") || g.Enriches("P", "G") {
		t.Errorf("P → F enriches: %v, P → G: %v", g.Enriches("P", "F"), g.Enriches("P", "G"))
	}
}
