package access

import (
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const functionARN = "arn:aws:lambda:eu-west-1:000000000000:function:Fn"

// roleTrusting returns an Authority with a role that trusts a service, under a condition on its source, and has the statements.
func roleTrusting(t *testing.T, service, source string, statements ...string) (*Authority, *[]string) {
	t.Helper()
	a, notices := withStatements(t)
	trust := policyDocument(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"` + service + `"},"Condition":{"ArnLike":{"aws:SourceArn":"` + source + `"}}}`)
	_, err := a.Observe(a.Provisions())["AWS::IAM::Role"](t.Context(), resource("AWS::IAM::Role", "Sender", map[string]any{
		"RoleName": "Sender", "AssumeRolePolicyDocument": trust,
		"Policies": []any{map[string]any{"PolicyName": "P", "PolicyDocument": policyDocument(statements...)}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	return a, notices
}

const (
	sender   = "arn:aws:iam::000000000000:role/Sender"
	ruleARN  = "arn:aws:events:eu-west-1:000000000000:rule/Rule"
	groupARN = "arn:aws:scheduler:eu-west-1:000000000000:schedule-group/default"
)

func TestRoleAllows(t *testing.T) {
	for name, c := range map[string]struct {
		service, source, trusted string
		statement                string
		target                   string
		want                     bool
	}{
		"queue":           {"events.amazonaws.com", ruleARN, ruleARN, allow("sqs:SendMessage", queueARN, ""), queueARN, true},
		"function":        {"events.amazonaws.com", ruleARN, ruleARN, allow("lambda:InvokeFunction", functionARN, ""), functionARN, true},
		"bus":             {"events.amazonaws.com", ruleARN, ruleARN, allow("events:PutEvents", busARN, ""), busARN, true},
		"schedule":        {"scheduler.amazonaws.com", groupARN, groupARN, allow("sqs:SendMessage", "*", ""), queueARN, true},
		"other action":    {"events.amazonaws.com", ruleARN, ruleARN, allow("sqs:ReceiveMessage", queueARN, ""), queueARN, false},
		"other target":    {"events.amazonaws.com", ruleARN, ruleARN, allow("sqs:SendMessage", queueARN+"2", ""), queueARN, false},
		"of another rule": {"events.amazonaws.com", ruleARN, ruleARN + "2", allow("sqs:SendMessage", queueARN, ""), queueARN, false},
	} {
		t.Run(name, func(t *testing.T) {
			a, notices := roleTrusting(t, c.service, c.trusted, c.statement)
			if got := a.RoleAllows(sender, c.service, c.source, c.target); got != c.want || c.want == (len(*notices) > 0) {
				t.Errorf("%v, want %v; notices %q", got, c.want, *notices)
			}
			if a.RoleAllows(sender, "sqs.amazonaws.com", c.source, c.target) {
				t.Error("another service may assume the role")
			}
		})
	}
}

// What a pipe from a queue, a rule's target and a schedule need of their roles is named before the start is complete: an
// error where AWS refuses the resource, a notice where it would lose events.
func TestWhatSendersNeed(t *testing.T) {
	a, notices := roleTrusting(t, "x.amazonaws.com", "*")
	made := func(arn string) template.Attributes {
		return template.Attributes{GetAtt: map[string]string{"Arn": arn}}
	}
	for _, err := range []error{
		a.note(resource("AWS::Pipes::Pipe", "Pipe", map[string]any{
			"RoleArn": sender, "Source": queueARN, "Enrichment": functionARN, "Target": functionARN + "2",
		}), made("arn:aws:pipes:eu-west-1:000000000000:pipe/Pipe")),
		a.note(resource("AWS::Events::Rule", "Rule", map[string]any{"Targets": []any{map[string]any{"Arn": busARN, "RoleArn": sender}}}), made(ruleARN)),
		a.note(resource("AWS::Events::Rule", "Bare", map[string]any{"Targets": []any{map[string]any{"Arn": busARN}}}), made(ruleARN)),
		a.note(resource("AWS::Scheduler::Schedule", "Timer", map[string]any{"Target": map[string]any{
			"Arn": functionARN, "RoleArn": sender, "DeadLetterConfig": map[string]any{"Arn": queueARN},
		}}), made("arn:aws:scheduler:eu-west-1:000000000000:schedule/default/Timer")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	err := a.Prepare(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	said := err.Error() + "\n" + strings.Join(*notices, "\n")
	for _, want := range []string{
		"Pipe: the role Sender may not sqs:ReceiveMessage", "Pipe: the role Sender may not sqs:DeleteMessage", "Pipe: the role Sender may not sqs:GetQueueAttributes",
		"Pipe: the role Sender may not lambda:InvokeFunction on " + functionARN, "lambda:InvokeFunction on " + functionARN + "2",
		"Rule: the role Sender cannot be assumed by events.amazonaws.com", "Timer: the role Sender cannot be assumed by scheduler.amazonaws.com",
		"IAM: Rule loses events on AWS: Sender may not events:PutEvents", "IAM: Bare will lose events: events.amazonaws.com may not events:PutEvents",
		"IAM: Timer loses events on AWS: Sender may not lambda:InvokeFunction", "IAM: Timer loses events on AWS: Sender may not sqs:SendMessage",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("nothing says %q:\n%s", want, said)
		}
	}
}
