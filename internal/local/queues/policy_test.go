package queues

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const (
	queueARN = "arn:aws:sqs:eu-west-1:000000000000:Orders"
	ruleARN  = "arn:aws:events:eu-west-1:000000000000:rule/Bus/Rule"
	bus      = "events.amazonaws.com"
)

// allowRule is the statement that CDK writes for a rule's target.
const allowRule = `{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage",
	"Resource":"` + queueARN + `","Condition":{"ArnEquals":{"aws:SourceArn":"` + ruleARN + `"}}}`

// enforceTLS is the statement that CDK writes for enforceSSL.
const enforceTLS = `{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sqs:*","Resource":"` + queueARN + `",
	"Condition":{"Bool":{"aws:SecureTransport":"false"}}}`

func TestAllows(t *testing.T) {
	cases := map[string]struct {
		statements string
		want       bool
	}{
		"no statement":                     {``, false},
		"the rule":                         {allowRule, true},
		"the rule, beside a TLS statement": {enforceTLS + "," + allowRule, true},
		"another rule":                     {strings.ReplaceAll(allowRule, "rule/Bus/Rule", "rule/Bus/Other"), false},
		"another service":                  {strings.ReplaceAll(allowRule, bus, "sns.amazonaws.com"), false},
		"another queue":                    {strings.ReplaceAll(allowRule, ":Orders", ":Other"), false},
		"another action":                   {strings.ReplaceAll(allowRule, "sqs:SendMessage", "sqs:ReceiveMessage"), false},
		"an account is no service":         {strings.ReplaceAll(allowRule, `"Service":"events.amazonaws.com"`, `"AWS":"000000000000"`), false},
		"everyone":                         {strings.ReplaceAll(allowRule, `{"Service":"events.amazonaws.com"}`, `"*"`), true},
		"action in other case":             {strings.ReplaceAll(allowRule, "sqs:SendMessage", "SQS:sendmessage"), true},
		"all actions":                      {strings.ReplaceAll(allowRule, "sqs:SendMessage", "sqs:*"), true},
		"ARN wildcard":                     {strings.ReplaceAll(allowRule, "rule/Bus/Rule", "rule/Bus/*"), true},
		"ARN wildcard does not reach over colons": {strings.ReplaceAll(allowRule, ruleARN, "arn:aws:events:*"), false},
		"string with wildcard":                    {strings.ReplaceAll(strings.ReplaceAll(allowRule, "ArnEquals", "StringLike"), ruleARN, "arn:aws:events:*"), true},
		"StringEquals knows no wildcard":          {strings.ReplaceAll(strings.ReplaceAll(allowRule, "ArnEquals", "StringEquals"), "rule/Bus/Rule", "rule/Bus/*"), false},
		"account":                                 {strings.ReplaceAll(allowRule, `"ArnEquals":{"aws:SourceArn":"`+ruleARN+`"}`, `"StringEquals":{"AWS:sourceaccount":["1","000000000000"]}`), true},
		"another account":                         {strings.ReplaceAll(allowRule, `"ArnEquals":{"aws:SourceArn":"`+ruleARN+`"}`, `"StringEquals":{"aws:SourceAccount":"1"}`), false},
		"a key the request does not have":         {strings.ReplaceAll(allowRule, "aws:SourceArn", "aws:PrincipalOrgID"), false},
		"every condition must hold":               {strings.ReplaceAll(allowRule, `"Condition":{`, `"Condition":{"Bool":{"aws:SecureTransport":false},`), false},
		"a denial wins":                           {allowRule + "," + strings.ReplaceAll(allowRule, "Allow", "Deny"), false},
		"a denial of another rule does not":       {allowRule + "," + strings.ReplaceAll(strings.ReplaceAll(allowRule, "Allow", "Deny"), "Bus/Rule", "Bus/Other"), true},
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
	if !withPolicy(t, allowRule).Allows(queueARN, bus, ruleARN) {
		t.Error("a statement without a list is not read")
	}
}

func TestNoPolicyAllowsNobody(t *testing.T) {
	s := withPolicy(t, `[`+allowRule+`]`)
	if s.Allows(queueARN+"2", bus, ruleARN) {
		t.Error("a queue without a policy allowed a service")
	}
}

func TestPolicyRefused(t *testing.T) {
	cases := map[string]struct{ statements, names string }{
		"unknown operator": {`[` + strings.ReplaceAll(allowRule, "ArnEquals", "ArnMatches") + `]`, "ArnMatches"},
		"NotPrincipal":     {`[` + strings.ReplaceAll(allowRule, `"Principal"`, `"NotPrincipal"`) + `]`, "NotPrincipal"},
		"effect":           {`[` + strings.ReplaceAll(allowRule, `"Allow"`, `"Permit"`) + `]`, "Permit"},
		"principal":        {`[` + strings.ReplaceAll(allowRule, `{"Service":"events.amazonaws.com"}`, `"events"`) + `]`, "events"},
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
	s := withPolicy(t, allowRule)
	if err := provision(s, allowRule); err == nil || !strings.Contains(err.Error(), "Orders") {
		t.Errorf("error %v, want one that names the queue", err)
	}
}

func service() *Service {
	return &Service{cloud: cloud.New("eu-west-1"), policies: map[string]*iam.Policy{}}
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
