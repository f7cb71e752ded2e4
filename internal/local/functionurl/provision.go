package functionurl

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
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
	arn, err := s.target(p.TargetFunctionArn, p.Qualifier)
	u := &functionURL{service: s, logicalID: r.LogicalID, id: r.PhysicalName, arn: arn, signed: p.AuthType == "AWS_IAM"}
	problems = append(problems, err)
	if p.Cors != nil {
		u.cors, err = newCORS(p.Cors)
		problems = append(problems, err)
	}
	for _, other := range s.urls {
		if other.arn == arn {
			problems = append(problems, fmt.Errorf("TargetFunctionArn must be of a function that has no other URL for the Qualifier, got that of %s", other.logicalID))
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

// target returns the ARN of the function or, with a qualifier, of its alias.
// Source: Lambda API reference, CreateFunctionUrlConfig: no version is a Qualifier.
func (s *Service) target(function, qualifier string) (string, error) {
	arn := s.config.Cloud.FunctionARN(function)
	if _, qualified := cloud.CutQualifier(arn); qualified != "" {
		return "", fmt.Errorf("TargetFunctionArn must name a function, and Qualifier its alias, got %q", function)
	}
	if !s.config.Exists(arn) {
		return "", fmt.Errorf("TargetFunctionArn must name a function of this stack, got %q", function)
	}
	if qualifier == "" {
		return arn, nil
	}
	if _, err := strconv.Atoi(qualifier); err == nil || !s.config.Exists(arn+":"+qualifier) {
		return "", fmt.Errorf("Qualifier must be an alias of the function, got %q", qualifier)
	}
	return arn + ":" + qualifier, nil
}
