package apigateway

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A domain is a custom domain name of the API. Nothing resolves it here, and only loopback names are let in as Host: it is
// served below its name on the API's port, http://127.0.0.1:4510/api.example.com/. A stage cannot have that name, since
// it has a dot.
// Source: API Gateway developer guide, api-gateway-known-issues: "Stage names can only contain alphanumeric characters, hyphens,
// and underscores."
type domain struct {
	name     string
	mappings []mappedPath // the longest path first
}

// A mappedPath leads a path of a domain to a stage.
type mappedPath struct {
	path  string // "v1/orders", or empty for what no other mapping takes
	stage string // empty: the next segment of the path names the stage
}

// domainName matches a domain name with at least one dot.
var domainName = regexp.MustCompile(`^([a-z0-9-]+\.)+[a-z0-9-]+$`)

func (s *Service) provisionDomainName(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		DomainName             string
		RoutingMode            string
		CertificateArn         template.Ignored
		RegionalCertificateArn template.Ignored
		EndpointConfiguration  template.Ignored
		EndpointAccessMode     template.Ignored
		SecurityPolicy         template.Ignored
		Tags                   template.Ignored

		OwnershipVerificationCertificateArn template.Ignored
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if !domainName.MatchString(p.DomainName) {
		return template.Attributes{}, fmt.Errorf("DomainName must be one name in small letters, such as api.example.com, in the local run, got %q", p.DomainName)
	}
	if p.RoutingMode != "" && p.RoutingMode != "BASE_PATH_MAPPING_ONLY" {
		return template.Attributes{}, fmt.Errorf("RoutingMode must be BASE_PATH_MAPPING_ONLY in the local run, got %q", p.RoutingMode)
	}
	if s.api.domain(p.DomainName) != nil {
		return template.Attributes{}, fmt.Errorf("DomainName must be one that no other domain of the stack has, got %q", p.DomainName)
	}
	s.api.domains = append(s.api.domains, &domain{name: p.DomainName})
	return template.Attributes{Ref: p.DomainName, GetAtt: map[string]string{
		"DomainNameArn":            fmt.Sprintf("arn:aws:apigateway:%s::/domainnames/%s", s.config.Cloud.Region, p.DomainName),
		"DistributionDomainName":   r.PhysicalName + ".cloudfront.net",
		"DistributionHostedZoneId": r.PhysicalName,
		"RegionalDomainName":       fmt.Sprintf("%s.execute-api.%s.amazonaws.com", r.PhysicalName, s.config.Cloud.Region),
		"RegionalHostedZoneId":     r.PhysicalName,
	}}, nil
}

func (s *Service) provisionBasePathMapping(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		DomainName string
		RestAPI    string `json:"RestApiId"`
		BasePath   string
		Stage      string
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if p.BasePath == "(none)" {
		p.BasePath = ""
	}
	if strings.Contains(p.BasePath, "/") {
		return template.Attributes{}, fmt.Errorf("BasePath must be one segment of a path, got %q: an AWS::ApiGatewayV2::ApiMapping may have several", p.BasePath)
	}
	if err := s.api.check(p.RestAPI); err != nil {
		return template.Attributes{}, err
	}
	return template.Attributes{Ref: r.PhysicalName}, s.api.mapPath(p.DomainName, mappedPath{path: p.BasePath, stage: p.Stage})
}

// provisionAPIMapping maps a path of several segments, for which a REST API takes the newer resource type too.
// Source: API Gateway developer guide, rest-api-mappings.
func (s *Service) provisionAPIMapping(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		DomainName string
		API        string `json:"ApiId"`
		Key        string `json:"ApiMappingKey"`
		Stage      string
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if s.api.id == "" || p.API != s.api.id {
		return template.Attributes{}, fmt.Errorf("ApiId must be the RestApi of this stack, got %q", p.API)
	}
	if p.Stage == "" {
		return template.Attributes{}, fmt.Errorf("Stage must be a stage of the API, got %q", p.Stage)
	}
	made := template.Attributes{Ref: r.PhysicalName, GetAtt: map[string]string{"ApiMappingId": r.PhysicalName}}
	return made, s.api.mapPath(p.DomainName, mappedPath{path: strings.Trim(p.Key, "/"), stage: p.Stage})
}

func (a *api) domain(name string) *domain {
	for _, d := range a.domains {
		if d.name == name {
			return d
		}
	}
	return nil
}

// mapPath adds a mapping to a domain.
func (a *api) mapPath(name string, m mappedPath) error {
	d := a.domain(name)
	if d == nil {
		return fmt.Errorf("DomainName must be an AWS::ApiGateway::DomainName of this stack, got %q", name)
	}
	if m.stage != "" && a.stage(m.stage) == nil {
		return fmt.Errorf("Stage must be a stage of the API, got %q", m.stage)
	}
	if slices.ContainsFunc(d.mappings, func(other mappedPath) bool { return other.path == m.path }) {
		return fmt.Errorf("the path must be one that no other mapping of %s has, got %q", name, m.path)
	}
	d.mappings = append(d.mappings, m)
	slices.SortStableFunc(d.mappings, func(x, y mappedPath) int { return len(y.path) - len(x.path) })
	return nil
}

// A location is where a request is to go, and what the API sees of its address.
type location struct {
	stage  *stage // nil: there is none
	path   string // below the stage
	shown  string // the path in a function's event
	whole  string // $context.path
	domain string // the custom domain name, or empty
}

// locate returns where the request with that path, as the caller has escaped it, is to go. Of a custom domain events show
// the whole path below the domain, with the mapped path: functions are known to find it there.
// Source: https://github.com/CodeGenieApp/serverless-express/issues/216 and https://github.com/localstack/localstack/pull/12296, recorded
// on AWS.
func (a *api) locate(escaped string) location {
	first, rest := cutSegment(escaped)
	d := a.domain(first)
	if d == nil {
		return location{stage: a.stage(first), path: rest, shown: rest, whole: escaped}
	}
	for _, m := range d.mappings {
		below, ok := m.below(rest)
		if !ok {
			continue
		}
		name := m.stage
		if name == "" {
			name, below = cutSegment(below)
		}
		return location{stage: a.stage(name), path: below, shown: rest, whole: rest, domain: d.name}
	}
	return location{path: rest, shown: rest, whole: rest, domain: d.name}
}

// below returns what follows the mapped path in a path, which begins with a slash as the result does.
func (m mappedPath) below(path string) (string, bool) {
	if m.path == "" {
		return path, true
	}
	rest, ok := strings.CutPrefix(path, "/"+m.path)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return "/" + strings.TrimLeft(rest, "/"), true
}

// cutSegment returns the first segment of a path and the rest, which begins with a slash.
func cutSegment(path string) (first, rest string) {
	first, rest, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first, "/" + strings.TrimLeft(rest, "/")
}
