package functions

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// The code of a stack is deployed once in a run, so a function's versions and aliases all run its one program, in the same
// execution environments. They differ in their ARNs: to callers, to policies, and in the function's context.

// provisionVersion gives a function the next version: 1 for the first one of the template.
// Source: CloudFormation template reference, AWS::Lambda::Version.
func (s *Service) provisionVersion(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		FunctionName string

		CodeSha256                   template.Ignored
		Description                  template.Ignored
		FunctionScalingConfig        template.Ignored
		ProvisionedConcurrencyConfig template.Ignored // nothing is started ahead here
		RuntimePolicy                template.Ignored
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	f, err := s.ofStack(p.FunctionName)
	if err != nil {
		return template.Attributes{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published[f.arn]++
	version := strconv.Itoa(s.published[f.arn])
	arn := f.arn + ":" + version
	s.qualified[arn] = f.arn
	return template.Attributes{Ref: arn, GetAtt: map[string]string{"FunctionArn": arn, "Version": version}}, nil
}

// aliasName is what Lambda takes as a name, unless it is a number. Source: Lambda API reference, CreateAlias.
var aliasName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

// provisionAlias gives a function an alias. One that divides its invocations between versions is refused: both would be the
// same program.
// Source: CloudFormation template reference, AWS::Lambda::Alias.
func (s *Service) provisionAlias(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		FunctionName    string
		FunctionVersion string
		Name            string
		RoutingConfig   struct {
			AdditionalVersionWeights []struct {
				FunctionVersion string
				FunctionWeight  any
			}
		}

		Description                  template.Ignored
		ProvisionedConcurrencyConfig template.Ignored // nothing is started ahead here
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	f, err := s.ofStack(p.FunctionName)
	if err != nil {
		return template.Attributes{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	arn := f.arn + ":" + p.Name
	if _, err := strconv.Atoi(p.Name); err == nil || !aliasName.MatchString(p.Name) {
		refuse("Name must be 1 to 128 letters, digits, dashes and underscores, and not a number, got %q", p.Name)
	} else if s.qualified[arn] != "" {
		refuse("Name must be another one than that of an alias of %s, got %q", f.name, p.Name)
	}
	if n, err := strconv.Atoi(p.FunctionVersion); p.FunctionVersion != "$LATEST" && (err != nil || n < 1 || n > s.published[f.arn]) {
		refuse("FunctionVersion must be $LATEST or a version of %s in the stack, got %q", f.name, p.FunctionVersion)
	}
	for _, other := range p.RoutingConfig.AdditionalVersionWeights {
		refuse("RoutingConfig must be empty in the local run, where all versions of a function are the same program, got a weight for version %s", other.FunctionVersion)
	}
	if err := errors.Join(problems...); err != nil {
		return template.Attributes{}, err
	}
	s.qualified[arn] = f.arn
	return template.Attributes{Ref: arn, GetAtt: map[string]string{"AliasArn": arn}}, nil
}

// ofStack returns the function that a version or an alias names.
func (s *Service) ofStack(name string) (*function, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.functions[s.cfg.Cloud.FunctionARN(name)]; f != nil {
		return f, nil
	}
	return nil, fmt.Errorf("FunctionName must be a function of the stack, one of %s, got %q", strings.Join(slices.Sorted(maps.Keys(s.functions)), ", "), name)
}
