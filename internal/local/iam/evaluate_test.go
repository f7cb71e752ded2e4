package iam

import (
	"strings"
	"testing"
)

const (
	account = "123456789012"
	role    = "arn:aws:iam::123456789012:role/Shirley"
	session = "arn:aws:sts::123456789012:assumed-role/Shirley/fn"
	queue   = "arn:aws:sqs:us-east-1:123456789012:Orders"
)

var caller = Principal{Session: session, Role: role, Account: account}

// allow and deny return a statement for the action and resource, with more elements where given.
func allow(action, resource string, more ...string) string {
	return statement("Allow", action, resource, more...)
}

func deny(action, resource string, more ...string) string {
	return statement("Deny", action, resource, more...)
}

func statement(effect, action, resource string, more ...string) string {
	s := `{"Effect":"` + effect + `","Action":"` + action + `","Resource":"` + resource + `"`
	for _, element := range more {
		s += "," + element
	}
	return s + "}"
}

func policy(t *testing.T, kind Kind, statements ...string) *Policy {
	t.Helper()
	p, err := Parse(kind, []byte(`{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// optional returns the policy of the statements, or nil when there is none.
func optional(t *testing.T, kind Kind, statements []string) *Policy {
	t.Helper()
	if statements == nil {
		return nil
	}
	return policy(t, kind, statements...)
}

const (
	send       = "sqs:SendMessage"
	toRoleARN  = `"Principal":{"AWS":"` + role + `"}`
	toSessARN  = `"Principal":{"AWS":"` + session + `"}`
	toRoot     = `"Principal":{"AWS":"arn:aws:iam::123456789012:root"}`
	toEveryone = `"Principal":"*"`
)

// The cases of one account. Source: IAM user guide, reference_policies_evaluation-logic_policy-eval-denyallow and
// access_policies_boundaries, "Evaluating effective permissions with boundaries".
func TestPolicyTypesTogether(t *testing.T) {
	type list = []string
	cases := map[string]struct {
		identity, boundary, resource list
		want                         bool
		denier                       string
	}{
		"nothing allows":                                 {nil, nil, nil, false, identityBased},
		"identity allows":                                {list{allow(send, queue)}, nil, nil, true, ""},
		"resource allows the role":                       {nil, nil, list{allow(send, queue, toRoleARN)}, true, ""},
		"resource allows the session":                    {nil, nil, list{allow(send, queue, toSessARN)}, true, ""},
		"resource allows everyone":                       {nil, nil, list{allow(send, queue, toEveryone)}, true, ""},
		"resource allows the account, which does not":    {nil, nil, list{allow(send, queue, toRoot)}, false, identityBased},
		"resource and identity allow":                    {list{allow(send, queue)}, nil, list{allow(send, queue, toRoot)}, true, ""},
		"identity denies what identity allows":           {list{allow(send, queue), deny(send, queue)}, nil, nil, false, identityBased},
		"identity denies what the resource allows":       {list{deny(send, queue)}, nil, list{allow(send, queue, toSessARN)}, false, identityBased},
		"resource denies what identity allows":           {list{allow(send, queue)}, nil, list{deny(send, queue, toEveryone)}, false, resourceBased},
		"resource denies the account":                    {list{allow(send, queue)}, nil, list{deny(send, queue, toRoot)}, false, resourceBased},
		"boundary and identity allow":                    {list{allow(send, queue)}, list{allow("sqs:*", "*")}, nil, true, ""},
		"boundary allows alone":                          {nil, list{allow("sqs:*", "*")}, nil, false, identityBased},
		"boundary does not allow what identity does":     {list{allow(send, queue)}, list{allow("s3:*", "*")}, nil, false, boundary},
		"boundary denies":                                {list{allow(send, queue)}, list{allow("*", "*"), deny(send, "*")}, nil, false, boundary},
		"boundary limits a grant to the role":            {nil, list{allow("s3:*", "*")}, list{allow(send, queue, toRoleARN)}, false, boundary},
		"boundary does not limit a grant to the session": {nil, list{allow("s3:*", "*")}, list{allow(send, queue, toSessARN)}, true, ""},
		"boundary denies a grant to the session":         {nil, list{deny(send, "*")}, list{allow(send, queue, toSessARN)}, false, boundary},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := Evaluate(Request{Principal: caller, Action: send, Resource: queue}, Policies{
				Identity: []*Policy{policy(t, Identity, c.identity...)},
				Boundary: optional(t, Identity, c.boundary),
				Resource: optional(t, Resource, c.resource),
			})
			if got.Allowed != c.want || !c.want && got.Type != c.denier {
				t.Errorf("allowed %t by %q, want %t by %q", got.Allowed, got.Type, c.want, c.denier)
			}
		})
	}
}

// The boundary of the user guide's example user ShirleyRodriguez. Source: IAM user guide, access_policies_boundaries.
func TestBoundaryOfTheUserGuide(t *testing.T) {
	bounds := policy(t, Identity, `{"Effect":"Allow","Action":["s3:*","cloudwatch:*","ec2:*"],"Resource":"*"}`)
	createUser := policy(t, Identity, allow("iam:CreateUser", "*"))
	for action, want := range map[string]string{"iam:CreateUser": boundary, "s3:ListBucket": identityBased} {
		got := Evaluate(Request{Principal: caller, Action: action, Resource: "*"}, Policies{Identity: []*Policy{createUser}, Boundary: bounds})
		if got.Allowed || got.Type != want {
			t.Errorf("%s: allowed %t by %q, want a denial by %q", action, got.Allowed, got.Type, want)
		}
	}
}

func TestServicePrincipalNeedsTheResourcesPolicy(t *testing.T) {
	events := Principal{Service: "events.amazonaws.com"}
	cases := map[string]struct {
		statements []string
		want       bool
	}{
		"none":            {nil, false},
		"the service":     {[]string{allow(send, queue, `"Principal":{"Service":"events.amazonaws.com"}`)}, true},
		"another service": {[]string{allow(send, queue, `"Principal":{"Service":"sns.amazonaws.com"}`)}, false},
		"everyone":        {[]string{allow(send, queue, toEveryone)}, true},
		"an account":      {[]string{allow(send, queue, toRoot)}, false},
		"denied":          {[]string{allow(send, queue, toEveryone), deny("sqs:*", queue, `"Principal":{"AWS":"*"}`)}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := Evaluate(Request{Principal: events, Action: send, Resource: queue}, Policies{Resource: optional(t, Resource, c.statements)})
			if got.Allowed != c.want {
				t.Errorf("allowed: %t, want %t", got.Allowed, c.want)
			}
		})
	}
}

// Source: IAM user guide, reference_policies_elements_notprincipal and access_policies_boundaries.
func TestNotPrincipalDenies(t *testing.T) {
	all := `"arn:aws:iam::123456789012:root","` + role + `","` + session + `"`
	cases := map[string]struct {
		listed   string
		bounded  bool
		excepted bool
	}{
		"somebody else":                  {`"arn:aws:iam::123456789012:role/Other"`, false, false},
		"the role without its session":   {`"arn:aws:iam::123456789012:root","` + role + `"`, false, false},
		"session, role and account":      {all, false, true},
		"all three, but with a boundary": {all, true, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			policies := Policies{
				Identity: []*Policy{policy(t, Identity, allow("*", "*"))},
				Resource: policy(t, Resource, deny("sqs:*", queue, `"NotPrincipal":{"AWS":[`+c.listed+`]}`)),
			}
			if c.bounded {
				policies.Boundary = policy(t, Identity, allow("*", "*"))
			}
			if got := Evaluate(Request{Principal: caller, Action: send, Resource: queue}, policies); got.Allowed != c.excepted {
				t.Errorf("allowed: %t, want %t", got.Allowed, c.excepted)
			}
		})
	}
}

func TestElementsOfAStatement(t *testing.T) {
	table := "arn:aws:dynamodb:us-east-1:123456789012:table/Orders"
	cases := map[string]struct {
		statement string
		want      bool
	}{
		"action ignores case":           {allow("DynamoDB:putitem", table), true},
		"action with *":                 {allow("dynamodb:Put*", table), true},
		"action with ?":                 {allow("dynamodb:PutIte?", table), true},
		"all actions":                   {allow("*", table), true},
		"another action":                {allow("dynamodb:GetItem", table), false},
		"NotAction of another":          {`{"Effect":"Allow","NotAction":"dynamodb:GetItem","Resource":"*"}`, true},
		"NotAction of this":             {`{"Effect":"Allow","NotAction":"dynamodb:Put*","Resource":"*"}`, false},
		"resource with *":               {allow("*", "arn:aws:dynamodb:*:123456789012:table/*"), true},
		"* at an end reaches on":        {allow("*", "arn:aws:dynamodb:*"), true},
		"resource has case":             {allow("*", strings.ToLower(table)), false},
		"the index is not the table":    {allow("*", table+"/index/*"), false},
		"NotResource of another":        {`{"Effect":"Allow","Action":"*","NotResource":"` + table + `2"}`, true},
		"NotResource of this":           {`{"Effect":"Allow","Action":"*","NotResource":"` + table + `"}`, false},
		"variable":                      {allow("*", "arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/table}"), true},
		"variable without a value":      {allow("*", "arn:aws:dynamodb:*:*:table/${aws:nothing}*"), false},
		"variable with a default":       {allow("*", "arn:aws:dynamodb:*:*:table/${aws:nothing, 'Orders'}"), true},
		"NotResource without a value":   {`{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::${aws:nothing}"}`, false},
		"a value's * is no wildcard":    {allow("*", "arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/star}"), false},
		"${*} is no wildcard":           {allow("*", "arn:aws:dynamodb:*:*:table/${*}"), false},
		"a key with two values is none": {allow("*", "arn:aws:dynamodb:*:*:table/${aws:two}"), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			context := Context{}
			context.Set("aws:PrincipalTag/table", "Orders")
			context.Set("aws:PrincipalTag/star", "*")
			context.Set("aws:two", "Orders", "Orders")
			got := Evaluate(Request{Principal: caller, Action: "dynamodb:PutItem", Resource: table, Context: context},
				Policies{Identity: []*Policy{policy(t, Identity, c.statement)}})
			if got.Allowed != c.want {
				t.Errorf("allowed: %t, want %t", got.Allowed, c.want)
			}
		})
	}
}

func TestOldVersionHasNoVariables(t *testing.T) {
	for _, version := range []string{``, `"Version":"2008-10-17",`} {
		p, err := Parse(Identity, []byte(`{`+version+`"Statement":`+allow("*", "arn:aws:s3:::${aws:name}")+`}`))
		if err != nil {
			t.Fatal(err)
		}
		got := Evaluate(Request{Principal: caller, Action: "s3:GetObject", Resource: "arn:aws:s3:::a", Context: Context{"aws:name": {"a"}}}, Policies{Identity: []*Policy{p}})
		if got.Allowed {
			t.Errorf("version %q: the variable is replaced", version)
		}
	}
}

func TestDecisionNamesTheStatement(t *testing.T) {
	p := policy(t, Identity, allow("*", "*"), deny(send, "*", `"Sid":"NoSending"`))
	got := Evaluate(Request{Principal: caller, Action: send, Resource: queue}, Policies{Identity: []*Policy{p}})
	if got.Statement == nil || got.Statement.Sid != "NoSending" || !strings.Contains(got.Statement.Source, `"Deny"`) {
		t.Errorf("statement %+v, want NoSending", got.Statement)
	}
}
