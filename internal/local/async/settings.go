package async

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// How Lambda treats an invocation of a function without an event invoke configuration; both are the most that can be
// configured too. Source: Lambda developer guide, invocation-async-error-handling.
const (
	maxRetries = 2
	maxAge     = 6 * time.Hour
	minAge     = time.Minute
	firstWait  = time.Minute
)

// Settings are how Lambda treats the asynchronous invocations of a function.
type Settings struct {
	Retries int           // 0 to 2
	MaxAge  time.Duration // one minute to six hours
	// OnSuccess, OnFailure and DeadLetterQueue are ARNs of queues, or empty.
	OnSuccess, OnFailure, DeadLetterQueue string
}

// Wait returns the wait before retry n of an invocation, counted from 0: one minute, then two.
func Wait(n int) time.Duration { return firstWait << n }

// Functions holds the settings of all functions. The zero value has none that differ from Lambda's defaults. Its methods may
// be called from many goroutines.
type Functions struct {
	mu       sync.RWMutex
	settings map[string]Settings // by name, with the version or alias
}

// Of returns the settings of the function, version or alias with that ARN.
func (f *Functions) Of(arn string) Settings {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if s, ok := f.settings[nameOf(arn)]; ok {
		return s
	}
	return Settings{Retries: maxRetries, MaxAge: maxAge}
}

// Provision keeps an AWS::Lambda::EventInvokeConfig of a function.
// Source: CloudFormation user guide, aws-resource-lambda-eventinvokeconfig; Lambda API reference, PutFunctionEventInvokeConfig.
func (f *Functions) Provision(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		FunctionName             string
		Qualifier                string
		MaximumRetryAttempts     *template.Int
		MaximumEventAgeInSeconds *template.Int
		DestinationConfig        struct{ OnSuccess, OnFailure struct{ Destination string } }
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	s := Settings{Retries: maxRetries, MaxAge: maxAge, OnSuccess: p.DestinationConfig.OnSuccess.Destination, OnFailure: p.DestinationConfig.OnFailure.Destination}
	name := nameOf(p.FunctionName)
	if name == "" {
		refuse("FunctionName must be the name or the ARN of a function, got %q", p.FunctionName)
	}
	switch p.Qualifier {
	case "":
		refuse("Qualifier must be a version, an alias or $LATEST, got none")
	case latest:
	default:
		name += ":" + p.Qualifier
	}
	if n := p.MaximumRetryAttempts; n != nil {
		if s.Retries = int(*n); *n < 0 || *n > maxRetries {
			refuse("MaximumRetryAttempts must be a whole number from 0 to %d, got %d", maxRetries, *n)
		}
	}
	if n := p.MaximumEventAgeInSeconds; n != nil {
		if s.MaxAge = time.Duration(*n) * time.Second; s.MaxAge < minAge || s.MaxAge > maxAge {
			refuse("MaximumEventAgeInSeconds must be a whole number from %.0f to %.0f, got %d", minAge.Seconds(), maxAge.Seconds(), *n)
		}
	}
	problems = append(problems, checkQueue("DestinationConfig.OnSuccess.Destination", s.OnSuccess), checkQueue("DestinationConfig.OnFailure.Destination", s.OnFailure))
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, taken := f.settings[name]; taken {
		refuse("function %s must have one configuration, got a second", name)
	}
	if err := errors.Join(problems...); err != nil {
		return template.Attributes{}, err
	}
	if f.settings == nil {
		f.settings = map[string]Settings{}
	}
	f.settings[name] = s
	return template.Attributes{Ref: r.PhysicalName}, nil
}

// checkQueue returns an error unless the property is empty or has the ARN of a standard queue.
func checkQueue(property, arn string) error {
	parts := strings.Split(arn, ":")
	if arn == "" || len(parts) == 6 && parts[2] == "sqs" && !strings.HasSuffix(arn, ".fifo") {
		return nil
	}
	return fmt.Errorf("%s must be the ARN of a standard SQS queue in the local run, got %q", property, arn)
}

// nameOf returns the name in a function's name or ARN, with the version or alias that it names.
func nameOf(function string) string {
	if strings.HasPrefix(function, "arn:") {
		function = strings.TrimPrefix(cloud.ResourceOf(function), "function:")
	}
	return strings.TrimSuffix(function, ":"+latest)
}
