package functions

import (
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// make provisions a version or an alias.
func (h *host) make(kind string, properties map[string]any) (template.Attributes, error) {
	return h.Provisions()[kind](h.t.Context(), template.Resource{LogicalID: "R", Type: kind, PhysicalName: "stack-R", Properties: properties})
}

// A version and an alias run the function's program, under their own ARNs.
func TestVersionAndAlias(t *testing.T) {
	h := newHost(t)
	arn := h.function(nil)
	version, err := h.make("AWS::Lambda::Version", map[string]any{"FunctionName": "stack-Probe", "Description": "the first"})
	if err != nil || version.Ref != arn+":1" || version.GetAtt["Version"] != "1" {
		t.Fatalf("version %+v, %v", version, err)
	}
	alias, err := h.make("AWS::Lambda::Alias", map[string]any{
		"FunctionName": arn, "FunctionVersion": version.GetAtt["Version"], "Name": "live", "ProvisionedConcurrencyConfig": map[string]any{"ProvisionedConcurrentExecutions": 1},
	})
	if err != nil || alias.Ref != arn+":live" || alias.GetAtt["AliasArn"] != alias.Ref {
		t.Fatalf("alias %+v, %v", alias, err)
	}
	var pids []int
	for _, called := range []string{arn, version.Ref, alias.Ref} {
		a := h.ask(called, order{})
		pids = append(pids, a.PID)
		if a.ARN != called {
			t.Errorf("the context of %s has the ARN %s", called, a.ARN)
		}
		if timeout, found := h.Timeout(called); !found || timeout.Seconds() != 20 {
			t.Errorf("the timeout of %s is %v (%v)", called, timeout, found)
		}
	}
	if len(slices.Compact(pids)) != 1 {
		t.Errorf("the processes are %v, want one", pids)
	}
	if _, err := h.send(t.Context(), arn+":2", order{}); err == nil {
		t.Error("a version that is not there is invoked")
	}
}

func TestRefusedVersionsAndAliases(t *testing.T) {
	for want, c := range map[string]struct {
		kind   string
		change map[string]any
	}{
		`FunctionName must be a function of the stack, one of arn:aws:lambda:eu-west-1:000000000000:function:stack-Probe, got "other"`: {
			"AWS::Lambda::Version", map[string]any{"FunctionName": "other"},
		},
		`FunctionVersion must be $LATEST or a version of stack-Probe in the stack, got "2"`:           {"AWS::Lambda::Alias", map[string]any{"FunctionVersion": "2"}},
		`Name must be another one than that of an alias of stack-Probe, got "taken"`:                  {"AWS::Lambda::Alias", map[string]any{"Name": "taken"}},
		`Name must be 1 to 128 letters, digits, dashes and underscores, and not a number, got "12"`:   {"AWS::Lambda::Alias", map[string]any{"Name": "12"}},
		`Name must be 1 to 128 letters, digits, dashes and underscores, and not a number, got "a.b"`:  {"AWS::Lambda::Alias", map[string]any{"Name": "a.b"}},
		"RoutingConfig must be empty in the local run, where all versions of a function are the same": {"AWS::Lambda::Alias", map[string]any{"RoutingConfig": map[string]any{"AdditionalVersionWeights": []any{map[string]any{"FunctionVersion": "1", "FunctionWeight": 0.1}}}}},
	} {
		h := newHost(t)
		h.function(nil)
		all := map[string]any{"FunctionName": "stack-Probe"}
		if _, err := h.make("AWS::Lambda::Version", all); err != nil {
			t.Fatal(err)
		}
		if c.kind == "AWS::Lambda::Alias" {
			all["FunctionVersion"], all["Name"] = "$LATEST", "taken"
			if _, err := h.make("AWS::Lambda::Alias", all); err != nil {
				t.Fatal(err)
			}
			all["Name"] = "live"
		}
		for name, value := range c.change {
			all[name] = value
		}
		if _, err := h.make(c.kind, all); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if _, err := newHost(t).provision("Layered", props{"Layers": []any{"arn:aws:lambda:eu-west-1:000000000000:layer:Tools:1"}}); err == nil || !strings.Contains(err.Error(), "Layers must be empty") || !strings.Contains(err.Error(), "layer:Tools:1") {
		t.Errorf("a function with a layer: error %v", err)
	}
}
