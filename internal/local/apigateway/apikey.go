package apigateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// keyHeader is where the caller of a method puts an API key.
const keyHeader = "X-Api-Key"

// An apiKey lets its holder use the stages of the usage plans that it is in.
type apiKey struct {
	id, value string
	enabled   bool
}

// A usagePlan holds stages of the API, and the keys with which they may be called.
type usagePlan struct {
	stages []string
	keys   []*apiKey
}

// keyValue matches what a key's value may be. Source: API Gateway developer guide, api-gateway-api-usage-plans.
var keyValue = regexp.MustCompile(`^[A-Za-z0-9]{20,128}$`)

// keyProvisions returns the resource types that count where callers are authorized.
func (s *Service) keyProvisions() map[string]template.Provision {
	return map[string]template.Provision{
		"AWS::ApiGateway::ApiKey":       s.provisionKey,
		"AWS::ApiGateway::UsagePlan":    s.provisionPlan,
		"AWS::ApiGateway::UsagePlanKey": s.provisionPlanKey,
	}
}

// provisionKey creates an API key. A value that API Gateway would generate is the same in every run.
// Source: CloudFormation template reference, aws-resource-apigateway-apikey.
func (s *Service) provisionKey(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		Value   string
		Enabled *template.Bool

		CustomerID         template.Ignored `json:"CustomerId"`
		Description        template.Ignored
		GenerateDistinctID template.Ignored `json:"GenerateDistinctId"`
		Name               template.Ignored
		Tags               template.Ignored
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if p.Value == "" {
		sum := sha256.Sum256([]byte(r.PhysicalName))
		p.Value = hex.EncodeToString(sum[:20])
	}
	var problems []error
	if !keyValue.MatchString(p.Value) {
		problems = append(problems, fmt.Errorf("Value must be 20 to 128 letters and digits, got %q", p.Value))
	}
	if p.Enabled == nil {
		problems = append(problems, errors.New("Enabled must be true or false in the local run: AWS documents no default"))
	}
	for id, other := range s.api.keys {
		if other.value == p.Value {
			problems = append(problems, fmt.Errorf("Value must be one that no other key has, got that of %s", id))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return template.Attributes{}, err
	}
	s.api.keys[r.PhysicalName] = &apiKey{id: r.PhysicalName, value: p.Value, enabled: bool(*p.Enabled)}
	return attributes(r.PhysicalName, "APIKeyId"), nil
}

// provisionPlan creates a usage plan.
// Source: CloudFormation template reference, aws-resource-apigateway-usageplan.
func (s *Service) provisionPlan(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		Stages []struct {
			API      string `json:"ApiId"`
			Stage    string
			Throttle template.Ignored
		} `json:"ApiStages"`

		Description   template.Ignored
		Quota         template.Ignored
		Tags          template.Ignored
		Throttle      template.Ignored
		UsagePlanName template.Ignored
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	plan := &usagePlan{}
	for _, of := range p.Stages {
		if of.API != s.api.id || s.api.stage(of.Stage) == nil {
			return template.Attributes{}, fmt.Errorf("ApiStages must be stages of the RestApi of this stack, got %s of %s", of.Stage, of.API)
		}
		plan.stages = append(plan.stages, of.Stage)
	}
	s.api.plans[r.PhysicalName] = plan
	return attributes(r.PhysicalName, "Id"), nil
}

// provisionPlanKey puts a key into a usage plan. A stage has at most one plan for a key.
// Source: API Gateway developer guide, api-gateway-api-usage-plans.
func (s *Service) provisionPlanKey(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		Key  string `json:"KeyId"`
		Type string `json:"KeyType"`
		Plan string `json:"UsagePlanId"`
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	key, plan := s.api.keys[p.Key], s.api.plans[p.Plan]
	var problems []error
	if key == nil {
		problems = append(problems, fmt.Errorf("KeyId must be an ApiKey of this stack, got %q", p.Key))
	}
	if plan == nil {
		problems = append(problems, fmt.Errorf("UsagePlanId must be a UsagePlan of this stack, got %q", p.Plan))
	}
	if p.Type != "API_KEY" {
		problems = append(problems, fmt.Errorf("KeyType must be API_KEY, got %q", p.Type))
	}
	if err := errors.Join(problems...); err != nil {
		return template.Attributes{}, err
	}
	for _, stage := range plan.stages {
		if s.api.admits(key, stage) {
			return template.Attributes{}, fmt.Errorf("UsagePlanId must be the only plan of the key for the stage %s, got another one", stage)
		}
	}
	plan.keys = append(plan.keys, key)
	return attributes(r.PhysicalName, "Id"), nil
}

// admits reports whether one of the plans lets the key use a stage.
func (a *api) admits(key *apiKey, stage string) bool {
	for _, plan := range a.plans {
		if slices.Contains(plan.stages, stage) && slices.Contains(plan.keys, key) {
			return true
		}
	}
	return false
}

// checkKey returns the gateway response for a caller without a valid key of a method that requires one.
// Source: API Gateway developer guide, api-gateway-usage-plan-test-with-postman, supported-gateway-response-types and
// api-gateway-mapping-template-reference.
func (s *Service) checkKey(x *exchange) error {
	if s.config.AuthorizeCaller == nil || !x.method.keyed {
		return nil
	}
	given := x.request.Header.Get(keyHeader)
	for _, key := range s.api.keys {
		if key.value == given && key.enabled && s.api.admits(key, x.stage.name) {
			x.context.Identity.APIKey, x.context.Identity.APIKeyID = key.value, key.id
			return nil
		}
	}
	return &gatewayError{kind: invalidAPIKey, message: "Forbidden", cause: errors.New("the method needs a key of a usage plan of the stage in the header " + strings.ToLower(keyHeader))}
}

// Keys returns the values of the API keys that may be used, in the order of their names.
func (s *Service) Keys() []string {
	var values []string
	for _, id := range slices.Sorted(maps.Keys(s.api.keys)) {
		if key := s.api.keys[id]; key.enabled {
			values = append(values, key.value)
		}
	}
	return values
}
