package eventbus

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
)

var ordersBus = aws.String("Orders")

// matched returns the number of deliveries that one event causes.
func (a *runningService) matched(t *testing.T) int {
	t.Helper()
	before := len(afterKill(t, a.db))
	a.put(t, order("1"))
	return len(afterKill(t, a.db)) - before
}

func code(err error) string {
	var refusal smithy.APIError
	if errors.As(err, &refusal) {
		return refusal.ErrorCode()
	}
	return ""
}

func TestDisableAndEnable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	rule := ruleWith(map[string]any{"Name": "one", "Description": "all orders"})
	a := listen(t, path, rule)
	if _, err := a.client.DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: aws.String("one"), EventBusName: ordersBus}); err != nil {
		t.Fatal(err)
	}
	expect(t, "deliveries while disabled", a.matched(t), 0)
	a.Close()
	a.db.Close()

	a = listen(t, path, rule)
	out, err := a.client.DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: aws.String("one"), EventBusName: ordersBus})
	if err != nil || out.State != types.RuleStateDisabled || *out.EventPattern != `{"source":["orders"]}` || *out.Description != "all orders" ||
		*out.Arn != "arn:aws:events:eu-west-1:000000000000:rule/Orders/one" || *out.EventBusName != "Orders" {
		t.Errorf("in the next run: %+v, %v", out, err)
	}
	expect(t, "deliveries in the next run", a.matched(t), 0)
	if _, err := a.client.EnableRule(t.Context(), &eventbridge.EnableRuleInput{Name: aws.String("one"), EventBusName: ordersBus}); err != nil {
		t.Fatal(err)
	}
	expect(t, "deliveries", a.matched(t), 1)
	_, err = a.client.DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: aws.String("two"), EventBusName: ordersBus})
	expect(t, "code for a missing rule", code(err), "ResourceNotFoundException")
}

// A rule that was deleted, and put back from what was read before, works as before, in later runs too.
func TestDeleteAndPutBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	rule := ruleWith(map[string]any{"Name": "one", "Targets": []any{map[string]any{
		"Id": "T", "Arn": queueARN, "InputPath": "$.detail", "RetryPolicy": map[string]any{"MaximumRetryAttempts": "3"}, "DeadLetterConfig": map[string]any{"Arn": deadLetterARN},
	}}})
	a := listen(t, path, rule)
	name := aws.String("one")
	_, err := a.client.DeleteRule(t.Context(), &eventbridge.DeleteRuleInput{Name: name, EventBusName: ordersBus})
	expect(t, "code while it has targets", code(err), "ValidationException")
	targets, err := a.client.ListTargetsByRule(t.Context(), &eventbridge.ListTargetsByRuleInput{Rule: name, EventBusName: ordersBus})
	if err != nil || len(targets.Targets) != 1 || *targets.Targets[0].InputPath != "$.detail" || *targets.Targets[0].RetryPolicy.MaximumRetryAttempts != 3 ||
		*targets.Targets[0].DeadLetterConfig.Arn != deadLetterARN {
		t.Fatalf("targets %+v, %v", targets, err)
	}
	if _, err := a.client.RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: name, EventBusName: ordersBus, Ids: []string{"T"}}); err != nil {
		t.Fatal(err)
	}
	expect(t, "deliveries without targets", a.matched(t), 0)
	if _, err := a.client.DeleteRule(t.Context(), &eventbridge.DeleteRuleInput{Name: name, EventBusName: ordersBus}); err != nil {
		t.Fatal(err)
	}
	a.Close()
	a.db.Close()

	a = listen(t, path, rule)
	rules, err := a.client.ListRules(t.Context(), &eventbridge.ListRulesInput{EventBusName: ordersBus})
	if err != nil || len(rules.Rules) != 0 {
		t.Errorf("rules in the next run: %+v, %v", rules, err)
	}
	put, err := a.client.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: name, EventBusName: ordersBus, EventPattern: aws.String(`{"source":["orders"]}`)})
	if err != nil || !strings.HasSuffix(*put.RuleArn, ":rule/Orders/one") {
		t.Fatalf("%+v, %v", put, err)
	}
	if _, err := a.client.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: name, EventBusName: ordersBus, Targets: targets.Targets}); err != nil {
		t.Fatal(err)
	}
	expect(t, "deliveries", a.matched(t), 1)
	a.Close()
	a.db.Close()

	a = listen(t, path, rule)
	expect(t, "deliveries after another restart", a.matched(t), 1)
	rule["Description"] = "a new deployment"
	a.Close()
	a.db.Close()
	a = listen(t, path, rule)
	expect(t, "deliveries after a deployment", a.matched(t), 1)
}

func TestPutRuleRefused(t *testing.T) {
	a := listen(t, filepath.Join(t.TempDir(), "j.db"), ruleWith(map[string]any{"Name": "one"}))
	for name, in := range map[string]*eventbridge.PutRuleInput{
		"no pattern":        {Name: aws.String("x")},
		"broken pattern":    {Name: aws.String("x"), EventPattern: aws.String(`{"a":`)},
		"schedule on a bus": {Name: aws.String("x"), EventBusName: ordersBus, ScheduleExpression: aws.String("rate(1 minute)")},
		"no bus":            {Name: aws.String("x"), EventBusName: aws.String("Nope"), EventPattern: aws.String(`{"a":[1]}`)},
	} {
		if _, err := a.client.PutRule(t.Context(), in); code(err) == "" || code(err) == "InternalException" {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := a.client.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("one"), EventBusName: ordersBus, Targets: []types.Target{{Id: aws.String("a b"), Arn: aws.String(queueARN)}}})
	expect(t, "code for a bad target id", code(err), "ValidationException")
	bus, err := a.client.DescribeEventBus(t.Context(), &eventbridge.DescribeEventBusInput{Name: ordersBus})
	if err != nil || *bus.Arn != "arn:aws:events:eu-west-1:000000000000:event-bus/Orders" {
		t.Errorf("bus %+v, %v", bus, err)
	}
}
