package apigateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
)

func TestFunction(t *testing.T) {
	var event map[string]any
	var arn string
	answer, failure := `{"statusCode":412,"headers":{"X-A":"1"},"multiValueHeaders":{"X-B":["1","2"]},"body":"{}"}`, error(nil)
	g := start(t, options{invoke: func(_ context.Context, function string, payload []byte) ([]byte, error) {
		arn, event = function, nil
		if err := json.Unmarshal(payload, &event); err != nil {
			t.Error(err)
		}
		return []byte(answer), failure
	}})
	got := g.do("PATCH", "/orders/7?a=1&a=2", `{"x":1}`, "If-Match", `"3"`)
	if got.status != 412 || got.body != "{}" || got.header.Get("X-A") != "1" || len(got.header.Values("X-B")) != 2 || got.header.Get("Content-Type") != jsonType {
		t.Errorf("got %+v", got)
	}
	if arn != "arn:aws:lambda:eu-central-1:000000000000:function:update" {
		t.Errorf("invoked %s", arn)
	}
	for want, path := range map[string][]any{
		"/orders/{id}": {"resource"}, "/orders/7": {"path"}, "PATCH": {"httpMethod"}, `"3"`: {"headers", "If-Match"}, "7": {"pathParameters", "id"},
		"2": {"queryStringParameters", "a"}, "1": {"multiValueQueryStringParameters", "a", 0}, "blue": {"stageVariables", "name"},
		`{"x":1}`: {"body"}, "prod": {"requestContext", "stage"}, "/prod/orders/7": {"requestContext", "path"}, "127.0.0.1": {"requestContext", "identity", "sourceIp"},
	} {
		if got := at(t, event, path...); got != want {
			t.Errorf("%v is %v, want %q", path, got, want)
		}
	}
	for name, tt := range map[string]struct {
		answer  string
		failure error
		status  int
	}{
		"fails":                  {"", errors.New("exit status 1"), 502},
		"answers no JSON":        {"hello", nil, 502},
		"answers another object": {`{"errorMessage":"x"}`, nil, 502},
		"answers null":           {`null`, nil, 502},
		"answers nothing set":    {`{}`, nil, 200},
	} {
		t.Run(name, func(t *testing.T) {
			answer, failure = tt.answer, tt.failure
			got := g.do("PATCH", "/orders/7", "")
			if got.status != tt.status {
				t.Errorf("status is %d, want %d", got.status, tt.status)
			}
			if got.status == 502 {
				wantJSON(t, got.body, `{"message":"Internal server error"}`)
			}
			if at(t, event, "queryStringParameters") != nil {
				t.Error("queryStringParameters is not null")
			}
		})
	}
}

// TestFunctionTimeout checks that the integration's timeout results in 504, and the function's own in 502, as every
// other failure of the function.
func TestFunctionTimeout(t *testing.T) {
	own := false
	resources := change(t, "PatchOrder", func(_, integration map[string]any) { integration["TimeoutInMillis"] = "300" })
	g := start(t, options{resources: resources, invoke: func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		if !own {
			<-ctx.Done()
		}
		return nil, fmt.Errorf("the function timed out: %w", context.DeadlineExceeded)
	}})
	if got := g.do("PATCH", "/orders/7", ""); got.status != 504 {
		t.Errorf("status is %d, want 504", got.status)
	}
	own = true
	if got := g.do("PATCH", "/orders/7", ""); got.status != 502 {
		t.Errorf("status is %d, want 502", got.status)
	}
}
