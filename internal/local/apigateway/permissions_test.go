package apigateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
)

// TestInvocationDenied checks that a function is not invoked without permission: on AWS a configuration error, 500.
func TestInvocationDenied(t *testing.T) {
	var function, source string
	denied := errors.New("no resource-based policy allows it")
	g := start(t, options{
		invoke: func(context.Context, string, []byte) ([]byte, error) {
			t.Error("the function is invoked")
			return []byte("{}"), nil
		},
		configure: func(c *Config) {
			c.Authorize = func(functionARN, _, sourceARN string) error {
				function, source = functionARN, sourceARN
				return denied
			}
		},
	})
	if got := g.do("PATCH", "/orders/7", ""); got.status != http.StatusInternalServerError {
		t.Errorf("status is %d, want 500", got.status)
	}
	if want := "arn:aws:lambda:eu-central-1:000000000000:function:update"; function != want {
		t.Errorf("function is %s, want %s", function, want)
	}
	if want := "arn:aws:execute-api:eu-central-1:000000000000:" + g.api.id + "/prod/PATCH/orders/{id}"; source != want {
		t.Errorf("source is %s, want %s", source, want)
	}
}

// A refusal says which gateway response it is.
type refusal struct{ kind string }

func (r refusal) Error() string                     { return r.kind }
func (r refusal) GatewayResponse() (string, string) { return r.kind, "not you" }

// TestCallers checks that callers of methods with IAM authorization are authorized, and of no others.
func TestCallers(t *testing.T) {
	for authorization, want := range map[string]int{"AWS_IAM": http.StatusForbidden, "NONE": http.StatusOK} {
		resources := change(t, "PatchOrder", func(method, _ map[string]any) { method["AuthorizationType"] = authorization })
		var seen, body string
		g := start(t, options{
			resources: resources,
			invoke:    func(context.Context, string, []byte) ([]byte, error) { return []byte("{}"), nil },
			configure: func(c *Config) {
				c.AuthorizeCaller = func(_ *http.Request, b []byte, methodARN string) error {
					seen, body = methodARN, string(b)
					return refusal{"INVALID_SIGNATURE"}
				}
			},
		})
		if got := g.do("PATCH", "/orders/7", `{"x":1}`); got.status != want {
			t.Errorf("%s: status is %d, want %d", authorization, got.status, want)
		}
		arn := "arn:aws:execute-api:eu-central-1:000000000000:" + g.api.id + "/prod/PATCH/orders/7"
		if authorization == "AWS_IAM" && (seen != arn || body != `{"x":1}`) {
			t.Errorf("authorized %s with the body %s, want %s", seen, body, arn)
		}
	}
}

// With --auth a method whose authorizer is not called would let everybody in, or nobody.
func TestAMethodWithAnAuthorizer(t *testing.T) {
	for _, authorization := range []string{"CUSTOM", "COGNITO_USER_POOLS"} {
		resources := change(t, "PatchOrder", func(method, _ map[string]any) { method["AuthorizationType"] = authorization })
		if err := provision(t, unstarted(t), resources); err != nil {
			t.Errorf("without --auth: %v", err)
		}
		s := unstarted(t)
		s.config.AuthorizeCaller = func(*http.Request, []byte, string) error { return nil }
		if err := provision(t, s, resources); err == nil || !strings.Contains(err.Error(), "AuthorizationType must be NONE or AWS_IAM with --auth, since the local run calls no authorizer, got \""+authorization) {
			t.Errorf("with --auth, %s: error is %v", authorization, err)
		}
	}
}
