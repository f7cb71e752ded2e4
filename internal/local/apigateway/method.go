package apigateway

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A method handles one HTTP verb of a resource.
type method struct {
	logicalID string
	signed    bool // callers are authorized by IAM
	keyed     bool // callers need an API key
	validator validator
	required  []parameter
	models    map[string]*model // by content type
	integration
}

// An integration returns the response to a validated request.
type integration interface {
	serve(ctx context.Context, x *exchange) (response, error)
}

// A parameter of a request.
type parameter struct{ in, name string }

// methodProperties are the properties of AWS::ApiGateway::Method.
type methodProperties struct {
	RestAPI             string        `json:"RestApiId"`
	Resource            string        `json:"ResourceId"`
	Verb                string        `json:"HttpMethod"`
	APIKeyRequired      template.Bool `json:"ApiKeyRequired"`
	AuthorizationScopes template.Ignored
	AuthorizationType   string
	Authorizer          template.Ignored `json:"AuthorizerId"`
	OperationName       template.Ignored
	Integration         *integrationProperties
	MethodResponses     []methodResponse
	RequestModels       map[string]string
	RequestParameters   map[string]template.Bool
	Validator           string `json:"RequestValidatorId"`
}

type methodResponse struct {
	StatusCode         string
	ResponseModels     template.Ignored
	ResponseParameters map[string]template.Bool
}

// anyVerb is the HttpMethod of a method that handles all verbs that have none of their own.
const anyVerb = "ANY"

var verbs = []string{anyVerb, "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}

func (s *Service) provisionMethod(ctx context.Context, r template.Resource) (template.Attributes, error) {
	var p methodProperties
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if err := s.api.check(p.RestAPI); err != nil {
		return template.Attributes{}, err
	}
	parent := s.api.resources[p.Resource]
	if parent == nil {
		return template.Attributes{}, fmt.Errorf("ResourceId must be a resource of the API, got %q", p.Resource)
	}
	return template.Attributes{Ref: r.PhysicalName}, s.addMethod(ctx, parent, r.LogicalID, p)
}

// addMethod adds a method to a resource. logicalID is what the template calls it, or the API that it came with.
func (s *Service) addMethod(ctx context.Context, parent *resource, logicalID string, p methodProperties) error {
	if !slices.Contains(verbs, p.Verb) {
		return fmt.Errorf("HttpMethod must be one of %v, got %q", verbs, p.Verb)
	}
	if parent.methods[p.Verb] != nil {
		return fmt.Errorf("HttpMethod must be one that %s has not, got %s again", parent.path, p.Verb)
	}
	if s.config.AuthorizeCaller != nil && !slices.Contains([]string{"", "NONE", "AWS_IAM"}, p.AuthorizationType) {
		return fmt.Errorf("AuthorizationType must be NONE or AWS_IAM with --auth, since the local run calls no authorizer, got %q", p.AuthorizationType)
	}
	m := &method{logicalID: logicalID, signed: p.AuthorizationType == "AWS_IAM", keyed: bool(p.APIKeyRequired), models: map[string]*model{}}
	var err error
	if m.required, err = requiredParameters(p.RequestParameters); err != nil {
		return fmt.Errorf("property RequestParameters: %w", err)
	}
	if p.Validator != "" {
		found, ok := s.api.validators[p.Validator]
		if !ok {
			return fmt.Errorf("RequestValidatorId must be a validator of the API, got %q", p.Validator)
		}
		m.validator = found
	}
	for contentType, name := range p.RequestModels {
		if m.models[contentType] = s.api.models[name]; m.models[contentType] == nil {
			return fmt.Errorf("property RequestModels: it must name models of the API, got %q", name)
		}
	}
	if m.integration, err = s.newIntegration(ctx, p); err != nil {
		return fmt.Errorf("property Integration: %w", err)
	}
	parent.methods[p.Verb] = m
	return nil
}

// requiredParameters parses entries such as "method.request.header.X": true.
func requiredParameters(declared map[string]template.Bool) ([]parameter, error) {
	var required []parameter
	for expression, isRequired := range declared {
		rest, ok := strings.CutPrefix(expression, "method.request.")
		in, name, found := strings.Cut(rest, ".")
		if !ok || !found || !slices.Contains([]string{"header", "path", "querystring"}, in) {
			return nil, fmt.Errorf("a parameter must be method.request.header.<name>, method.request.path.<name> or method.request.querystring.<name>, got %q", expression)
		}
		if isRequired {
			required = append(required, parameter{in, name})
		}
	}
	slices.SortFunc(required, func(a, b parameter) int { return strings.Compare(a.in+"."+a.name, b.in+"."+b.name) })
	return required, nil
}

// validate checks those parts of a request that the method's validator selects.
// Source: API Gateway developer guide, api-gateway-method-request-validation.
func (m *method) validate(x *exchange) error {
	if m.validator.parameters {
		var missing []string
		for _, p := range m.required {
			// A blank value counts as missing.
			if strings.TrimSpace(x.parameter(p)) == "" {
				missing = append(missing, p.name)
			}
		}
		if len(missing) > 0 {
			return &gatewayError{kind: badRequestParameters, message: "Missing required request parameters: [" + strings.Join(missing, ", ") + "]"}
		}
	}
	if m.validator.body {
		if err := m.modelFor(x.contentType()).validate(x.body); err != nil {
			return &gatewayError{kind: badRequestBody, message: "Invalid request body", validation: err.Error()}
		}
	}
	return nil
}

// modelFor returns the model of a content type. A body of a type without a model is not validated.
func (m *method) modelFor(contentType string) *model {
	for _, key := range []string{contentType, defaultKey} {
		if found := m.models[key]; found != nil {
			return found
		}
	}
	return &model{}
}

// defaultKey stands for every content type that has no entry of its own.
const defaultKey = "$default"

func (x *exchange) parameter(p parameter) string {
	switch p.in {
	case "header":
		return x.header.Get(p.name)
	case "path":
		return x.params.Path[p.name]
	default:
		return x.params.Query[p.name]
	}
}
