package eventbus

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

// buses takes events for buses that are targets.
type buses interface {
	has(busARN string) bool
	// forward accepts the event of a rule, as it is.
	forward(t target, event json.RawMessage) *failure
	// put accepts a new event with the detail.
	put(busARN string, e busEvent, detail json.RawMessage) *failure
}

// A busEvent is what a schedule sets of the event that it sends to a bus.
type busEvent struct{ Source, DetailType string }

func (s *Service) has(busARN string) bool {
	_, err := s.findBus(busARN)
	return err == nil
}

// forward accepts an event that a rule of another bus sends. It is the same event, with its id and time. Rules that would
// send it on to a third bus do not get it, so that an event cannot go around.
// Source: EventBridge user guide, eb-bus-to-bus: "EventBridge can't route events received from a sender event bus to a
// third event bus."
func (s *Service) forward(t target, event json.RawMessage) *failure {
	b, err := s.findBus(t.arn)
	if err != nil {
		return &failure{codeNoResource, true, err}
	}
	decoded, err := pattern.Decode(event)
	if err != nil {
		return &failure{codeClientError, true, err}
	}
	var kept []*delivery
	for _, d := range s.deliveriesOf(b, decoded, event, nil) {
		if to, _ := s.target(d); isBus(to.arn) {
			s.dispatcher.report(d, hop.Hop{
				Resource: to.logicalID, Target: to.arn, Outcome: hop.Dropped,
				Detail: "as on AWS, an event that comes from another bus is not sent on to a third",
			})
			continue
		}
		kept = append(kept, d)
	}
	return s.relay(answered{deliveries: kept, archived: s.archivesOf(b, decoded, event)})
}

// put accepts a new event, as PutEvents does.
func (s *Service) put(busARN string, e busEvent, detail json.RawMessage) *failure {
	one := s.accept(nil, entry{Source: e.Source, DetailType: e.DetailType, Detail: string(detail), EventBusName: busARN})
	if r := one.result; r.ErrorCode != "" {
		return &failure{codeClientError, true, fmt.Errorf("%s: %s", r.ErrorCode, r.ErrorMessage)}
	}
	return s.relay(one)
}

// relay stores and delivers what follows from an event.
func (s *Service) relay(one answered) *failure {
	if err := s.store(one); err != nil {
		return &failure{codeTarget, false, err}
	}
	return nil
}

// archivesOf returns the event for each archive that keeps it.
func (s *Service) archivesOf(b *bus, decoded pattern.Event, encoded json.RawMessage) (events []archived) {
	var at struct{ Time time.Time }
	_ = json.Unmarshal(encoded, &at) // an event has a time that AWS or this package wrote
	for _, a := range s.allArchives() {
		if a.keeps(b, decoded) {
			events = append(events, archived{a.bucket(), at.Time, encoded})
		}
	}
	return events
}
