package iam

import (
	"strings"
	"testing"
)

// Source of the expectations: IAM user guide, reference_policies_elements_condition_operators,
// reference_policies_condition-single-vs-multi-valued-context-keys and
// reference_policies_condition_examples-multi-valued-context-keys.
func TestConditionOperators(t *testing.T) {
	type values = []string
	arn := "arn:aws:events:us-east-1:123456789012:rule/Bus/Rule"
	cases := map[string]struct {
		operator string
		policy   string
		request  values // nil: the request does not have the key
		want     bool
	}{
		"StringEquals":                           {"StringEquals", `"a"`, values{"a"}, true},
		"StringEquals has case":                  {"StringEquals", `"A"`, values{"a"}, false},
		"StringEquals has no wildcard":           {"StringEquals", `"*"`, values{"a"}, false},
		"StringEquals, one of two":               {"StringEquals", `["b","a"]`, values{"a"}, true},
		"StringEquals without the key":           {"StringEquals", `"a"`, nil, false},
		"StringEqualsIfExists without the key":   {"StringEqualsIfExists", `"a"`, nil, true},
		"StringEqualsIfExists with another":      {"StringEqualsIfExists", `"a"`, values{"b"}, false},
		"StringEquals with a variable":           {"StringEquals", `"${aws:PrincipalAccount}"`, values{account}, true},
		"StringNotEquals":                        {"StringNotEquals", `"a"`, values{"b"}, true},
		"StringNotEquals of one of two":          {"StringNotEquals", `["b","a"]`, values{"a"}, false},
		"StringNotEquals, one of the request's":  {"StringNotEquals", `"a"`, values{"a", "b"}, false},
		"StringNotEquals without the key":        {"StringNotEquals", `"a"`, nil, true},
		"StringEqualsIgnoreCase":                 {"StringEqualsIgnoreCase", `"A"`, values{"a"}, true},
		"StringNotEqualsIgnoreCase":              {"StringNotEqualsIgnoreCase", `"A"`, values{"a"}, false},
		"StringLike":                             {"StringLike", `"event#*"`, values{"event#1"}, true},
		"StringLike of all":                      {"StringLike", `"event#*"`, values{"other"}, false},
		"StringLike with ${*}":                   {"StringLike", `"a${*}"`, values{"ab"}, false},
		"StringLike with ${*} and a star":        {"StringLike", `"a${*}"`, values{"a*"}, true},
		"StringNotLike":                          {"StringNotLike", `"event#*"`, values{"event#1"}, false},
		"NumericEquals":                          {"NumericEquals", `10`, values{"10.0"}, true},
		"NumericNotEquals":                       {"NumericNotEquals", `"10"`, values{"10"}, false},
		"NumericLessThan":                        {"NumericLessThan", `10`, values{"9"}, true},
		"NumericLessThan, equal":                 {"NumericLessThan", `10`, values{"10"}, false},
		"NumericLessThanEquals":                  {"NumericLessThanEquals", `"10"`, values{"10"}, true},
		"NumericGreaterThan":                     {"NumericGreaterThan", `10`, values{"11"}, true},
		"NumericGreaterThanEquals":               {"NumericGreaterThanEquals", `10`, values{"9"}, false},
		"DateGreaterThan":                        {"DateGreaterThan", `"2026-11-01T00:00:00Z"`, values{"2026-11-02T00:00:00Z"}, true},
		"DateLessThan":                           {"DateLessThan", `"2026-11-01T00:00:00Z"`, values{"2026-11-02T00:00:00Z"}, false},
		"DateEquals in seconds":                  {"DateEquals", `"2026-11-01T00:00:00Z"`, values{"1793491200"}, true},
		"DateNotEquals":                          {"DateNotEquals", `"2026-11-01"`, values{"2026-11-01T00:00:00Z"}, false},
		"DateLessThanEquals":                     {"DateLessThanEquals", `"2026-11-01"`, values{"2026-11-01T00:00:00Z"}, true},
		"DateGreaterThanEquals":                  {"DateGreaterThanEquals", `"2026-11-01"`, values{"2026-10-31T23:59:59Z"}, false},
		"Bool":                                   {"Bool", `true`, values{"true"}, true},
		"Bool as text":                           {"Bool", `"False"`, values{"false"}, true},
		"Bool without the key":                   {"Bool", `"false"`, nil, false},
		"BinaryEquals":                           {"BinaryEquals", `"QmluYXJ5"`, values{"QmluYXJ5"}, true},
		"IpAddress in a network":                 {"IpAddress", `"203.0.113.0/24"`, values{"203.0.113.7"}, true},
		"IpAddress of another":                   {"IpAddress", `"203.0.113.0/24"`, values{"203.0.114.7"}, false},
		"IpAddress of one":                       {"IpAddress", `["2001:DB8::1","192.0.2.1"]`, values{"2001:db8::1"}, true},
		"NotIpAddress":                           {"NotIpAddress", `"203.0.113.0/24"`, values{"203.0.113.7"}, false},
		"NotIpAddress without the key":           {"NotIpAddress", `"203.0.113.0/24"`, nil, true},
		"ArnLike":                                {"ArnLike", `"arn:aws:events:*:123456789012:rule/Bus/*"`, values{arn}, true},
		"ArnLike over colons":                    {"ArnLike", `"arn:aws:events:*"`, values{arn}, false},
		"ArnEquals with a wildcard":              {"ArnEquals", `"arn:aws:events:*:*:rule/Bus/R?le"`, values{arn}, true},
		"ArnNotEquals":                           {"ArnNotEquals", `"` + arn + `"`, values{arn}, false},
		"ArnNotLike without the key":             {"ArnNotLike", `"` + arn + `"`, nil, true},
		"Null of a missing key":                  {"Null", `"true"`, nil, true},
		"Null of a key":                          {"Null", `"false"`, values{"a"}, true},
		"not Null of a missing key":              {"Null", `"false"`, nil, false},
		"Null of an empty value":                 {"Null", `"true"`, values{""}, true},
		"ForAllValues, all match":                {"ForAllValues:StringLike", `["key1*","key2*"]`, values{"key1:hr", "key2:audit"}, true},
		"ForAllValues, one does not":             {"ForAllValues:StringLike", `"key1*"`, values{"key1:hr", "key2:audit"}, false},
		"ForAllValues without the key":           {"ForAllValues:StringEquals", `"a"`, nil, true},
		"ForAllValues of an empty value":         {"ForAllValues:StringEquals", `"a"`, values{""}, true},
		"ForAllValues not like, one is like":     {"ForAllValues:StringNotLike", `"key1*"`, values{"key1:legal", "key2:audit"}, false},
		"ForAllValues not like, none is like":    {"ForAllValues:StringNotLike", `"key1*"`, values{"key2:audit"}, true},
		"ForAllValues not like, without the key": {"ForAllValues:StringNotLike", `"key1*"`, nil, true},
		"ForAnyValue, one matches":               {"ForAnyValue:StringEquals", `["TransactWriteItems"]`, values{"TransactWriteItems", "other"}, true},
		"ForAnyValue, none matches":              {"ForAnyValue:StringEquals", `"a"`, values{"b"}, false},
		"ForAnyValue without the key":            {"ForAnyValue:StringEquals", `"a"`, nil, false},
		"ForAnyValue not equal, one is not":      {"ForAnyValue:StringNotEquals", `"a"`, values{"a", "b"}, true},
		"ForAnyValue not equal, without the key": {"ForAnyValue:StringNotEquals", `"a"`, nil, false},
		"ForAnyValueIfExists without the key":    {"ForAnyValue:StringEqualsIfExists", `"a"`, nil, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			context := Context{"aws:principalaccount": {account}}
			if c.request != nil {
				context.Set("test:Key", c.request...)
			}
			p := policy(t, Identity, allow("*", "*", `"Condition":{"`+c.operator+`":{"TEST:key":`+c.policy+`}}`))
			got := Evaluate(Request{Principal: caller, Action: send, Resource: queue, Context: context}, Policies{Identity: []*Policy{p}})
			if got.Allowed != c.want {
				t.Errorf("holds: %t, want %t", got.Allowed, c.want)
			}
		})
	}
}

