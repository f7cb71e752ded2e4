package apigateway

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// TestRefusedResources checks that provisioning refuses by name what API Gateway refuses at deployment, and what the
// local run does not support.
func TestRefusedResources(t *testing.T) {
	type change func(properties map[string]any)
	integration := func(path string, value any) change {
		return func(p map[string]any) { p["Integration"].(map[string]any)[path] = value }
	}
	responses := func(value ...any) change { return integration("IntegrationResponses", value) }
	for name, tt := range map[string]struct {
		resource string
		change   change
		want     string
	}{
		"a property it does not know": {"Api", func(p map[string]any) { p["CloneFrom"] = "other" }, "property CloneFrom is not supported by the local run"},
		"a body in a bucket":          {"Api", func(p map[string]any) { p["BodyS3Location"] = map[string]any{"Bucket": "b"} }, "BodyS3Location must be Body in the local run"},
		"a base path":                 {"Api", func(p map[string]any) { p["Parameters"] = map[string]any{"basepath": "prepend"} }, `Parameters.basepath must be ignore in the local run, got "prepend"`},
		"half a parameter":            {"Orders", func(p map[string]any) { p["PathPart"] = "order-{id}" }, `one {parameter} or {parameter+}, got "order-{id}"`},
		"a method twice":              {"GetOrder", func(p map[string]any) { p["HttpMethod"] = "PATCH" }, "HttpMethod must be one that /orders/{id} has not, got PATCH again"},
		"binary media types":          {"Api", func(p map[string]any) { p["BinaryMediaTypes"] = []any{"*/*"} }, "property BinaryMediaTypes is not supported by the local run"},
		"another API":                 {"Orders", func(p map[string]any) { p["RestApiId"] = "other" }, `RestApiId must be the RestApi of this stack, got "other"`},
		"an unknown parent":           {"Orders", func(p map[string]any) { p["ParentId"] = "nope" }, `ParentId must be a resource of the API, got "nope"`},
		"a path twice":                {"Order", func(p map[string]any) { p["ParentId"], p["PathPart"] = "root", "orders" }, `PathPart is "orders", but /orders exists`},
		"a schema that is none":       {"OrderModel", func(p map[string]any) { p["Schema"] = map[string]any{"type": "thing"} }, "property Schema"},
		"a model of another API": {"OrderModel", func(p map[string]any) {
			p["Schema"] = map[string]any{"$ref": "https://apigateway.amazonaws.com/restapis/x/models/Item"}
		}, "$ref must be https://apigateway.amazonaws.com/restapis/Api/models/<name> of a model that is declared before, got https://apigateway.amazonaws.com/restapis/x/models/Item"},
		"a model that is not there": {"OrderModel", func(p map[string]any) {
			p["Schema"] = map[string]any{"$ref": "https://apigateway.amazonaws.com/restapis/Api/models/Item"}
		}, "of a model that is declared before, got https://apigateway.amazonaws.com/restapis/Api/models/Item"},
		"a template whose #if is open":      {"PostOrders", integration("RequestTemplates", map[string]any{jsonType: "a\n#if($x)b"}), "RequestTemplates: application/json: mapping template: Parse error on line 2: #if has no #end"},
		"a template whose #foreach is open": {"PostOrders", integration("RequestTemplates", map[string]any{jsonType: "#if($x)#foreach($a in $b)x#end ## #end"}), "Parse error on line 1: #if has no #end"},
		"a response template that is open":  {"PostOrders", responses(map[string]any{"StatusCode": "500", "ResponseTemplates": map[string]any{jsonType: "#if($x)y#else z"}}), "#if has no #end"},
		"a type of response":                {"BadBody", func(p map[string]any) { p["ResponseType"] = "BAD" }, `WAF_FILTERED], got "BAD"`},
		"a deployment of no API":            {"Deployment", func(p map[string]any) { p["RestApiId"] = "" }, "RestApiId"},
		"a verb":                            {"PostOrders", func(p map[string]any) { p["HttpMethod"] = "FETCH" }, `POST PUT], got "FETCH"`},
		"an unknown model":                  {"PostOrders", func(p map[string]any) { p["RequestModels"] = map[string]any{jsonType: "Nope"} }, `must name models of the API, got "Nope"`},
		"an unknown validator":              {"PostOrders", func(p map[string]any) { p["RequestValidatorId"] = "Nope" }, `RequestValidatorId must be a validator of the API, got "Nope"`},
		"a request parameter's form":        {"PostOrders", func(p map[string]any) { p["RequestParameters"] = map[string]any{"header.X": true} }, `method.request.querystring.<name>, got "header.X"`},
		"no integration":                    {"PostOrders", func(p map[string]any) { delete(p, "Integration") }, "is missing"},
		"an HTTP integration":               {"PostOrders", integration("Type", "HTTP"), "in the local run, got HTTP"},
		"another service":                   {"PostOrders", integration("Uri", "arn:aws:apigateway:eu-central-1:sqs:path/0/queue"), "in the local run for the type AWS, got sqs:path/0/queue"},
		"a Uri that is none":                {"PostOrders", integration("Uri", "https://example.com"), "Uri must be arn:aws:apigateway"},
		"a function's Uri that is none":     {"PatchOrder", integration("Uri", "arn:aws:lambda:eu-central-1:0:function:x"), "Uri must be …:lambda:path"},
		"a stage's function":                {"PatchOrder", integration("Uri", "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/${stageVariables.fn}/invocations"), "Uri must not use stage variables in the local run"},
		"a stage's role":                    {"PostOrders", integration("Credentials", "arn:aws:iam::000000000000:role/${stageVariables.role}"), "Credentials must not use stage variables in the local run"},
		"a passthrough behavior":            {"PostOrders", integration("PassthroughBehavior", "ALWAYS"), `WHEN_NO_TEMPLATES or NEVER, got "ALWAYS"`},
		"content handling":                  {"PostOrders", integration("ContentHandling", "CONVERT_TO_TEXT"), "property Integration.ContentHandling is not supported by the local run"},
		"a template's syntax":               {"PostOrders", integration("RequestTemplates", map[string]any{jsonType: "\n#if("}), "RequestTemplates: application/json: mapping template: Parse error on line 2"},
		"too large a template":              {"PostOrders", integration("RequestTemplates", map[string]any{jsonType: strings.Repeat("x", maxTemplate+1)}), "at most 307200 bytes, got 307201"},
		"an undeclared request parameter":   {"PostOrders", integration("RequestParameters", map[string]any{"integration.request.header.X": "method.request.header.X"}), "the method does not declare method.request.header.X"},
		"a mapping's target":                {"PostOrders", integration("RequestParameters", map[string]any{"integration.request.path.x": "'a'"}), "integration.request.path.x is not supported"},
		"a mapping's source":                {"PostOrders", integration("RequestParameters", map[string]any{"integration.request.header.X": "unquoted"}), `stageVariables., got "unquoted"`},
		"a pattern":                         {"PostOrders", responses(map[string]any{"StatusCode": "500", "SelectionPattern": "(?!2)"}), "SelectionPattern"},
		"two responses of a status":         {"PostOrders", responses(map[string]any{"StatusCode": "500"}, map[string]any{"StatusCode": "500", "SelectionPattern": "4.."}), "two integration responses have the status 500"},
		"two defaults":                      {"PostOrders", responses(map[string]any{"StatusCode": "500"}, map[string]any{"StatusCode": "201"}), "only one can be the default"},
		"a status without its response":     {"PostOrders", responses(map[string]any{"StatusCode": "418"}), "the method has no response with this status"},
		"an undeclared response header":     {"PostOrders", responses(map[string]any{"StatusCode": "500", "ResponseParameters": map[string]any{"method.response.header.X": "'a'"}}), "does not declare method.response.header.X"},
	} {
		t.Run(name, func(t *testing.T) {
			resources := orders(t)
			at := slices.IndexFunc(resources, func(r template.Resource) bool { return r.LogicalID == tt.resource })
			tt.change(resources[at].Properties)
			err := provision(t, unstarted(t), resources)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRefusedTwice(t *testing.T) {
	for kind, want := range map[string]string{
		"AWS::ApiGateway::RestApi": "the stack has the REST API Api already: the local run serves one",
		"AWS::ApiGateway::Stage":   `no other stage of the API has, got "prod"`,
	} {
		resources := orders(t)
		second := resources[slices.IndexFunc(resources, func(r template.Resource) bool { return r.Type == kind })]
		second.LogicalID = "Second"
		err := provision(t, unstarted(t), append(resources, second))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}

func TestAttributes(t *testing.T) {
	s := unstarted(t)
	for _, r := range orders(t) {
		r.PhysicalName = r.LogicalID
		got, err := s.Provisions()[r.Type](t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		want, ok := map[string]template.Attributes{
			"Api":        {Ref: "Api", GetAtt: map[string]string{"RestApiId": "Api", "RootResourceId": "root"}},
			"Orders":     {Ref: "Orders", GetAtt: map[string]string{"ResourceId": "Orders"}},
			"OrderModel": {Ref: "Order"},
			"Validator":  {Ref: "Validator", GetAtt: map[string]string{"RequestValidatorId": "Validator"}},
			"Deployment": {Ref: "Deployment", GetAtt: map[string]string{"DeploymentId": "Deployment"}},
			"Stage":      {Ref: "prod"},
		}[r.LogicalID]
		if ok && (got.Ref != want.Ref || !maps.Equal(got.GetAtt, want.GetAtt)) {
			t.Errorf("%s: got %+v, want %+v", r.LogicalID, got, want)
		}
	}
	if want := "http://" + s.listener.Addr().String() + "/prod/"; s.URL() != want {
		t.Errorf("URL is %s, want %s", s.URL(), want)
	}
}

func TestRouting(t *testing.T) {
	root := newAPI().root
	add := func(parent *resource, part string, verbs ...string) *resource {
		child, err := parent.add(part, part)
		if err != nil {
			t.Fatal(err)
		}
		for _, verb := range verbs {
			child.methods[verb] = &method{}
		}
		return child
	}
	root.methods["GET"] = &method{}
	a := add(root, "a", "GET")
	add(a, "b", "GET")
	x := add(a, "{x}", "GET", "ANY")
	add(x, "c", "POST")
	add(root, "{proxy+}", "ANY")
	add(root, "only").add("child", "child")
	for _, tt := range []struct{ verb, path, resource, variable, value string }{
		{"GET", "", "/", "", ""},
		{"POST", "", "", "", ""},
		{"GET", "a", "/a", "", ""},
		{"POST", "a", "/{proxy+}", "proxy", "a"},
		{"GET", "a/b", "/a/b", "", ""},
		{"POST", "a/b", "/a/{x}", "x", "b"},
		{"GET", "a/z%2Fz", "/a/{x}", "x", "z%2Fz"},
		{"POST", "a/b/c", "/a/{x}/c", "x", "b"},
		{"GET", "a/b/c", "/{proxy+}", "proxy", "a/b/c"},
		{"GET", "only", "/{proxy+}", "proxy", "only"},
		{"PUT", "z/z%20z", "/{proxy+}", "proxy", "z/z%20z"},
	} {
		parameters := map[string]string{}
		var parts []string
		if tt.path != "" {
			parts = strings.Split(tt.path, "/")
		}
		found, m := root.match(tt.verb, parts, parameters)
		got := ""
		if m != nil {
			got = found.path
		}
		if got != tt.resource || parameters[tt.variable] != tt.value || (tt.variable == "") != (len(parameters) == 0) {
			t.Errorf("%s %s: got %q %v, want %q %s=%s", tt.verb, tt.path, got, parameters, tt.resource, tt.variable, tt.value)
		}
	}
}

// unstarted returns a service that does not run.
func unstarted(t testing.TB) *Service {
	t.Helper()
	s, err := New(t.Context(), Config{Cloud: cloud.New("eu-central-1")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}
