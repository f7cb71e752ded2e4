package apigateway

import (
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// change applies a function to one resource of the reference stack.
func change(t testing.TB, logicalID string, apply func(properties, integration map[string]any)) []template.Resource {
	t.Helper()
	resources := orders(t)
	for _, r := range resources {
		if r.LogicalID == logicalID {
			apply(r.Properties, r.Properties["Integration"].(map[string]any))
		}
	}
	return resources
}

func TestParameterMappings(t *testing.T) {
	headers := map[string]string{
		"X-Constant": "'a constant'", "X-Header": "integration.response.header.X-Amzn-RequestId", "X-Body": "integration.response.body.Item.id['S']",
		"X-Missing": "integration.response.body.Item.nope", "X-Context": "context.requestId", "X-Deep": "context.identity.sourceIp", "X-Stage": "stageVariables.name",
	}
	resources := change(t, "GetOrder", func(p, integration map[string]any) {
		declared, mapped := map[string]any{}, map[string]any{}
		for name, source := range headers {
			declared["method.response.header."+name] = false
			mapped["method.response.header."+name] = source
		}
		p["RequestParameters"] = map[string]any{"method.request.path.id": true, "method.request.querystring.q": false, "method.request.header.If-Match": false}
		p["MethodResponses"] = []any{map[string]any{"StatusCode": "200", "ResponseParameters": declared}}
		integration["RequestParameters"] = map[string]any{
			"integration.request.header.X-Path": "method.request.path.id", "integration.request.header.X-Query": "method.request.querystring.q",
			"integration.request.header.X-If": "method.request.header.If-Match", "integration.request.header.X-Target": "'fixed'",
			"integration.request.header.X-None": "stageVariables.nope",
		}
		integration["IntegrationResponses"] = []any{map[string]any{"StatusCode": "200", "ResponseParameters": mapped}}
	})
	g := start(t, options{resources: resources})
	g.dynamoDB.answers(200, `{"Item":{"id":{"S":"7"}}}`)
	got := g.do("GET", "/orders/7?q=1&q=2", "", "If-Match", "v1")
	if got.status != 200 || got.body != `{"Item":{"id":{"S":"7"}}}` {
		t.Fatalf("without a template the body passes through: %+v", got)
	}
	for name, want := range map[string]string{
		"X-Constant": "a constant", "X-Header": "backend-1", "X-Body": "7", "X-Missing": "", "X-Context": got.header.Get("x-amzn-RequestId"),
		"X-Deep": "127.0.0.1", "X-Stage": "blue",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.header.Get(name), want)
		}
	}
	for name, want := range map[string]string{"X-Path": "7", "X-Query": "2", "X-If": "v1", "X-Target": "fixed", "X-None": ""} {
		if g.dynamoDB.header.Get(name) != want {
			t.Errorf("the backend's %s is %q, want %q", name, g.dynamoDB.header.Get(name), want)
		}
	}
}

// TestNoIntegrationResponse checks that a status without an integration response does not become a success.
func TestNoIntegrationResponse(t *testing.T) {
	resources := change(t, "GetOrder", func(_, integration map[string]any) {
		integration["IntegrationResponses"] = integration["IntegrationResponses"].([]any)[:1]
	})
	g := start(t, options{resources: resources})
	g.dynamoDB.answers(400, `{"__type":"ValidationException"}`)
	got := g.do("GET", "/orders/7", "")
	if got.status != 500 {
		t.Errorf("status is %d, want 500", got.status)
	}
	wantJSON(t, got.body, `{"message":"Internal server error"}`)
	if h := <-g.hops; !strings.Contains(h.Detail, "no integration response for the backend's status 400") {
		t.Errorf("the hop does not say why: %s", h.Detail)
	}
}

// TestSelectionPattern checks that a pattern must match the whole status, as with Java's matches.
func TestSelectionPattern(t *testing.T) {
	for pattern, want := range map[string]int{"40": 500, "400": 200, `4\d{2}`: 200, "200|400": 200, ".": 500} {
		resources := change(t, "GetOrder", func(_, integration map[string]any) {
			integration["IntegrationResponses"].([]any)[0].(map[string]any)["SelectionPattern"] = pattern
			delete(integration["IntegrationResponses"].([]any)[0].(map[string]any), "ResponseTemplates")
		})
		g := start(t, options{resources: resources})
		g.dynamoDB.answers(400, `{}`)
		if got := g.do("GET", "/orders/7", ""); got.status != want {
			t.Errorf("%s: status is %d, want %d", pattern, got.status, want)
		}
	}
}

func TestPassthrough(t *testing.T) {
	for name, tt := range map[string]struct {
		behavior    string
		templates   map[string]any
		contentType string
		status      int
		sent        string
	}{
		"never":                           {never, map[string]any{jsonType: "t"}, "text/plain", 415, ""},
		"never, without templates":        {never, nil, jsonType, 415, ""},
		"no templates":                    {whenNoTemplates, nil, "text/plain", 404, "body"},
		"no templates, but one":           {whenNoTemplates, map[string]any{jsonType: "t"}, "text/plain", 415, ""},
		"no match":                        {whenNoMatch, map[string]any{jsonType: "t"}, "text/plain", 404, "body"},
		"no match, matched":               {whenNoMatch, map[string]any{jsonType: "t"}, "Application/JSON;charset=utf-8", 404, "t"},
		"no content type means JSON":      {never, map[string]any{jsonType: "t"}, "", 404, "t"},
		"$default for every other type":   {never, map[string]any{jsonType: "t", "$default": "d"}, "text/plain", 404, "d"},
		"no behavior means no match":      {"", map[string]any{jsonType: "t"}, "text/plain", 404, "body"},
		"a type of its own before JSON's": {never, map[string]any{jsonType: "t", "text/plain": "p"}, "text/plain", 404, "p"},
	} {
		t.Run(name, func(t *testing.T) {
			resources := change(t, "GetOrder", func(p, integration map[string]any) {
				p["HttpMethod"] = "PUT"
				integration["PassthroughBehavior"], integration["RequestTemplates"] = tt.behavior, tt.templates
			})
			g := start(t, options{resources: resources})
			got := g.do("PUT", "/orders/7", "body", "Content-Type", tt.contentType)
			if got.status != tt.status || string(g.dynamoDB.body) != tt.sent {
				t.Errorf("status is %d and DynamoDB got %q, want %d and %q", got.status, g.dynamoDB.body, tt.status, tt.sent)
			}
		})
	}
}

// TestFailingTemplate checks that only the hop, and not the response, contains the reason why a template failed.
func TestFailingTemplate(t *testing.T) {
	resources := change(t, "GetOrder", func(_, integration map[string]any) {
		integration["RequestTemplates"] = map[string]any{jsonType: "$input.params('id').nope()"}
	})
	g := start(t, options{resources: resources})
	got := g.do("GET", "/orders/7", "")
	if got.status != 500 {
		t.Errorf("status is %d, want 500", got.status)
	}
	wantJSON(t, got.body, `{"message":"Internal server error"}`)
	if h := <-g.hops; !strings.Contains(h.Detail, "request template of application/json: mapping template: the local run knows no method nope of a string") {
		t.Errorf("the hop does not say why: %s", h.Detail)
	}
}
