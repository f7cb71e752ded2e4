package apigateway

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/guard/guardtest"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// onDomain returns the orders API with a custom domain name and mappings of the given properties.
func onDomain(t testing.TB, mappings ...map[string]any) []template.Resource {
	t.Helper()
	resources := append(orders(t), template.Resource{LogicalID: "Domain", Type: "AWS::ApiGateway::DomainName", Properties: map[string]any{
		"DomainName": "api.example.com", "RegionalCertificateArn": "arn:aws:acm:eu-central-1:000000000000:certificate/c", "EndpointConfiguration": map[string]any{"Types": []any{"REGIONAL"}},
	}})
	for _, m := range mappings {
		kind := "AWS::ApiGateway::BasePathMapping"
		if m["ApiId"] != nil {
			kind = "AWS::ApiGatewayV2::ApiMapping"
		}
		resources = append(resources, template.Resource{LogicalID: "Mapping", Type: kind, Properties: m})
	}
	return resources
}

func basePath(path, stage string) map[string]any {
	return map[string]any{"DomainName": "api.example.com", "RestApiId": "Api", "BasePath": path, "Stage": stage}
}

func apiMapping(key, stage string) map[string]any {
	return map[string]any{"DomainName": "api.example.com", "ApiId": "Api", "ApiMappingKey": key, "Stage": stage}
}

// TestCustomDomain checks which requests below a domain arrive, and the paths that a function then sees.
func TestCustomDomain(t *testing.T) {
	for name, tt := range map[string]struct {
		mappings     []map[string]any
		path         string
		status       int
		event, whole string
	}{
		"a base path":                {[]map[string]any{basePath("v1", "prod")}, "/api.example.com/v1/orders/7", 200, "/v1/orders/7", "/v1/orders/7"},
		"no base path":               {[]map[string]any{basePath("", "prod")}, "/api.example.com/orders/7", 200, "/orders/7", "/orders/7"},
		"none, spelled out":          {[]map[string]any{basePath("(none)", "prod")}, "/api.example.com/orders/7", 200, "/orders/7", "/orders/7"},
		"no stage":                   {[]map[string]any{basePath("v1", "")}, "/api.example.com/v1/prod/orders/7", 200, "/v1/prod/orders/7", "/v1/prod/orders/7"},
		"no stage, another":          {[]map[string]any{basePath("v1", "")}, "/api.example.com/v1/test/orders/7", 403, "", ""},
		"several segments":           {[]map[string]any{apiMapping("shop/v1", "prod")}, "/api.example.com/shop/v1/orders/7", 200, "/shop/v1/orders/7", "/shop/v1/orders/7"},
		"the longest":                {[]map[string]any{apiMapping("", "prod"), apiMapping("shop", "prod"), apiMapping("shop/orders", "prod")}, "/api.example.com/shop/orders/orders/7", 200, "/shop/orders/orders/7", "/shop/orders/orders/7"},
		"a longer name":              {[]map[string]any{basePath("v1", "prod")}, "/api.example.com/v1orders/7", 403, "", ""},
		"a path that no one maps":    {[]map[string]any{basePath("v1", "prod")}, "/api.example.com/orders/7", 403, "", ""},
		"another domain":             {[]map[string]any{basePath("v1", "prod")}, "/other.example.com/v1/orders/7", 403, "", ""},
		"the stage, as without them": {[]map[string]any{basePath("v1", "prod")}, "/prod/orders/7", 200, "/orders/7", "/prod/orders/7"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &recorder{answer: `{}`}
			g := start(t, options{resources: onDomain(t, tt.mappings...), invoke: f.invoke})
			if got := g.call("PATCH", "http://"+g.listener.Addr().String()+tt.path, ""); got.status != tt.status {
				t.Fatalf("status is %d %s, want %d", got.status, got.body, tt.status)
			}
			if tt.status != 200 {
				return
			}
			if event, whole := at(t, f.event, "path"), at(t, f.event, "requestContext", "path"); event != tt.event || whole != tt.whole {
				t.Errorf("the paths are %v and %v, want %s and %s", event, whole, tt.event, tt.whole)
			}
			wantDomain, wantPrefix := "api.example.com", "api"
			if strings.HasPrefix(tt.path, "/prod/") {
				wantDomain, wantPrefix = "127.0.0.1", "Api"
			}
			if domain, prefix := at(t, f.event, "requestContext", "domainName"), at(t, f.event, "requestContext", "domainPrefix"); domain != wantDomain || prefix != wantPrefix {
				t.Errorf("the domain is %v, its prefix %v", domain, prefix)
			}
			if id := at(t, f.event, "pathParameters", "id"); id != "7" {
				t.Errorf("the path parameter is %v", id)
			}
		})
	}
}

