package eventbus

import (
	"encoding/json"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// An answered is the answer to an entry, and what follows from its event.
type answered struct {
	result     result
	bus        string
	event      json.RawMessage // nil: the entry was refused, or no bus has it
	deliveries []*delivery
	archived   []archived
}

// acceptance returns what is told of an event that a bus has accepted.
func (s *Service) acceptance(one answered) hop.Accepted {
	a := hop.Accepted{At: time.Now(), Bus: one.bus, Event: one.event}
	for _, d := range one.deliveries {
		if t, found := s.target(d); found {
			a.Targets = append(a.Targets, t.arn)
		}
	}
	return a
}
