package topics

import (
	"fmt"
	"strings"
	"testing"
)

// attributes are those of the messages that the filter policies below are about.
var attributes = map[string]Attribute{
	"store": {typeString, "example_corp"}, "price": {"Number", "210.75"}, "count": {"Number.int", "7"}, "empty": {typeArray, "[]"},
	"interests": {typeArray, `["rugby","soccer",5,true,null]`}, "ip": {typeString, "10.0.0.7"}, "a.b": {typeString, "x"}, "raw": {typeBinary, "eA=="},
}

const body = `{"store": "example_corp", "order": {"price": 210.75, "items": [{"kind": "book"}, {"kind": "pen"}], "gift": null}, "tags": ["a", "b"]}`

// The operators are those of SNS's documentation: string-value-matching, numeric-value-matching, attribute-key-matching,
// and-or-logic.
func TestFilterPolicies(t *testing.T) {
	for _, c := range []struct {
		scope, policy string
		want          bool
	}{
		{scopeAttributes, `{}`, true},
		{scopeAttributes, `{"store": ["example_corp"]}`, true},
		{scopeAttributes, `{"store": ["Example_corp"]}`, false},
		{scopeAttributes, `{"store": ["other", "example_corp"], "price": [210.75]}`, true},
		{scopeAttributes, `{"store": ["example_corp"], "price": [1]}`, false},
		{scopeAttributes, `{"store": [{"anything-but": ["other", "another"]}]}`, true},
		{scopeAttributes, `{"store": [{"anything-but": "example_corp"}]}`, false},
		{scopeAttributes, `{"missing": [{"anything-but": "x"}]}`, false},
		{scopeAttributes, `{"store": [{"anything-but": {"prefix": "example"}}]}`, false},
		{scopeAttributes, `{"store": [{"anything-but": {"suffix": "inc"}}]}`, true},
		{scopeAttributes, `{"store": [{"anything-but": {"wildcard": "*corp"}}]}`, false},
		{scopeAttributes, `{"price": [{"anything-but": [100, 500]}]}`, true},
		{scopeAttributes, `{"store": [{"prefix": "example"}]}`, true},
		{scopeAttributes, `{"store": [{"suffix": "_inc"}]}`, false},
		{scopeAttributes, `{"store": [{"suffix": "_corp"}]}`, true},
		{scopeAttributes, `{"store": [{"equals-ignore-case": "EXAMPLE_Corp"}]}`, true},
		{scopeAttributes, `{"store": [{"wildcard": "ex*_corp"}]}`, true},
		{scopeAttributes, `{"store": [{"wildcard": "ex*_inc"}]}`, false},
		{scopeAttributes, `{"ip": [{"cidr": "10.0.0.0/24"}]}`, true},
		{scopeAttributes, `{"ip": [{"cidr": "10.0.1.0/24"}]}`, false},
		{scopeAttributes, `{"price": [{"numeric": [">", 200, "<=", 300]}]}`, true},
		{scopeAttributes, `{"price": [{"numeric": ["=", 210.750]}]}`, true},
		{scopeAttributes, `{"price": [{"numeric": ["<", 200]}]}`, false},
		{scopeAttributes, `{"count": [{"numeric": [">=", 7]}]}`, true},
		{scopeAttributes, `{"store": [{"numeric": [">", 0]}]}`, false},
		{scopeAttributes, `{"price": ["210.75"]}`, false},
		{scopeAttributes, `{"store": [{"exists": true}]}`, true},
		{scopeAttributes, `{"missing": [{"exists": true}]}`, false},
		{scopeAttributes, `{"empty": [{"exists": true}]}`, false},
		{scopeAttributes, `{"missing": [{"exists": false}]}`, true},
		{scopeAttributes, `{"store": [{"exists": false}]}`, false},
		{scopeAttributes, `{"interests": ["soccer"]}`, true},
		{scopeAttributes, `{"interests": [5]}`, true},
		{scopeAttributes, `{"interests": [true]}`, true},
		{scopeAttributes, `{"interests": ["baseball"]}`, false},
		{scopeAttributes, `{"a.b": ["x"]}`, true},
		{scopeAttributes, `{"raw": ["eA=="]}`, false},
		{scopeAttributes, `{"$or": [{"store": ["other"]}, {"price": [{"numeric": [">", 200]}]}]}`, true},
		{scopeAttributes, `{"store": ["other"], "$or": [{"price": [210.75]}, {"count": [7]}]}`, false},
		{scopeBody, `{"store": ["example_corp"]}`, true},
		{scopeBody, `{"order": {"price": [{"numeric": [">", 200]}]}}`, true},
		{scopeBody, `{"order": {"items": {"kind": ["pen"]}}}`, true},
		{scopeBody, `{"order": {"items": {"kind": ["car"]}}}`, false},
		{scopeBody, `{"order": {"gift": [null]}}`, true},
		{scopeBody, `{"order": {"gift": [{"exists": true}]}}`, false},
		{scopeBody, `{"tags": ["b"]}`, true},
		{scopeBody, `{"$or": [{"tags": ["c"]}, {"order": {"price": [210.75]}}]}`, true},
		{scopeBody, `{"missing": [{"exists": false}]}`, true},
	} {
		f, err := newFilter([]byte(c.policy), c.scope)
		if err != nil {
			t.Errorf("%s %s: %v", c.scope, c.policy, err)
			continue
		}
		if got := f.accepts(Message{Body: body, Attributes: attributes}); got != c.want {
			t.Errorf("%s %s: accepts %t", c.scope, c.policy, got)
		}
	}
}

// What is no JSON object, or has no attributes, passes no policy that is about it.
func TestMessagesThatPassNoPolicy(t *testing.T) {
	for scope, m := range map[string]Message{scopeAttributes: {Body: body}, scopeBody: {Body: "hello", Attributes: attributes}} {
		f, err := newFilter([]byte(`{"missing": [{"exists": false}]}`), scope)
		if err != nil || f.accepts(m) {
			t.Errorf("%s: accepted, %v", scope, err)
		}
	}
	if f, err := newFilter([]byte(`{}`), scopeAttributes); err != nil || !f.accepts(Message{Body: "hello"}) {
		t.Errorf("an empty policy does not accept, %v", err)
	}
}

func TestFilterPoliciesThatAreRefused(t *testing.T) {
	values := func(n int) string { return strings.TrimSuffix(strings.Repeat("1,", n), ",") }
	for policy, want := range map[string]string{
		`[]`:                     "JSON object",
		`{"a": "b"}`:             "must be an object or an array",
		`{"a": []}`:              "Empty arrays",
		`{"a": [{"like": "b"}]}`: "Unrecognized match type like",
		`{"a": {"b": ["c"]}}`:    `must not be nested, because its scope is MessageAttributes, got an object at "a"`,
		`{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]}`:            "at most 5 keys, got 6",
		fmt.Sprintf(`{"a": [%s], "b": [%[1]s]}`, values(13)):           "at most 150 combinations of values, got 169",
		fmt.Sprintf(`{"$or": [{"a": [%s]}, {"b": [1]}]}`, values(150)): "at most 150 combinations of values, got 151",
	} {
		if _, err := newFilter([]byte(policy), scopeAttributes); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", policy, err, want)
		}
	}
	// The values of a nested key count as often as it is deep.
	if _, err := newFilter([]byte(fmt.Sprintf(`{"a": {"b": [%s]}}`, values(76))), scopeBody); err == nil || !strings.Contains(err.Error(), "got 152") {
		t.Errorf("a nested key: %v", err)
	}
}