func TestAllConditionsMustHold(t *testing.T) {
	p := policy(t, Identity, allow("*", "*", `"Condition":{"StringEquals":{"a":"1","b":"1"},"Bool":{"c":"true"}}`))
	for _, missing := range []string{"", "a", "b", "c"} {
		context := Context{"a": {"1"}, "b": {"1"}, "c": {"true"}}
		delete(context, missing)
		got := Evaluate(Request{Principal: caller, Action: send, Resource: queue, Context: context}, Policies{Identity: []*Policy{p}})
		if got.Allowed != (missing == "") {
			t.Errorf("without %q: allowed %t", missing, got.Allowed)
		}
	}
}

func TestRefusedPolicies(t *testing.T) {
	everyone := `"Principal":"*"`
	cases := map[string]struct {
		kind      Kind
		statement string
		names     string
	}{
		"unknown operator":            {Identity, allow("*", "*", `"Condition":{"StringMatches":{"a":"b"}}`), "StringMatches"},
		"Null has no IfExists":        {Identity, allow("*", "*", `"Condition":{"NullIfExists":{"a":"true"}}`), "NullIfExists"},
		"no number":                   {Identity, allow("*", "*", `"Condition":{"NumericEquals":{"a":"b"}}`), "NumericEquals"},
		"no date":                     {Identity, allow("*", "*", `"Condition":{"DateEquals":{"a":"b"}}`), "DateEquals"},
		"no boolean":                  {Identity, allow("*", "*", `"Condition":{"Bool":{"a":"b"}}`), "true or false"},
		"no network":                  {Identity, allow("*", "*", `"Condition":{"IpAddress":{"a":"b"}}`), "IpAddress"},
		"no base64":                   {Identity, allow("*", "*", `"Condition":{"BinaryEquals":{"a":"?"}}`), "base64"},
		"effect":                      {Identity, statement("Permit", "*", "*"), "Permit"},
		"no action":                   {Identity, `{"Effect":"Allow","Resource":"*"}`, "Action or NotAction"},
		"two actions":                 {Identity, allow("*", "*", `"NotAction":"a:b"`), "Action or NotAction"},
		"no service in the action":    {Identity, allow("PutItem", "*"), "PutItem"},
		"no resource":                 {Identity, `{"Effect":"Allow","Action":"*"}`, "Resource or NotResource"},
		"no ARN":                      {Identity, allow("*", "Orders"), "Orders"},
		"unknown element":             {Identity, allow("*", "*", `"Ressource":"*"`), "Ressource"},
		"principal of a role":         {Identity, allow("*", "*", everyone), "Principal"},
		"no principal of a queue":     {Resource, allow("*", "*"), "Principal"},
		"NotPrincipal allows":         {Resource, allow("*", "*", `"NotPrincipal":{"AWS":"*"}`), "NotPrincipal"},
		"principal with a wildcard":   {Resource, allow("*", "*", `"Principal":{"AWS":"arn:aws:iam::1:role/*"}`), "role/*"},
		"principal as text":           {Resource, allow("*", "*", `"Principal":"events"`), "events"},
		"unknown kind of principal":   {Resource, allow("*", "*", `"Principal":{"Group":"a"}`), "Group"},
		"resource of a trust policy":  {Trust, allow("sts:AssumeRole", "*", everyone), "Resource"},
		"a value that is no text":     {Identity, allow("*", "*", `"Condition":{"StringEquals":{"a":{}}}`), "string"},
		"the problem's number":        {Identity, allow("*", "*") + "," + allow("x", "*"), "statement 2"},
		"all problems, here of first": {Identity, allow("y", "*") + "," + allow("x", "*"), "statement 1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.kind, []byte(`{"Version":"2012-10-17","Statement":[`+c.statement+`]}`))
			if err == nil || !strings.Contains(err.Error(), c.names) {
				t.Errorf("error %v, want one that names %s", err, c.names)
			}
		})
	}
	for name, document := range map[string]string{"version": `{"Version":"2020-01-01","Statement":[]}`, "no statement": `{}`, "element": `{"Statements":[]}`} {
		if _, err := Parse(Identity, []byte(document)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSingleStatementWithoutList(t *testing.T) {
	p, err := Parse(Identity, []byte(`{"Statement":`+allow("*", "*")+`}`))
	if err != nil || !Evaluate(Request{Action: send, Resource: queue}, Policies{Identity: []*Policy{p}}).Allowed {
		t.Errorf("a statement without a list is not read: %v", err)
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
		{"?", "é", true},
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
