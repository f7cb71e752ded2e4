package apigateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

func (s *Service) provisionRestAPI(ctx context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		Name                      template.Ignored
		Body                      *openAPI
		BodyS3Location            template.Ignored
		Parameters                map[string]string
		FailOnWarnings            template.Ignored
		Mode                      template.Ignored // how a later import changes the API, which here is new in every run
		Description               template.Ignored
		APIKeySourceType          string           `json:"ApiKeySourceType"`
		DisableExecuteAPIEndpoint template.Ignored `json:"DisableExecuteApiEndpoint"`
		EndpointConfiguration     template.Ignored
		MinimumCompressionSize    template.Ignored
		Policy                    template.Ignored
		SecurityPolicy            template.Ignored
		EndpointAccessMode        template.Ignored
		Tags                      template.Ignored
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if s.config.AuthorizeCaller != nil && p.APIKeySourceType != "" && p.APIKeySourceType != "HEADER" {
		return template.Attributes{}, fmt.Errorf("ApiKeySourceType must be HEADER with --auth, since the local run calls no authorizer, got %q", p.APIKeySourceType)
	}
	if s.api.id != "" && s.api.logicalID != r.LogicalID {
		return template.Attributes{}, fmt.Errorf("the stack has the REST API %s already: the local run serves one", s.api.logicalID)
	}
	if p.BodyS3Location != nil {
		return template.Attributes{}, errors.New("BodyS3Location must be Body in the local run, which reads no bucket: with the CDK, use ApiDefinition.fromInline")
	}
	if basePath := p.Parameters["basepath"]; basePath != "" && basePath != "ignore" {
		return template.Attributes{}, fmt.Errorf("Parameters.basepath must be ignore in the local run, got %q", basePath)
	}
	s.api.id, s.api.logicalID = r.PhysicalName, r.LogicalID
	if p.Body != nil {
		if err := s.importDefinition(ctx, p.Body); err != nil {
			return template.Attributes{}, err
		}
	}
	a := attributes(s.api.id, "RestApiId")
	a.GetAtt["RootResourceId"] = rootResource
	return a, nil
}

func (s *Service) provisionResource(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		RestAPI  string `json:"RestApiId"`
		Parent   string `json:"ParentId"`
		PathPart string
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if err := s.api.check(p.RestAPI); err != nil {
		return template.Attributes{}, err
	}
	parent := s.api.resources[p.Parent]
	if parent == nil {
		return template.Attributes{}, fmt.Errorf("ParentId must be a resource of the API, got %q", p.Parent)
	}
	child, err := parent.add(r.LogicalID, p.PathPart)
	if err != nil {
		return template.Attributes{}, err
	}
	s.api.resources[child.id] = child
	return attributes(child.id, "ResourceId"), nil
}

// A validator selects the parts of a request that are validated.
type validator struct{ parameters, body bool }

func (s *Service) provisionValidator(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		RestAPI                   string `json:"RestApiId"`
		Name                      template.Ignored
		ValidateRequestBody       template.Bool
		ValidateRequestParameters template.Bool
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if err := s.api.check(p.RestAPI); err != nil {
		return template.Attributes{}, err
	}
	s.api.validators[r.PhysicalName] = validator{parameters: bool(p.ValidateRequestParameters), body: bool(p.ValidateRequestBody)}
	return attributes(r.PhysicalName, "RequestValidatorId"), nil
}

// attributes returns the attributes of a resource with an id: its Ref, and a GetAtt of that name with the same value.
func attributes(id, getAtt string) template.Attributes {
	return template.Attributes{Ref: id, GetAtt: map[string]string{getAtt: id}}
}
