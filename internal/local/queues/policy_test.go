package queues

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const (
	queueARN = "arn:aws:sqs:eu-west-1:000000000000:Orders"
	ruleARN  = "arn:aws:events:eu-west-1:000000000000:rule/Bus/Rule"
	bus      = "events.amazonaws.com"
)

// letIn is what CDK writes for a rule's target.
const letIn = `{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage",
	"Resource":"` + queueARN + `","Condition":{"ArnEquals":{"aws:SourceArn":"` + ruleARN + `"}}}`

// enforceTLS is what CDK writes for enforceSSL.
const enforceTLS = `{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sqs:*","Resource":"` + queueARN + `",
	"Condition":{"Bool":{"aws:SecureTransport":"false"}}}`

func TestAllows(t *testing.T) {
	cases := map[string]struct {
		statements string
		want       bool
	}{
		"no statement":                     {``, false},
		"the rule":                         {letIn, true},
		"the rule, beside a TLS statement": {enforceTLS + "," + letIn, true},
		"another rule":                     {strings.ReplaceAll(letIn, "rule/Bus/Rule", "rule/Bus/Other"), false},
		"another service":                  {strings.ReplaceAll(letIn, bus, "sns.amazonaws.com"), false},
		"another queue":                    {strings.ReplaceAll(letIn, ":Orders", ":Other"), false},
		"another action":                   {strings.ReplaceAll(letIn, "sqs:SendMessage", "sqs:ReceiveMessage"), false},
		"an account is no service":         {strings.ReplaceAll(letIn, `"Service":"events.amazonaws.com"`, `"AWS":"000000000000"`), false},
		"everyone":                         {strings.ReplaceAll(letIn, `{"Service":"events.amazonaws.com"}`, `"*"`), true},
		"action in other case":             {strings.ReplaceAll(letIn, "sqs:SendMessage", "SQS:sendmessage"), true},
		"all actions":                      {strings.ReplaceAll(letIn, "sqs:SendMessage", "sqs:*"), true},
		"ARN wildcard":                     {strings.ReplaceAll(letIn, "rule/Bus/Rule", "rule/Bus/*"), true},
		"ARN wildcard does not reach over colons": {strings.ReplaceAll(letIn, ruleARN, "arn:aws:events:*"), false},
		"string with wildcard":                    {strings.ReplaceAll(strings.ReplaceAll(letIn, "ArnEquals", "StringLike"), ruleARN, "arn:aws:events:*"), true},
		"StringEquals knows no wildcard":          {strings.ReplaceAll(strings.ReplaceAll(letIn, "ArnEquals", "StringEquals"), "rule/Bus/Rule", "rule/Bus/*"), false},
		"account":                                 {strings.ReplaceAll(letIn, `"ArnEquals":{"aws:SourceArn":"`+ruleARN+`"}`, `"StringEquals":{"AWS:sourceaccount":["1","000000000000"]}`), true},
		"another account":                         {strings.ReplaceAll(letIn, `"ArnEquals":{"aws:SourceArn":"`+ruleARN+`"}`, `"StringEquals":{"aws:SourceAccount":"1"}`), false},
		"a key the request does not have":         {strings.ReplaceAll(letIn, "aws:SourceArn", "aws:PrincipalOrgID"), false},
		"every condition must hold":               {strings.ReplaceAll(letIn, `"Condition":{`, `"Condition":{"Bool":{"aws:SecureTransport":false},`), false},
		"a denial wins":                           {letIn + "," + strings.ReplaceAll(letIn, "Allow", "Deny"), false},
		"a denial of another rule does not":       {letIn + "," + strings.ReplaceAll(strings.ReplaceAll(letIn, "Allow", "Deny"), "Bus/Rule", "Bus/Other"), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := withPolicy(t, `[`+c.statements+`]`)
			if got := s.Allows(queueARN, bus, ruleARN); got != c.want {
				t.Errorf("allowed: %t, want %t", got, c.want)
			}
		})
	}
}

func TestAllowsSingleStatement(t *testing.T) {
	if !withPolicy(t, letIn).Allows(queueARN, bus, ruleARN) {
		t.Error("a statement without a list is not read")
	}
}

func TestNoPolicyLetsNobodyIn(t *testing.T) {
	s := withPolicy(t, `[`+letIn+`]`)
	if s.Allows(queueARN+"2", bus, ruleARN) {
		t.Error("a queue without a policy let a service in")
	}
}

func TestPolicyRefused(t *testing.T) {
	cases := map[string]struct{ statements, names string }{
		"unknown operator": {`[` + strings.ReplaceAll(letIn, "ArnEquals", "ArnNotEquals") + `]`, "ArnNotEquals"},
		"NotPrincipal":     {`[` + strings.ReplaceAll(letIn, `"Principal"`, `"NotPrincipal"`) + `]`, "NotPrincipal"},
		"effect":           {`[` + strings.ReplaceAll(letIn, `"Allow"`, `"Permit"`) + `]`, "Permit"},
		"principal":        {`[` + strings.ReplaceAll(letIn, `{"Service":"events.amazonaws.com"}`, `"events"`) + `]`, "events"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if err := provision(service(), c.statements); err == nil || !strings.Contains(err.Error(), c.names) {
				t.Errorf("error %v, want one that names %s", err, c.names)
			}
		})
	}
}

func TestSecondPolicyRefused(t *testing.T) {
	s := withPolicy(t, letIn)
	if err := provision(s, letIn); err == nil || !strings.Contains(err.Error(), "Orders") {
		t.Errorf("error %v, want one that names the queue", err)
	}
}

func TestGlob(t *testing.T) {
	cases := []struct {
		pattern, value string
		want           bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"a", "a", true},
		{"a", "A", false},
		{"*", "", true},
		{"*", "abc", true},
		{"**", "abc", true},
		{"a*", "abc", true},
		{"*c", "abc", true},
		{"a*c", "ac", true},
		{"a*b*c", "axbxbxc", true},
		{"a*b*c", "axc", false},
		{"*ab", "aab", true},
		{"*a?", "aab", true},
		{"a*", "ba", false},
		{"?", "a", true},
		{"?", "", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"abc?*", "abc", false},
	}
	for _, c := range cases {
		if got := glob(c.pattern, c.value); got != c.want {
			t.Errorf("%q matches %q: %t, want %t", c.pattern, c.value, got, c.want)
		}
	}
}

func service() *Service {
	return &Service{cloud: cloud.New("eu-west-1"), policies: map[string]policy{}}
}

func withPolicy(t *testing.T, statements string) *Service {
	t.Helper()
	s := service()
	if err := provision(s, statements); err != nil {
		t.Fatal(err)
	}
	return s
}

func provision(s *Service, statements string) error {
	var document any
	if err := json.Unmarshal([]byte(`{"Version":"2012-10-17","Statement":`+statements+`}`), &document); err != nil {
		return err
	}
	_, err := s.provisionPolicy(context.Background(), template.Resource{
		LogicalID: "Policy",
		Properties: map[string]any{
			"PolicyDocument": document,
			"Queues":         []any{"http://127.0.0.1:1/000000000000/Orders"},
		},
	})
	return err
}
