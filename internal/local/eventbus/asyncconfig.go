package eventbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// An asyncConfig is how Lambda treats what is handed over to a function: its event invoke configuration.
type asyncConfig struct {
	retries int
	maxAge  time.Duration
}

// defaultAsync is how Lambda treats an event that EventBridge has handed over to it: two retries after one and two minutes,
// and at most six hours.
// Source: Lambda developer guide, invocation-async-error-handling.
var defaultAsync = asyncConfig{retries: functionRetries, maxAge: functionAge}

// provisionAsyncConfig keeps an AWS::Lambda::EventInvokeConfig of a function.
// Source: CloudFormation user guide, aws-resource-lambda-eventinvokeconfig; Lambda API reference, PutFunctionEventInvokeConfig.
func (s *Service) provisionAsyncConfig(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		FunctionName             string
		Qualifier                string
		MaximumRetryAttempts     *template.Int
		MaximumEventAgeInSeconds *template.Int
		DestinationConfig        map[string]any
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	c := defaultAsync
	name := functionName(p.FunctionName)
	if name == "" {
		refuse("FunctionName must be the name or the ARN of a function, got %q", p.FunctionName)
	}
	if p.Qualifier == "" {
		refuse("Qualifier must be a version, an alias or $LATEST, got none")
	}
	if p.Qualifier != "$LATEST" {
		name += ":" + p.Qualifier
	}
	if n := p.MaximumRetryAttempts; n != nil {
		if c.retries = int(*n); *n < 0 || *n > functionRetries {
			refuse("MaximumRetryAttempts must be a whole number from 0 to %d, got %d", functionRetries, *n)
		}
	}
	if n := p.MaximumEventAgeInSeconds; n != nil {
		if c.maxAge = time.Duration(*n) * time.Second; c.maxAge < minAge*time.Second || c.maxAge > functionAge {
			refuse("MaximumEventAgeInSeconds must be a whole number from %d to %.0f, got %d", minAge, functionAge.Seconds(), *n)
		}
	}
	for _, outcome := range []string{"OnFailure", "OnSuccess"} {
		if p.DestinationConfig[outcome] != nil {
			refuse("DestinationConfig: %s is not supported in the local run", outcome)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.async[name]; taken {
		refuse("function %s must have one configuration, got a second", name)
	}
	if err := errors.Join(problems...); err != nil {
		return template.Attributes{}, err
	}
	s.async[name] = c
	return template.Attributes{Ref: r.PhysicalName}, nil
}

// functionName returns the name in a function's name or ARN, with the version or alias that it names.
func functionName(function string) string {
	if isFunction(function) {
		return strings.TrimPrefix(cloud.ResourceOf(function), "function:")
	}
	return function
}

// withAsync returns the target with its function's event invoke configuration. Its caller holds the lock.
func (s *Service) withAsync(t target) target {
	if c, ok := s.async[functionName(t.arn)]; ok && t.function {
		t.retries, t.maxAge = c.retries, c.maxAge
	}
	return t
}
