package queues

import (
	"bufio"
	"encoding/json"
	"fmt"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// follow reports what fauxqs prints after its start: each message that moves to a dead-letter queue.
func (s *Service) follow(lines *bufio.Reader) {
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var moved struct {
			Source, Target, Body string
			Receives             int
		}
		if s.sink == nil || json.Unmarshal(line, &moved) != nil || moved.Target == "" {
			continue
		}
		h := hop.Hop{
			At: time.Now(), Stage: hop.Queue, Resource: s.nameOf(moved.Source), Source: moved.Source, Target: moved.Target,
			Outcome: hop.DeadLetter, Count: 1, Detail: fmt.Sprintf("received %d times and not deleted", moved.Receives),
		}
		if id := hop.EventID([]byte(moved.Body)); id != "" {
			h.EventIDs = []string{id}
		}
		s.sink(h)
	}
}

// nameOf returns the logical id of a queue, or its ARN where the template does not have it.
func (s *Service) nameOf(arn string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if id, known := s.known[arn]; known {
		return id
	}
	return arn
}
