package functionurl

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// provision starts to listen for the URL of a function.
// Source: CloudFormation template reference, aws-resource-lambda-url.
func (s *Service) provision(ctx context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		AuthType          string
		TargetFunctionArn string
		Qualifier         string
		InvokeMode        string
		Cors              *corsProperties
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	var problems []error
	if p.AuthType != "NONE" && p.AuthType != "AWS_IAM" {
		problems = append(problems, fmt.Errorf("AuthType must be NONE or AWS_IAM, got %q", p.AuthType))
	}
	if p.InvokeMode != "" && p.InvokeMode != "BUFFERED" {
		problems = append(problems, fmt.Errorf("InvokeMode must be BUFFERED in the local run, which does not stream answers, got %q", p.InvokeMode))
	}
	if p.Qualifier != "" {
		problems = append(problems, fmt.Errorf("Qualifier must not be set in the local run, where functions have no versions and aliases, got %q", p.Qualifier))
	}
	arn, err := s.functionARN(p.TargetFunctionArn)
	u := &functionURL{service: s, logicalID: r.LogicalID, id: r.PhysicalName, arn: arn, signed: p.AuthType == "AWS_IAM"}
	problems = append(problems, err)
	if p.Cors != nil {
		u.cors, err = newCORS(p.Cors)
		problems = append(problems, err)
	}
	for _, other := range s.urls {
		if other.arn == arn {
			problems = append(problems, fmt.Errorf("TargetFunctionArn must be of a function that has no other URL, got that of %s", other.logicalID))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return template.Attributes{}, err
	}
	if err := s.listen(ctx, u); err != nil {
		return template.Attributes{}, err
	}
	return template.Attributes{Ref: arn, GetAtt: map[string]string{"FunctionArn": arn, "FunctionUrl": u.address()}}, nil
}

// functionARN returns the ARN of a function that is named by its name, its ARN or the end of it.
// Source: Lambda developer guide, urls-configuration, "TargetFunctionArn".
func (s *Service) functionARN(name string) (string, error) {
	if _, last, found := strings.Cut(name, "function:"); found {
		name = last
	}
	if name == "" || strings.Contains(name, ":") {
		return "", fmt.Errorf("TargetFunctionArn must name a function without a version or an alias, got %q", name)
	}
	return s.config.Cloud.ARN("lambda", "function:"+name), nil
}
