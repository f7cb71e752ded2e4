package pipes

import (
	"context"
	"errors"
	"fmt"
)

// Prepare checks that what a pipe uses is there: its source, its target and its dead-letter queue. Its
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
			s.config.Cloud.RequireExists(ctx, "Target", d.Target),
			s.config.Cloud.RequireExists(ctx, "DeadLetterConfig.Arn", m.pipe.DeadLetterARN),
		} {
			if err != nil {
				problems = append(problems, fmt.Errorf("pipe %s: %w", d.LogicalID, err))
			}
		}
	}
	return errors.Join(problems...)
}
