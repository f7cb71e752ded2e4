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
	return made, s.api.addStage(stage{name: p.StageName, deploymentID: r.PhysicalName, variables: variables, byDeployment: true})
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
	return template.Attributes{Ref: p.StageName}, s.api.addStage(stage{name: p.StageName, deploymentID: p.Deployment, variables: p.Variables})
}

// addStage adds a stage.
func (a *api) addStage(s stage) error {
	if a.stage(s.name) != nil {
		return fmt.Errorf("StageName must be one that no other stage of the API has, got %q", s.name)
	}
	if s.variables == nil {
		s.variables = map[string]string{}
	}
	a.stages = append(a.stages, &s)
	return nil
}

// firstStage returns the first stage that the template declares, or that its first deployment made, or nil. SAM, for
// example, has each deployment make a stage named Stage, which nobody uses.
func (a *api) firstStage() *stage {
	for _, byDeployment := range []bool{false, true} {
		for _, s := range a.stages {
			if s.byDeployment == byDeployment {
				return s
			}
		}
	}
	return nil
}
