package pipes

import (
	"context"
	"errors"
	"fmt"
)

// Prepare checks that what a pipe uses is there: its source, its enrichment, its target and its dead-letter queue. Its
// error joins those of all pipes. A stopped pipe is checked too, since it can be started.
func (s *Service) Prepare(ctx context.Context) error {
	s.mu.Lock()
	all := s.pipes
	s.mu.Unlock()
	var problems []error
	for _, m := range all {
		d := m.description
		for _, err := range []error{
			s.config.Cloud.RequireExists(ctx, "Source", d.Source),
			s.requireFunction("Enrichment", d.Enrichment),
			s.config.Cloud.RequireExists(ctx, "Target", d.Target),
			s.requireFunction("Target", d.Target),
			s.config.Cloud.RequireExists(ctx, "DeadLetterConfig.Arn", m.pipe.DeadLetterARN),
		} {
			if err != nil {
				problems = append(problems, fmt.Errorf("pipe %s: %w", d.LogicalID, err))
			}
		}
	}
	return errors.Join(problems...)
}

// requireFunction returns an error when a property is the ARN of a function that is not in the stack.
func (s *Service) requireFunction(property, arn string) error {
	if service(arn) != "lambda" || s.config.HasFunction == nil || s.config.HasFunction(arn) {
		return nil
	}
	return fmt.Errorf("%s must name a function that exists, got %s: put the function into the stack that runs here", property, arn)
}
