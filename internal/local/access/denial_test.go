package access

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// What a notice says is missing can be pasted: it names resources as a template does, and lets a service in on behalf of
// one resource only.
func TestMissing(t *testing.T) {
	const (
		function = "arn:aws:lambda:eu-west-1:000000000000:function:Fn"
		rule     = "arn:aws:events:eu-west-1:000000000000:rule/Bus/Rule"
		here     = "arn:${AWS::Partition}:"
	)
	made := map[string]template.Attributes{
		"AWS::SQS::Queue Queue":      {GetAtt: map[string]string{"Arn": queueARN}},
		"AWS::Events::Rule Rule":     {GetAtt: map[string]string{"Arn": rule}},
		"AWS::Lambda::Function Fn":   {Ref: "Fn", GetAtt: map[string]string{"Arn": function}},
		"AWS::ApiGateway::RestApi A": {Ref: "abc"},
		"AWS::SSM::Parameter P":      {Ref: "/a/b"},
		"AWS::SSM::Parameter Q":      {Ref: "c"},
		"AWS::SNS::Topic T":          {Ref: "arn:aws:sns:eu-west-1:000000000000:t"},
	}
	a, _ := withStatements(t)
	for kindAndID, attributes := range made {
		kind, id, _ := strings.Cut(kindAndID, " ")
		a.noteNames(resource(kind, id, nil), attributes)
	}
	role := func(action, on string) *Denial {
		return a.check(session{role: caller, name: "fn"}, iam.Request{Action: action, Resource: on})
	}
	service := func(service, source, action, on string) *Denial {
		return a.checkService(service, source, iam.Request{Action: action, Resource: on})
	}
	statement := func(action, on string) string {
		return `{"Effect":"Allow","Action":"` + action + `","Resource":` + on + `}`
	}
	sub := func(text string) string { return `{"Fn::Sub":"` + text + `"}` }
	for name, c := range map[string]struct {
		denial *Denial
		want   string
	}{
		"a table":           {role("dynamodb:Query", tableARN), statement("dynamodb:Query", `{"Fn::GetAtt":["Orders","Arn"]}`)},
		"an index":          {role("dynamodb:Query", tableARN+"/index/I"), statement("dynamodb:Query", sub("${Orders.Arn}/index/I"))},
		"a topic":           {role("sns:Publish", "arn:aws:sns:eu-west-1:000000000000:t"), statement("sns:Publish", `{"Ref":"T"}`)},
		"a parameter":       {role("ssm:GetParameter", "arn:aws:ssm:eu-west-1:000000000000:parameter/a/b"), statement("ssm:GetParameter", sub(here+"ssm:${AWS::Region}:${AWS::AccountId}:parameter${P}"))},
		"one without slash": {role("ssm:GetParameter", "arn:aws:ssm:eu-west-1:000000000000:parameter/c"), statement("ssm:GetParameter", sub(here+"ssm:${AWS::Region}:${AWS::AccountId}:parameter/${Q}"))},
		"another parameter": {role("ssm:GetParameter", "arn:aws:ssm:eu-west-1:000000000000:parameter/x"), statement("ssm:GetParameter", sub(here+"ssm:${AWS::Region}:${AWS::AccountId}:parameter/x"))},
		"logs": {
			role("logs:PutLogEvents", "arn:aws:logs:eu-west-1:000000000000:log-group:/aws/lambda/Fn:log-stream:stream"),
			statement("logs:PutLogEvents", sub(here+"logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/lambda/${Fn}:*")),
		},
		"other logs": {
			role("logs:PutLogEvents", "arn:aws:logs:eu-west-1:000000000000:log-group:mine:log-stream:stream"),
			statement("logs:PutLogEvents", sub(here+"logs:${AWS::Region}:${AWS::AccountId}:log-group:mine:*")),
		},
		"everything": {role("xray:PutTraceSegments", "*"), statement("xray:PutTraceSegments", `"*"`)},
		"a rule to a queue": {
			service("events.amazonaws.com", rule, "sqs:SendMessage", queueARN),
			`{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":{"Fn::GetAtt":["Queue","Arn"]},"Condition":{"ArnEquals":{"aws:SourceArn":{"Fn::GetAtt":["Rule","Arn"]}}}}`,
		},
		"the API to a function": {
			service(apiGateway, "arn:aws:execute-api:eu-west-1:000000000000:abc/dev/GET/orders/{id}", invokeFunction, function),
			`{"Type":"AWS::Lambda::Permission","Properties":{"Action":"lambda:InvokeFunction","FunctionName":{"Fn::GetAtt":["Fn","Arn"]},"Principal":"apigateway.amazonaws.com","SourceArn":` +
				sub(here+"execute-api:${AWS::Region}:${AWS::AccountId}:${A}/dev/GET/orders/*") + `}}`,
		},
	} {
		if c.denial == nil {
			t.Errorf("%s: not denied", name)
			continue
		}
		if got := c.denial.Missing(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

// A developer sees one line of each thing to change, however many items are denied, and a run does not grow with them.
func TestDenialsOfOneKindAreOneNotice(t *testing.T) {
	a, notices := withStatements(t, `{"Sid":"NoOrders","Effect":"Deny","Action":"dynamodb:PutItem","Resource":"*"}`)
	var record bytes.Buffer
	a.record = newRecorder(&record)
	deny := func(action, on, key string) {
		a.check(session{role: caller, name: "fn"}, iam.Request{Action: action, Resource: on, Context: iam.Context{"dynamodb:leadingkeys": {key}}})
	}
	for _, key := range []string{"order#1", "order#2"} {
		deny("dynamodb:PutItem", tableARN, key)
		deny("dynamodb:GetItem", tableARN, key)
	}
	if len(*notices) != 2 || !strings.Contains((*notices)[0], "NoOrders") || !strings.Contains((*notices)[1], "dynamodb:GetItem") {
		t.Errorf("notices are %q, want one of each action", *notices)
	}
	for i := range maxKinds + 10 {
		deny("ssm:GetParameter", fmt.Sprint("arn:aws:ssm:eu-west-1:000000000000:parameter/", i), "")
	}
	if len(*notices) != maxKinds+1 || !strings.Contains((*notices)[maxKinds], "further notices are not printed") {
		t.Errorf("it printed %d notices, the last %q; want %d and one that says so", len(*notices), (*notices)[len(*notices)-1], maxKinds)
	}
	if lines := strings.Count(record.String(), "\n"); lines != maxKinds {
		t.Errorf("it recorded %d kinds, want %d", lines, maxKinds)
	}
}