// The start prints where a domain is served, and its outputs lead there. No page of another site does.
func TestDomainsAreLocal(t *testing.T) {
	g := start(t, options{resources: onDomain(t, basePath("", "prod"), basePath("v1", "prod"))})
	at := "http://" + g.listener.Addr().String() + "/api.example.com/"
	if want := map[string]string{"api.example.com": at, "api.example.com/v1": at + "v1/"}; !maps.Equal(g.Mapped(), want) {
		t.Errorf("mapped %v, want %v", g.Mapped(), want)
	}
	if got := g.Local("https://api.example.com/v1/orders"); got != at+"v1/orders" {
		t.Errorf("local is %s", got)
	}
	guardtest.Closed(t, func() *http.Request { return guardtest.Request(t, http.MethodPost, at+"orders", `{}`) })
}

func TestRefusedDomains(t *testing.T) {
	domain := func(name string) []template.Resource {
		return append(orders(t), template.Resource{LogicalID: "Domain", Type: "AWS::ApiGateway::DomainName", Properties: map[string]any{"DomainName": name}})
	}
	other := apiMapping("v1", "prod")
	other["ApiId"] = "http"
	elsewhere := basePath("v1", "prod")
	elsewhere["DomainName"] = "other.example.com"
	mutual := onDomain(t)
	mutual[len(mutual)-1].Properties["MutualTlsAuthentication"] = map[string]any{}
	rules := onDomain(t)
	rules[len(rules)-1].Properties["RoutingMode"] = "ROUTING_RULE_ONLY"
	for want, resources := range map[string][]template.Resource{
		`RoutingMode must be BASE_PATH_MAPPING_ONLY in the local run, got "ROUTING_RULE_ONLY"`:                         rules,
		`DomainName must be one name in small letters, such as api.example.com, in the local run, got "*.example.com"`: domain("*.example.com"),
		`got "localhost"`: domain("localhost"),
		`DomainName must be one that no other domain of the stack has`:                             append(onDomain(t), domain("api.example.com")[len(orders(t))]),
		`DomainName must be an AWS::ApiGateway::DomainName of this stack, got "other.example.com"`: onDomain(t, elsewhere),
		`BasePath must be one segment of a path, got "a/b"`:                                        onDomain(t, basePath("a/b", "prod")),
		`Stage must be a stage of the API, got "test"`:                                             onDomain(t, basePath("v1", "test")),
		`Stage must be a stage of the API, got ""`:                                                 onDomain(t, apiMapping("v1", "")),
		`ApiId must be the RestApi of this stack, got "http"`:                                      onDomain(t, other),
		`the path must be one that no other mapping of api.example.com has, got "v1"`:              onDomain(t, basePath("v1", "prod"), apiMapping("v1", "prod")),
		`property MutualTlsAuthentication is not supported by the local run`:                       mutual,
	} {
		if err := provision(t, unstarted(t), resources); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}

// A deployment may name a stage and describe it.
func TestStageOfADeployment(t *testing.T) {
	deployment := func(properties map[string]any) []template.Resource {
		resources := orders(t)
		for i := range resources {
			if resources[i].Type == "AWS::ApiGateway::Deployment" {
				maps.Copy(resources[i].Properties, properties)
			}
		}
		return resources[:len(resources)-1] // without the stage
	}
	f := &recorder{answer: `{}`}
	g := start(t, options{invoke: f.invoke, resources: deployment(map[string]any{
		"StageName": "live", "StageDescription": map[string]any{"Variables": map[string]any{"name": "green"}, "LoggingLevel": "INFO"},
	})})
	if !strings.HasSuffix(g.URL(), "/live/") {
		t.Errorf("URL is %s", g.URL())
	}
	g.do("PATCH", "/orders/7", "")
	if stage, name := at(t, f.event, "requestContext", "stage"), at(t, f.event, "stageVariables", "name"); stage != "live" || name != "green" {
		t.Errorf("stage %v has the variable %v", stage, name)
	}
	for want, properties := range map[string]map[string]any{
		"StageDescription must come with a StageName":                               {"StageDescription": map[string]any{}},
		"property StageDescription.CanarySetting is not supported by the local run": {"StageName": "live", "StageDescription": map[string]any{"CanarySetting": map[string]any{}}},
		"property DeploymentCanarySettings is not supported by the local run":       {"DeploymentCanarySettings": map[string]any{}},
	} {
		if err := provision(t, unstarted(t), deployment(properties)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
	both := start(t, options{resources: append(deployment(map[string]any{"StageName": "Stage"}), orders(t)[len(orders(t))-1])})
	if !strings.HasSuffix(both.URL(), "/prod/") {
		t.Errorf("URL is %s, want that of the declared stage", both.URL())
	}
	twice := append(deployment(map[string]any{"StageName": "prod"}), orders(t)[len(orders(t))-1])
	if err := provision(t, unstarted(t), twice); err == nil || !strings.Contains(err.Error(), `no other stage of the API has, got "prod"`) {
		t.Errorf("error is %v", err)
	}
}
