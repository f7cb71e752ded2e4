package apigateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// provisionDeployment makes the stage that the deployment names, if it names one.
func (s *Service) provisionDeployment(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		RestAPI          string `json:"RestApiId"`
		Description      template.Ignored
		StageName        string
		StageDescription *struct {
			stageSettings
			CacheDataEncrypted   template.Ignored
			CacheTTLInSeconds    template.Ignored `json:"CacheTtlInSeconds"`
			CachingEnabled       template.Ignored
			DataTraceEnabled     template.Ignored
			LoggingLevel         template.Ignored
			MetricsEnabled       template.Ignored
			ThrottlingBurstLimit template.Ignored
			ThrottlingRateLimit  template.Ignored
		}
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if err := s.api.check(p.RestAPI); err != nil {
		return template.Attributes{}, err
	}
	made := attributes(r.PhysicalName, "DeploymentId")
	var variables map[string]string
	switch {
	case p.StageDescription == nil:
	case p.StageName == "":
		return template.Attributes{}, errors.New("StageDescription must come with a StageName")
	default:
		variables = p.StageDescription.Variables
	}
	if p.StageName == "" {
		return made, nil
	}
	return made, s.api.addStage(p.StageName, r.PhysicalName, variables)
}

// stageSettings are the properties that a stage has in both of its forms.
type stageSettings struct {
	Variables            map[string]string
	AccessLogSetting     template.Ignored
	CacheClusterEnabled  template.Ignored
	CacheClusterSize     template.Ignored
	ClientCertificate    template.Ignored `json:"ClientCertificateId"`
	Description          template.Ignored
	DocumentationVersion template.Ignored
	MethodSettings       template.Ignored
	Tags                 template.Ignored
	TracingEnabled       template.Ignored
}

func (s *Service) provisionStage(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		stageSettings
		RestAPI    string `json:"RestApiId"`
		Deployment string `json:"DeploymentId"`
		StageName  string
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if err := s.api.check(p.RestAPI); err != nil {
		return template.Attributes{}, err
	}
	return template.Attributes{Ref: p.StageName}, s.api.addStage(p.StageName, p.Deployment, p.Variables)
}

// addStage adds a stage that serves the API as a deployment has it.
func (a *api) addStage(name, deploymentID string, variables map[string]string) error {
	if a.stage(name) != nil {
		return fmt.Errorf("StageName must be one that no other stage of the API has, got %q", name)
	}
	if variables == nil {
		variables = map[string]string{}
	}
	a.stages = append(a.stages, &stage{name: name, deploymentID: deploymentID, variables: variables})
	return nil
}
