package running

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"
)

// TestMethods of the reference application, with what its models ask for.
func TestMethods(t *testing.T) {
	raw, err := os.ReadFile("../../../test/synth/golden/Orders-dev.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := methods(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"POST /orders", "GET /orders/{id}", "PATCH /orders/{id}"}
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i, m := range got {
		if m.Verb+" "+m.Path != want[i] || !m.Signed {
			t.Errorf("method %d is %+v, want %s, signed", i, m, want[i])
		}
	}
	if _, ok := got[0].Headers["Idempotency-Key"]; !ok {
		t.Errorf("POST takes %v, want an Idempotency-Key", got[0].Headers)
	}
	if got := string(got[2].Example); got != `{"status":"CREATED"}` {
		t.Errorf("the example of PATCH is %s", got)
	}
}

func TestMethodsAsTemplatesHaveThem(t *testing.T) {
	got, err := methods([]byte(`{"Resources":{
		"Api":{"Type":"AWS::ApiGateway::RestApi"},
		"Root":{"Type":"AWS::ApiGateway::Method","Properties":{"HttpMethod":"ANY","ResourceId":{"Fn::GetAtt":["Api","RootResourceId"]}}},
		"Preflight":{"Type":"AWS::ApiGateway::Method","Properties":{"HttpMethod":"OPTIONS","ResourceId":{"Fn::GetAtt":["Api","RootResourceId"]}}},
		"Other":{"Type":"AWS::Lambda::Function","Properties":{"RequestParameters":"text"}}}}`))
	if err != nil || len(got) != 1 || got[0].Verb != "POST" || got[0].Path != "/" || got[0].Signed {
		t.Errorf("%v, %+v", err, got)
	}
	if _, err := methods([]byte("Resources:")); err == nil {
		t.Error("a template in YAML was read")
	}
}

// TestExamples are allowed by their schema.
func TestExamples(t *testing.T) {
	for schema, want := range map[string]string{
		`{"type":"string"}`:                                              `"value-1"`,
		`{"type":"string","maxLength":3}`:                                `"val"`,
		`{"type":"string","minLength":9}`:                                `"value-111"`,
		`{"type":["string","null"],"default":"x"}`:                       `"x"`,
		`{"enum":["A","B"]}`:                                             `"A"`,
		`{"type":"integer"}`:                                             `1`,
		`{"type":"number","minimum":2.5}`:                                `2.5`,
		`{"type":"boolean"}`:                                             `true`,
		`{"type":"array","minItems":2,"items":{"type":"integer"}}`:       `[1,1]`,
		`{"type":"array"}`:                                               `[]`,
		`{"properties":{"a":{"type":"string"},"b":{}},"required":["a"]}`: `{"a":"a-1"}`,
		`{"$ref":"https://elsewhere"}`:                                   `null`,
	} {
		if got := string(example(json.RawMessage(schema))); got != want {
			t.Errorf("%s: %s, want %s", schema, got, want)
		}
	}
	for _, pattern := range []string{"^[A-Z]{3}$", "^o-[0-9]+$", "(a|b)c?", "^.{4}$"} {
		schema, _ := json.Marshal(map[string]string{"type": "string", "pattern": pattern})
		var got string
		if err := json.Unmarshal(example(schema), &got); err != nil || !regexp.MustCompile(pattern).MatchString(got) {
			t.Errorf("%q does not match %s: %v", got, pattern, err)
		}
	}
}
