package apigateway

import (
	"net/http"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// TestOverridesOfTheRequestTemplate checks that the response's template sees them, and may set them anew.
// Source: API Gateway developer guide, apigateway-override-request-response-parameters.
func TestOverridesOfTheRequestTemplate(t *testing.T) {
	resources := change(t, "GetOrder", func(_, integration map[string]any) {
		integration["RequestTemplates"] = map[string]any{jsonType: `#set($context.responseOverride.status = 444)
			#set($context.responseOverride.header.X-A = 'one')#set($context.responseOverride.header.X-B = ['b', 'c'])#set($context.requestOverride.header.X-C = 'three'){}`}
		integration["IntegrationResponses"] = []any{map[string]any{"StatusCode": "200", "ResponseTemplates": map[string]any{
			jsonType: `$context.responseOverride.status $context.responseOverride.header.X-A $context.responseOverride.header['X-B'][1] $context.requestOverride.header['X-C']` +
				`#if($input.path('$.again') == 'yes')#set($context.responseOverride.status = 445)#set($context.responseOverride.header.X-A = 'two')#end`,
		}}}
	})
	g := start(t, options{resources: resources})
	got := g.do("GET", "/orders/7", "")
	if got.status != 444 || got.body != "444 one c three" || got.header.Get("X-A") != "one" || len(got.header.Values("X-B")) != 2 {
		t.Errorf("got %+v", got)
	}
	g.dynamoDB.answers(200, `{"again":"yes"}`)
	if got := g.do("GET", "/orders/7", ""); got.status != 445 || got.header.Get("X-A") != "two" {
		t.Errorf("got %+v", got)
	}
}

// TestMalformedBodies checks that a body that begins like JSON and is none fails when a template reads it: with 400 in the
// request, with 500 in the response.
func TestMalformedBodies(t *testing.T) {
	for name, tt := range map[string]struct {
		template, sent, returned string
		status                   int
	}{
		"an object in the request": {`$input.json('$')`, `{"a":`, `{}`, 400},
		"a list in the request":    {`$input.path('$')`, ` [1,`, `{}`, 400},
		"a text in the request":    {`$input.json('$')`, `text`, `{}`, 200},
		"not read in the request":  {`$input.body`, `{"a":`, `{}`, 200},
		"an object in the answer":  {`{}`, `{}`, `{"a":`, 500},
		"a text in the answer":     {`{}`, `{}`, `text`, 200},
	} {
		t.Run(name, func(t *testing.T) {
			resources := change(t, "GetOrder", func(p, integration map[string]any) {
				p["HttpMethod"] = "PUT"
				integration["RequestTemplates"] = map[string]any{jsonType: tt.template}
				integration["IntegrationResponses"] = []any{map[string]any{"StatusCode": "200", "ResponseTemplates": map[string]any{jsonType: `$input.json('$')`}}}
			})
			g := start(t, options{resources: resources})
			g.dynamoDB.answers(200, tt.returned)
			if got := g.do("PUT", "/orders/7", tt.sent); got.status != tt.status {
				t.Errorf("status is %d, want %d: %s", got.status, tt.status, got.body)
			}
		})
	}
}

// TestMappedResponseHeaders checks that names of API Gateway and of the connection are remapped.
// Source: API Gateway developer guide, api-gateway-known-issues, and responses recorded on AWS.
func TestMappedResponseHeaders(t *testing.T) {
	const remapped = "Authorization Connection Content-Length Content-MD5 Date Expect Host Max-Forwards Proxy-Authenticate Server Trailer Upgrade User-Agent WWW-Authenticate"
	const kept = "Accept Age Content-Encoding Pragma Range Referer Via Warn X-Own"
	resources := change(t, "GetOrder", func(p, integration map[string]any) {
		declared, mapped := map[string]any{}, map[string]any{}
		for _, name := range strings.Fields(remapped + " " + kept + " Transfer-Encoding") {
			declared["method.response.header."+name] = true
			mapped["method.response.header."+name] = "'value of " + name + "'"
		}
		p["MethodResponses"] = []any{map[string]any{"StatusCode": "200", "ResponseParameters": declared}}
		integration["IntegrationResponses"] = []any{map[string]any{"StatusCode": "200", "ResponseParameters": mapped}}
	})
	g := start(t, options{resources: resources})
	got := g.do("GET", "/orders/7", "")
	for _, name := range strings.Fields(remapped) {
		if value := got.header.Get("x-amzn-Remapped-" + name); value != "value of "+name {
			t.Errorf("x-amzn-Remapped-%s is %q", name, value)
		}
		if strings.HasPrefix(got.header.Get(name), "value of") {
			t.Errorf("%s is %q", name, got.header.Get(name))
		}
	}
	for _, name := range strings.Fields(kept) {
		if value := got.header.Get(name); value != "value of "+name {
			t.Errorf("%s is %q", name, value)
		}
	}
	if got.status != 200 || got.header.Get("x-amzn-Remapped-Transfer-Encoding") != "" {
		t.Errorf("got %+v", got)
	}
}

// TestRequestMappingsThatFail has those that were recorded as 500 on AWS.
func TestRequestMappingsThatFail(t *testing.T) {
	for name, want := range map[string]struct{ aws, mock int }{
		"Content-Length": {500, 500}, "Transfer-Encoding": {500, 500}, "X-Amzn-Trace-Id": {500, 500},
		"Authorization": {500, 200}, "Connection": {500, 200}, "Expect": {500, 200}, "Proxy-Authenticate": {500, 200}, "TE": {500, 200},
		"Accept": {200, 200}, "Date": {200, 200}, "X-Own": {200, 200},
	} {
		t.Run(name, func(t *testing.T) {
			mapping := func(p, integration map[string]any) {
				p["MethodResponses"] = []any{map[string]any{"StatusCode": "200"}}
				integration["RequestParameters"] = map[string]any{"integration.request.header." + name: "'1'"}
				integration["RequestTemplates"] = map[string]any{jsonType: `{"statusCode":200}`}
				integration["IntegrationResponses"] = []any{map[string]any{"StatusCode": "200"}}
			}
			g := start(t, options{resources: change(t, "GetOrder", mapping)})
			if got := g.do("GET", "/orders/7", ""); got.status != want.aws {
				t.Errorf("AWS: status is %d, want %d", got.status, want.aws)
			}
			g = start(t, options{resources: change(t, "GetOrder", func(p, integration map[string]any) {
				mapping(p, integration)
				integration["Type"] = "MOCK"
			})})
			if got := g.do("GET", "/orders/7", ""); got.status != want.mock {
				t.Errorf("MOCK: status is %d, want %d", got.status, want.mock)
			}
		})
	}
}

// TestMock has the request templates of a mock integration, and that its response has no trace header.
// Source: API Gateway developer guide, how-to-mock-integration; headers recorded on AWS in August 2024.
func TestMock(t *testing.T) {
	for body, want := range map[string]int{
		`{"statusCode": 200}`: 200, `{ statusCode: 200 }`: 200, `{'statusCode': 200, x: 'a: "b"'}`: 200, "{\n  statusCode : 200,\n  \"a: b\": {c: [1]}\n}": 200,
		`{"statusCode": "200"}`: 500, `{"statusCode": 200`: 500, `statusCode: 200`: 500, `{}`: 500, ``: 500, `{"statusCode": 200.5}`: 500, `{"statusCode": 99}`: 500,
		`{"other": "statusCode: 200"}`: 500,
	} {
		resources := change(t, "GetOrder", func(p, integration map[string]any) {
			p["MethodResponses"] = []any{map[string]any{"StatusCode": "200"}}
			integration["Type"], integration["RequestTemplates"] = "MOCK", map[string]any{jsonType: body}
			integration["IntegrationResponses"] = []any{map[string]any{"StatusCode": "200"}}
		})
		g := start(t, options{resources: resources})
		got := g.do("GET", "/orders/7", "")
		if got.status != want {
			t.Errorf("%s: status is %d, want %d", body, got.status, want)
		}
		if got.header.Get("X-Amzn-Trace-Id") != "" || got.header.Get("X-Amzn-Requestid") == "" {
			t.Errorf("%s: headers are %v", body, got.header)
		}
		g.end()
	}
}

func TestTraceHeaderOfABackend(t *testing.T) {
	f := &recorder{answer: `{}`}
	g := start(t, options{invoke: f.invoke})
	if got := g.do("PATCH", "/orders/7", "", "X-Amzn-Trace-Id", "Root=1-6748a000-0123456789abcdef01234567"); !strings.HasPrefix(got.header.Get("X-Amzn-Trace-Id"), "Root=1-6748a000-0123456789abcdef01234567") {
		t.Errorf("the trace is %q", got.header.Get("X-Amzn-Trace-Id"))
	}
	if got := g.do("GET", "/nowhere", ""); got.status != http.StatusForbidden || got.header.Get("X-Amzn-Trace-Id") != "" {
		t.Errorf("a response of the gateway itself has the trace %q", got.header.Get("X-Amzn-Trace-Id"))
	}
}

// TestModelsReferToModels has the models and bodies that were recorded on AWS in October 2024.
// Source: API Gateway developer guide, models-mappings-models, "Creating more complex models".
func TestModelsReferToModels(t *testing.T) {
	a := api{id: "abc", models: map[string]*model{"Empty": {}}}
	add := func(name, schema string) {
		t.Helper()
		if err := a.addModel(name, []byte(schema)); err != nil {
			t.Fatal(err)
		}
	}
	const ref = `{"$ref":"https://apigateway.amazonaws.com/restapis/abc/models/`
	add("testSchema", `{"$schema":"http://json-schema.org/draft-04/schema#","type":"object","properties":{"a":{"type":"number"},"b":{"type":"number"}},"required":["a","b"]}`)
	add("testSchemaList", `{"type":"array","items":`+ref+`testSchema"}}`)
	add("StatusModel", `{"type":"object","properties":{"Status":{"type":"string"},"Order":{"type":"integer"}},"required":["Status","Order"]}`)
	add("TestModel", `{"type":"object","properties":{"status":{"oneOf":[{"type":"null"},`+ref+`StatusModel"}]}},"required":["status"]}`)
	add("Chain", `{"type":"object","properties":{"list":`+ref+`testSchemaList"},"any":`+ref+`Empty"},"next":`+ref+`Chain"}}}`)
	for _, tt := range []struct {
		model, body string
		ok          bool
	}{
		{"testSchemaList", `[{"a":1,"b":2}]`, true},
		{"testSchemaList", `[{"a":1}]`, false},
		{"TestModel", `{"status":null}`, true},
		{"TestModel", `{"status":{"Status":"works","Order":1}}`, true},
		{"TestModel", `{"status":{"Status":"works"}}`, false},
		{"TestModel", `{"status":{"Status":"works","Order":1.0}}`, false},
		{"TestModel", `{}`, false},
		{"Chain", `{"next":{"list":[{"a":1,"b":2}]},"any":7}`, true},
		{"Chain", `{"next":{"list":[{"a":"x","b":2}]}}`, false},
	} {
		if err := a.models[tt.model].validate([]byte(tt.body)); (err == nil) != tt.ok {
			t.Errorf("%s, %s: %v", tt.model, tt.body, err)
		}
	}
}

// TestModelsOfAStack checks the reference as CDK writes it, with the id of the API.
func TestModelsOfAStack(t *testing.T) {
	resources := orders(t)
	for i, r := range resources {
		if r.LogicalID == "OrderModel" {
			id := template.Resource{LogicalID: "Id", Type: r.Type, Properties: map[string]any{"RestApiId": "Api", "Name": "Id", "Schema": map[string]any{"type": "string"}}}
			r.Properties["Schema"] = map[string]any{"type": "object", "properties": map[string]any{"customerId": map[string]any{"$ref": "https://apigateway.amazonaws.com/restapis/Api/models/Id"}}}
			resources = append(resources[:i:i], append([]template.Resource{id}, resources[i:]...)...)
			break
		}
	}
	g := start(t, options{resources: resources})
	if got := g.do("POST", "/orders", `{"customerId":7}`); got.status != 400 {
		t.Errorf("status is %d, want 400", got.status)
	}
	if got := g.do("POST", "/orders", `{"customerId":"7","currency":"EUR","items":[]}`); got.status != 201 {
		t.Errorf("status is %d, want 201: %s", got.status, got.body)
	}
}
