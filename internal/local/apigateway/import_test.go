package apigateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// definition returns the API of testdata/orders.json as a document in testdata: "orders.openapi.json" or
// "orders.swagger.json".
func definition(t testing.TB, name string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile("local/apigateway/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	return document
}

// imported returns the resources of an API with a Body, whose stage is that of testdata/orders.json.
func imported(t testing.TB, document map[string]any, beside ...template.Resource) []template.Resource {
	t.Helper()
	resources := append([]template.Resource{{LogicalID: "Api", Type: "AWS::ApiGateway::RestApi", Properties: map[string]any{"Body": document}}}, beside...)
	for _, r := range orders(t) {
		if r.Type == "AWS::ApiGateway::Deployment" || r.Type == "AWS::ApiGateway::Stage" {
			resources = append(resources, r)
		}
	}
	return resources
}

// TestDefinitions sends the same requests to the API that the template declares by resources and to those that it declares
// by OpenAPI and Swagger: answers and backends' requests must be the same.
func TestDefinitions(t *testing.T) {
	requests := map[string]struct {
		method, path, body string
		header             []string
	}{
		"an order":             {"POST", "/orders", goodOrder, []string{"Idempotency-Key", "k"}},
		"a bad order":          {"POST", "/orders", `{"customerId":"c"}`, nil},
		"a bad item":           {"POST", "/orders", `{"customerId":"c-1","currency":"EUR","items":[{"sku":"s","quantity":0}]}`, nil},
		"a type without model": {"POST", "/orders", `<order/>`, []string{"Content-Type", "text/xml"}},
		"a look":               {"GET", "/orders/a%20b", "", nil},
		"a function":           {"PATCH", "/orders/7?x=1", `{}`, nil},
		"a preflight":          {"OPTIONS", "/orders", "", nil},
		"no such resource":     {"GET", "/nothing", "", nil},
	}
	calls := func(resources []template.Resource) map[string]string {
		f := &recorder{answer: `{"statusCode": 201, "body": "done"}`}
		g := start(t, options{resources: resources, invoke: f.invoke})
		got := map[string]string{}
		for name, r := range requests {
			g.dynamoDB.target, g.dynamoDB.body, f.raw = "", nil, nil
			a := g.do(r.method, r.path, r.body, append(r.header, "X-Amzn-RequestId", "r")...)
			for _, own := range []string{"Date", "X-Amz-Apigw-Id", "X-Amzn-Trace-Id"} {
				a.header.Del(own)
			}
			got[name] = compact(map[string]any{
				"status": a.status, "header": a.header, "body": a.body, "target": g.dynamoDB.target, "invoked": f.raw != nil,
				"sent": withoutTimes(string(g.dynamoDB.body)),
			})
		}
		return got
	}
	want := calls(orders(t))
	for _, name := range []string{"orders.openapi.json", "orders.swagger.json"} {
		got := calls(imported(t, definition(t, name)))
		for request := range requests {
			if got[request] != want[request] {
				t.Errorf("%s: %s:\n got %s\nwant %s", name, request, got[request], want[request])
			}
		}
	}
}

// withoutTimes returns the request of an order without the times in it.
func withoutTimes(sent string) string {
	before, _, _ := strings.Cut(sent, `"occurredAt"`)
	return before
}

func authorizeNobody(*http.Request, []byte, string) error { return errors.New("nobody") }

// A method of a definition is authorized as its security says.
func TestSecurityOfADefinition(t *testing.T) {
	for name, tt := range map[string]struct {
		security []any
		scheme   map[string]any
		status   int
		want     string // of the error at the start
	}{
		"IAM":           {[]any{map[string]any{"s": []any{}}}, map[string]any{"type": "apiKey", "x-amazon-apigateway-authtype": "awsSigv4"}, 403, ""},
		"none, of SAM":  {[]any{map[string]any{"NONE": []any{}}}, map[string]any{"type": "apiKey"}, 201, ""},
		"nobody":        {[]any{}, map[string]any{"type": "apiKey"}, 201, ""},
		"a key":         {[]any{map[string]any{"s": []any{}}}, map[string]any{"type": "apiKey", "name": "x-api-key", "in": "header"}, 403, ""},
		"an authorizer": {[]any{map[string]any{"s": []any{}}}, map[string]any{"type": "apiKey", "x-amazon-apigateway-authtype": "custom", "x-amazon-apigateway-authorizer": map[string]any{}}, 0, `AuthorizationType must be NONE or AWS_IAM with --auth, since the local run calls no authorizer, got "CUSTOM"`},
		"a user pool":   {[]any{map[string]any{"s": []any{}}}, map[string]any{"type": "apiKey", "x-amazon-apigateway-authtype": "cognito_user_pools"}, 0, `got "COGNITO_USER_POOLS"`},
		"OAuth":         {[]any{map[string]any{"s": []any{}}}, map[string]any{"type": "oauth2"}, 0, `security scheme s must be an x-api-key or have x-amazon-apigateway-authtype, got the type "oauth2"`},
		"no such one":   {[]any{map[string]any{"other": []any{}}}, map[string]any{"type": "apiKey"}, 0, `security must name security schemes of the definition, got "other"`},
	} {
		t.Run(name, func(t *testing.T) {
			document := definition(t, "orders.swagger.json")
			at(t, document, "paths", "/orders", "post").(map[string]any)["security"] = tt.security
			document["securityDefinitions"] = map[string]any{"s": tt.scheme}
			s := unstarted(t)
			s.config.AuthorizeCaller = authorizeNobody
			err := provision(t, s, imported(t, document))
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error is %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			g := start(t, options{resources: imported(t, document), configure: func(c *Config) { c.AuthorizeCaller = authorizeNobody }})
			if got := g.do("POST", "/orders", goodOrder); got.status != tt.status {
				t.Errorf("status is %d, want %d", got.status, tt.status)
			}
		})
	}
}

// Parameters are required by the operation, or by its path for all operations.
func TestParametersOfADefinition(t *testing.T) {
	document := definition(t, "orders.openapi.json")
	item := at(t, document, "paths", "/orders/{id}").(map[string]any)
	item["parameters"] = append(item["parameters"].([]any), map[string]any{"in": "header", "name": "X-Shop", "required": true}, map[string]any{"in": "query", "name": "deep", "required": true})
	item["get"].(map[string]any)["parameters"] = []any{map[string]any{"in": "query", "name": "q", "required": true}, map[string]any{"in": "query", "name": "deep", "required": false}}
	g := start(t, options{resources: imported(t, document)})
	got := g.do("GET", "/orders/7", "")
	if got.status != 400 || !strings.Contains(got.body, "[X-Shop, q]") {
		t.Errorf("without both: got %d %s", got.status, got.body)
	}
	if got := g.do("GET", "/orders/7?q=1", "", "X-Shop", "s"); got.status != 404 {
		t.Errorf("with both: got %d %s, want the answer for an order that is not there", got.status, got.body)
	}
}

// TestRefusedDefinitions checks that the start names everything that is wrong with a definition, at its place.
func TestRefusedDefinitions(t *testing.T) {
	document := definition(t, "orders.openapi.json")
	post := at(t, document, "paths", "/orders", "post").(map[string]any)
	get := at(t, document, "paths", "/orders/{id}", "get").(map[string]any)
	paths := document["paths"].(map[string]any)
	document["openapi"] = "3.1.0"
	post["requestBody"] = map[string]any{"content": map[string]any{"application/json": map[string]any{"schema": map[string]any{"type": "thing"}}}}
	post["parameters"] = []any{map[string]any{"in": "cookie", "name": "c"}, map[string]any{"$ref": "#/components/parameters/None"}}
	post["x-amazon-apigateway-integration"] = map[string]any{"$ref": "#/components/x-amazon-apigateway-integrations/None"}
	get["x-amazon-apigateway-request-validator"] = "none"
	paths["/http"] = map[string]any{"get": map[string]any{"x-amazon-apigateway-integration": map[string]any{"type": "http_proxy", "uri": "https://example.com"}}}
	paths["/none"] = map[string]any{"get": map[string]any{}}
	paths["/undeclared"] = map[string]any{"get": map[string]any{"x-amazon-apigateway-integration": map[string]any{"type": "mock", "responses": map[string]any{"default": map[string]any{"statusCode": "200"}}}}}
	paths["/orders/{other}"] = map[string]any{}
	paths["relative"] = map[string]any{}
	at(t, document, "components", "schemas").(map[string]any)["bad_name"] = map[string]any{}
	at(t, document, "components", "schemas").(map[string]any)["Lost"] = map[string]any{"$ref": "#/components/schemas/Nowhere"}
	document["x-amazon-apigateway-gateway-responses"] = map[string]any{"BAD": map[string]any{}}
	err := provision(t, unstarted(t), imported(t, document))
	if err == nil {
		t.Fatal("nothing is refused")
	}
	for _, want := range []string{
		`property Body: openapi must be 3.0, or swagger 2.0, got openapi "3.1.0" and swagger ""`,
		`property Body.x-amazon-apigateway-gateway-responses: ResponseType must be one of`,
		`property Body: the name of a schema must be letters and digits, got "bad_name"`,
		`property Body.schemas.Lost: `,
		`property Body.paths./orders.post: parameters: in must be query, header, path or body, got "cookie"`,
		`parameters: $ref must be #/components/parameters/<name> or #/parameters/<name> of the definition, got "#/components/parameters/None"`,
		`schema of application/json: `,
		`x-amazon-apigateway-integration: $ref must be #/components/x-amazon-apigateway-integrations/<name> of the definition, got "#/components/x-amazon-apigateway-integrations/None"`,
		`property Body.paths./orders/{id}.get: RequestValidatorId must be a validator of the API, got "none"`,
		`property Body.paths./http.get: property Integration: Type must be AWS (DynamoDB), AWS_PROXY (Lambda) or MOCK in the local run, got HTTP_PROXY`,
		`property Body.paths./none.get: x-amazon-apigateway-integration is missing`,
		`property Body.paths./undeclared.get: property Integration: integration response 200: the method has no response with this status`,
		`property Body.paths./orders/{other}: PathPart is "{other}", but /orders/{id} exists beside it`,
		`property Body.paths.relative: a path must begin with /, got "relative"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
}

// A field that the local run does not read is refused by its name: an extension that would be missed.
func TestUnknownExtensions(t *testing.T) {
	document := definition(t, "orders.openapi.json")
	document["x-amazon-apigateway-binary-media-types"] = []any{"image/png"}
	post := at(t, document, "paths", "/orders", "post").(map[string]any)
	post["x-amazon-apigateway-new"] = true
	document["components"].(map[string]any)["x-amazon-apigateway-integrations"].(map[string]any)["Post"].(map[string]any)["tlsConfig"] = map[string]any{}
	err := provision(t, unstarted(t), imported(t, document))
	for _, want := range []string{
		"property Body.x-amazon-apigateway-binary-media-types is not supported by the local run",
		"property Body.paths./orders.post.x-amazon-apigateway-new is not supported by the local run",
		"property Body.components.x-amazon-apigateway-integrations.Post.tlsConfig is not supported by the local run",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}

// Resources that the template declares beside the Body are made after it, and must not be in it too.
func TestResourcesBesideADefinition(t *testing.T) {
	beside := func(id, part string) template.Resource {
		return template.Resource{LogicalID: id, Type: "AWS::ApiGateway::Resource", Properties: map[string]any{"RestApiId": "Api", "ParentId": "root", "PathPart": part}}
	}
	method := template.Resource{LogicalID: "GetHealth", Type: "AWS::ApiGateway::Method", Properties: map[string]any{
		"RestApiId": "Api", "ResourceId": "Health", "HttpMethod": "GET", "MethodResponses": []any{map[string]any{"StatusCode": "200"}},
		"Integration": map[string]any{"Type": "MOCK", "RequestTemplates": map[string]any{jsonType: `{"statusCode": 200}`}, "IntegrationResponses": []any{map[string]any{"StatusCode": "200"}}},
	}}
	g := start(t, options{resources: imported(t, definition(t, "orders.openapi.json"), beside("Health", "health"), method)})
	if got := g.do("GET", "/health", ""); got.status != 200 {
		t.Errorf("status is %d %s, want 200", got.status, got.body)
	}
	model := template.Resource{LogicalID: "Model", Type: "AWS::ApiGateway::Model", Properties: map[string]any{"RestApiId": "Api", "Name": "Order", "Schema": map[string]any{}}}
	for want, twice := range map[string]template.Resource{
		`PathPart is "orders", but /orders exists beside it`:               beside("Orders", "orders"),
		`Name must be one that no other model of the API has, got "Order"`: model,
	} {
		err := provision(t, unstarted(t), imported(t, definition(t, "orders.openapi.json"), twice))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}
