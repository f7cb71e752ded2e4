package apigateway

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const (
	aliceKey = "alice0alice0alice0alice0"
	bobKey   = "bobby0bobby0bobby0bobby0"
)

// withKeys returns the stack with a method that requires an API key: Alice's is in a plan of the stage prod, Bob's in none,
// Carol's is switched off, and Dave's has a generated value.
func withKeys(t *testing.T) []template.Resource {
	t.Helper()
	resource := func(kind, id string, properties map[string]any) template.Resource {
		return template.Resource{LogicalID: id, PhysicalName: id, Type: "AWS::ApiGateway::" + kind, Properties: properties}
	}
	key := func(id, value string, enabled bool) template.Resource {
		return resource("ApiKey", id, map[string]any{"Value": value, "Enabled": enabled})
	}
	inPlan := func(id string) template.Resource {
		return resource("UsagePlanKey", "Plan"+id, map[string]any{"KeyId": id, "KeyType": "API_KEY", "UsagePlanId": "Plan"})
	}
	resources := change(t, "PatchOrder", func(method, _ map[string]any) { method["ApiKeyRequired"] = true })
	return append(resources,
		key("Alice", aliceKey, true), key("Bob", bobKey, true), key("Carol", strings.Repeat("carol", 5), false),
		resource("ApiKey", "Dave", map[string]any{"Enabled": true}),
		resource("UsagePlan", "Plan", map[string]any{"ApiStages": []any{map[string]any{"ApiId": "Api", "Stage": "prod"}}, "Quota": map[string]any{"Limit": 1}}),
		inPlan("Alice"), inPlan("Carol"), inPlan("Dave"))
}

func TestAPIKeys(t *testing.T) {
	var event string
	g := start(t, options{
		resources: withKeys(t),
		invoke: func(_ context.Context, _ string, payload []byte) ([]byte, error) {
			event = string(payload)
			return []byte("{}"), nil
		},
		configure: func(c *Config) { c.AuthorizeCaller = func(*http.Request, []byte, string) error { return nil } },
	})
	keys := g.Keys()
	if len(keys) != 3 || keys[0] != aliceKey || keys[1] != bobKey || !keyValue.MatchString(keys[2]) {
		t.Fatalf("the keys are %q, want Alice's, Bob's and a generated one", keys)
	}
	for name, c := range map[string]struct {
		verb, key string
		want      int
	}{
		"a key of the plan":           {"PATCH", aliceKey, http.StatusOK},
		"a generated key":             {"PATCH", keys[2], http.StatusOK},
		"no key":                      {"PATCH", "", http.StatusForbidden},
		"a key that nobody has":       {"PATCH", strings.Repeat("x", 24), http.StatusForbidden},
		"a key of no plan":            {"PATCH", bobKey, http.StatusForbidden},
		"a key that is switched off":  {"PATCH", strings.Repeat("carol", 5), http.StatusForbidden},
		"a method that requires none": {"GET", "", http.StatusNotFound}, // of the integration
	} {
		t.Run(name, func(t *testing.T) {
			got := g.do(c.verb, "/orders/7", `{"x":1}`, "x-api-key", c.key)
			if got.status != c.want {
				t.Errorf("status is %d %s, want %d", got.status, got.body, c.want)
			}
			if c.want == http.StatusForbidden && (got.body != `{"message":"Forbidden"}` || got.header.Get("X-Amzn-Errortype") != "ForbiddenException") {
				t.Errorf("body is %s, error type %s", got.body, got.header.Get("X-Amzn-Errortype"))
			}
		})
	}
	g.do("PATCH", "/orders/7", `{"x":1}`, "x-api-key", aliceKey)
	if !strings.Contains(event, `"apiKey":"`+aliceKey+`"`) || !strings.Contains(event, `"apiKeyId":"Alice"`) {
		t.Errorf("the event does not name the key: %s", event)
	}
}

// Without --auth nobody needs a key, and the template's keys are skipped.
func TestAPIKeysWithoutAuth(t *testing.T) {
	g := start(t, options{
		resources: change(t, "PatchOrder", func(method, _ map[string]any) { method["ApiKeyRequired"] = true }),
		invoke:    func(context.Context, string, []byte) ([]byte, error) { return []byte("{}"), nil },
	})
	if got := g.do("PATCH", "/orders/7", `{"x":1}`); got.status != http.StatusOK {
		t.Errorf("status is %d, want 200", got.status)
	}
	for kind := range g.keyProvisions() {
		if g.Provisions()[kind] != nil {
			t.Errorf("%s is provisioned", kind)
		}
	}
}

func TestRefusedKeys(t *testing.T) {
	for want, c := range map[string]struct{ kind, property, value string }{
		"Value must be 20 to 128 letters and digits, got \"short\"":                        {"ApiKey", "Value", "short"},
		"Value must be one that no other key has, got that of Alice":                       {"ApiKey", "Value", aliceKey},
		"property StageKeys is not supported by the local run":                             {"ApiKey", "StageKeys", "x"},
		"KeyId must be an ApiKey of this stack, got \"nobody\"":                            {"UsagePlanKey", "KeyId", "nobody"},
		"UsagePlanId must be a UsagePlan of this stack, got \"none\"":                      {"UsagePlanKey", "UsagePlanId", "none"},
		"KeyType must be API_KEY, got \"OTHER\"":                                           {"UsagePlanKey", "KeyType", "OTHER"},
		"UsagePlanId must be the only plan of the key for the stage prod, got another one": {"UsagePlanKey", "KeyId", "Alice"},
	} {
		s := unstarted(t)
		s.config.AuthorizeCaller = func(*http.Request, []byte, string) error { return nil }
		if err := provision(t, s, withKeys(t)); err != nil {
			t.Fatal(err)
		}
		properties := map[string]map[string]any{
			"ApiKey": {"Enabled": true}, "UsagePlanKey": {"KeyId": "Bob", "KeyType": "API_KEY", "UsagePlanId": "Plan"},
		}[c.kind]
		properties[c.property] = c.value
		err := provision(t, s, []template.Resource{{LogicalID: "New", PhysicalName: "New", Type: "AWS::ApiGateway::" + c.kind, Properties: properties}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
}
