package apigateway

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestValidationErrors(t *testing.T) {
	for _, tt := range []struct{ name, schema, body, want string }{
		{"valid", `{"type":"object"}`, `{}`, ""},
		{"no body is an empty object", `{"type":"object"}`, ``, ""},
		{"no JSON", `{}`, `{"a":`, `[the request body is not valid JSON]`},
		{"two documents", `{}`, `{} {}`, `[the request body is not valid JSON]`},
		{"required", `{"required":["b","a"]}`, `{}`, `[object has missing required properties (["a","b"])]`},
		{"additionalProperties", `{"additionalProperties":false}`, `{"x":1}`, `[object instance has properties which are not allowed by the schema: ["x"]]`},
		{"type", `{"type":"number"}`, `"x"`, `[instance type (string) does not match any allowed primitive type (allowed: ["integer","number"])]`},
		{"integer", `{"type":"integer"}`, `1.5`, `[instance type (number) does not match any allowed primitive type (allowed: ["integer"])]`},
		{"integer with a fraction part of zero", `{"type":"integer"}`, `1.0`, `[instance type (number) does not match any allowed primitive type (allowed: ["integer"])]`},
		{"integer with an exponent", `{"items":{"type":["integer","null"]}}`, `[1,1e1,null]`, `[instance type (number) does not match any allowed primitive type (allowed: ["integer"])]`},
		{"an exponent that no machine has room for", `{"type":"integer"}`, `1e999999999999`, `[instance type (number) does not match any allowed primitive type (allowed: ["integer"])]`},
		{"number", `{"type":["integer","number"]}`, `1.0`, ``},
		{"deep nesting", `{"type":"object"}`, strings.Repeat("[", 100_000), `[the request body is not valid JSON]`},
		{"the last of two values of one key", `{"properties":{"a":{"type":"integer"}}}`, `{"a":1,"a":"x"}`, `[instance type (string) does not match any allowed primitive type (allowed: ["integer"])]`},
		{"enum", `{"enum":["A","B"]}`, `"C"`, `[instance value ("C") not found in enum (possible values: ["A","B"])]`},
		{"minLength", `{"minLength":1}`, `""`, `[string "" is too short (length: 0, required minimum: 1)]`},
		{"maxLength counts characters", `{"maxLength":1}`, `"😀é"`, `[string "😀é" is too long (length: 2, maximum allowed: 1)]`},
		{"pattern", `{"pattern":"^a$"}`, `"<b>"`, `[ECMA 262 regex "^a$" does not match input string "<b>"]`},
		{"minimum", `{"minimum":1}`, `0`, `[numeric instance is lower than the required minimum (minimum: 1, found: 0)]`},
		{"maximum", `{"maximum":1.5}`, `2`, `[numeric instance is greater than the required maximum (maximum: 1.5, found: 2)]`},
		{"exclusiveMinimum of draft 4", `{"minimum":1,"exclusiveMinimum":true}`, `1`, `[numeric instance is not strictly greater than the required minimum 1]`},
		{"minItems", `{"minItems":1}`, `[]`, `[array is too short: must have at least 1 elements but instance has 0 elements]`},
		{"maxItems", `{"maxItems":1}`, `[1,2]`, `[array is too long: must have at most 1 elements but instance has 2 elements]`},
		{"uniqueItems", `{"uniqueItems":true}`, `[1,1]`, `[array must not contain duplicate elements]`},
		{"a reference within", `{"definitions":{"n":{"minimum":1}},"items":{"$ref":"#/definitions/n"}}`, `[1,0]`, `[numeric instance is lower than the required minimum (minimum: 1, found: 0)]`},
		{"several, in a fixed order", `{"properties":{"a":{"type":"string"},"b":{"minimum":1}},"required":["c"]}`, `{"a":1,"b":0}`, `[object has missing required properties (["c"]), instance type (integer) does not match any allowed primitive type (allowed: ["string"]), numeric instance is lower than the required minimum (minimum: 1, found: 0)]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inObject := json.RawMessage(tt.schema)
			inString := json.RawMessage(compact(tt.schema))
			for _, schema := range []json.RawMessage{inObject, inString} {
				a := api{models: map[string]*model{}}
				if err := a.addModel("M", schema); err != nil {
					t.Fatal(err)
				}
				got := ""
				if err := a.models["M"].validate([]byte(tt.body)); err != nil {
					got = err.Error()
				}
				if got != tt.want {
					t.Errorf("\n got %s\nwant %s", got, tt.want)
				}
			}
		})
	}
}
