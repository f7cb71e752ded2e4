package topics

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// A Result is the answer to one message.
type Result struct {
	MessageID      string
	SequenceNumber string // of a FIFO topic
	Err            *Error // why the message is refused; the other fields are then empty
}

// Publish accepts messages for the topic with that ARN and returns one result for each, once every delivery that follows
// from them is on disk. Its error means that no message was accepted.
func (s *Service) Publish(topicARN string, messages []Message) ([]Result, error) {
	t := s.find(topicARN)
	if t == nil {
		return nil, notFound("Topic")
	}
	if t.FIFO {
		return s.publishInOrder(t, messages)
	}
	results := make([]Result, len(messages))
	var deliveries []*delivery
	for i, m := range messages {
		if err := m.validate(t); err != nil {
			results[i].Err = err
			continue
		}
		accepted := newPublished(m)
		results[i].MessageID = accepted.ID
		deliveries = append(deliveries, s.deliveriesOf(t, accepted)...)
	}
	return results, s.accept(nil, deliveries)
}

// publishInOrder does the same for a FIFO topic, one call after the other. A message with the deduplication id of an earlier
// one is answered as that one was, and not delivered.
// Source: SNS developer guide, fifo-message-dedup.
func (s *Service) publishInOrder(t *Topic, messages []Message) ([]Result, error) {
	t.publishing.Lock()
	defer t.publishing.Unlock()
	results := make([]Result, len(messages))
	first := map[string]int{} // by deduplication id: the place of a message of this call
	accepted := map[int]*published{}
	var ordered []*published
	var deliveries []*delivery
	for i, m := range messages {
		if err := m.validate(t); err != nil {
			results[i].Err = err
			continue
		}
		if m.Deduplication == "" {
			m.Deduplication = hashOf(m.Body)
		}
		id := t.deduplicationID(m)
		if earlier, found := t.recent.find(id, s.clock.Now()); found {
			results[i] = earlier
			continue
		}
		if place, found := first[id]; found {
			accepted[i] = accepted[place]
			continue
		}
		p := newPublished(m)
		first[id], accepted[i] = i, p
		ordered, deliveries = append(ordered, p), append(deliveries, s.deliveriesOf(t, p)...)
	}
	if err := s.accept(ordered, deliveries); err != nil {
		return nil, err
	}
	for i, p := range accepted {
		results[i] = Result{MessageID: p.ID, SequenceNumber: p.Sequence}
	}
	for id, i := range first {
		t.recent.add(id, results[i], s.clock.Now())
	}
	return results, nil
}

// accept stores deliveries, and begins with them.
func (s *Service) accept(ordered []*published, deliveries []*delivery) error {
	if err := s.journal.append(ordered, deliveries); err != nil {
		return fmt.Errorf("store the deliveries in the journal: %w", err)
	}
	s.dispatcher.dispatch(deliveries)
	return nil
}

func newPublished(m Message) *published {
	return &published{Message: m, ID: uuid.NewString(), At: time.Now().UTC().Truncate(time.Millisecond)}
}

// deliveriesOf returns the deliveries of a message to all subscriptions of the topic that accept it.
func (s *Service) deliveriesOf(t *Topic, p *published) (deliveries []*delivery) {
	for _, sub := range s.Subscriptions(t.ARN) {
		if !sub.Pending() && sub.filter.accepts(p.Message) {
			deliveries = append(deliveries, &delivery{Subscription: sub.ARN, Message: p})
		}
	}
	return deliveries
}

// deduplicationID returns what is equal for messages that count as one.
func (t *Topic) deduplicationID(m Message) string {
	if t.DeduplicatesByGroup {
		return m.Group + " " + m.Deduplication
	}
	return m.Deduplication
}

// hashOf returns the deduplication id that a body gives its message. Source: SNS API reference, Publish.
func hashOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// Send implements [cloud.Topics]: it publishes a message of another service.
func (s *Service) Send(_ context.Context, topicARN, subject, body string) error {
	results, err := s.Publish(topicARN, []Message{{Subject: subject, Body: body}})
	if err == nil && results[0].Err != nil {
		err = results[0].Err
	}
	if refused := new(Error); errors.As(err, &refused) {
		return fmt.Errorf("%w: %w", cloud.ErrRefused, err)
	}
	return err
}
