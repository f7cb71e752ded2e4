package local

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// A Publication is an event as another service would put it on a bus.
type Publication struct {
	// Bus is a name or an ARN. Default: the stack's bus where it has one, else the default bus.
	Bus    string          `json:"bus,omitempty"`
	Source string          `json:"source"`
	Type   string          `json:"type"`   // detail-type
	Detail json.RawMessage `json:"detail"` // a JSON object
}

// Publish puts an event on a bus, and returns the id by which the run knows it. Its error is the bus's where the bus refuses
// it.
func (s *Session) Publish(ctx context.Context, p Publication) (id string, err error) {
	bus, err := s.bus(p.Bus)
	if err != nil {
		return "", err
	}
	out, err := s.Cloud().EventBridge().PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: &bus, Source: &p.Source, DetailType: &p.Type, Detail: aws.String(string(p.Detail)),
	}}})
	if err != nil {
		return "", fmt.Errorf("publish %s to %s: %w", p.Type, bus, err)
	}
	answer := out.Entries[0]
	if answer.ErrorCode != nil {
		return "", fmt.Errorf("publish %s to %s: %s: %s", p.Type, bus, *answer.ErrorCode, aws.ToString(answer.ErrorMessage))
	}
	accepted, err := json.Marshal(map[string]any{"id": answer.EventId, "detail-type": p.Type, "detail": p.Detail})
	return hop.EventID(accepted), err
}

// bus returns the bus to which a publication goes.
func (s *Session) bus(name string) (string, error) {
	var buses []string
	for _, r := range s.resources("AWS::Events::EventBus") {
		buses = append(buses, r.Ref)
	}
	switch {
	case name != "":
		return name, nil
	case len(buses) == 0:
		return "default", nil
	case len(buses) == 1:
		return buses[0], nil
	}
	return "", fmt.Errorf("Bus must be set, because the stack has %d: %s", len(buses), strings.Join(buses, ", "))
}

// maxDelay is the longest delay of a message. Source: SQS API reference, SendMessage.
const maxDelay = 15 * time.Minute

// Deliver sends an event to a consumer's queue once more, as EventBridge may do, after a delay of up to 15 minutes in whole
// seconds.
func (s *Session) Deliver(ctx context.Context, eventID, consumer string, delay time.Duration) error {
	c, err := s.Consumer(consumer)
	if err != nil {
		return err
	}
	if delay < 0 || delay > maxDelay || delay%time.Second != 0 {
		return fmt.Errorf("delay must be whole seconds from 0 to %s, got %s", maxDelay, delay)
	}
	e, found := s.Events().Get(eventID)
	if !found || e.Payload == nil {
		return fmt.Errorf("event must be one that the run has seen, and not among those that it has forgotten, got %q", eventID)
	}
	message := &sqs.SendMessageInput{QueueUrl: aws.String(s.Cloud().QueueURL(c.Queue)), MessageBody: aws.String(string(e.Payload)), DelaySeconds: int32(delay / time.Second)}
	if strings.HasSuffix(c.Queue, ".fifo") {
		// Source: SQS API reference, SendMessage, DelaySeconds: a FIFO queue has a delay of its own only.
		if delay > 0 {
			return fmt.Errorf("delay must be 0 for the FIFO queue of %s, got %s", consumer, delay)
		}
		message.MessageGroupId = aws.String(e.AggregateType + "#" + e.AggregateID)
		message.MessageDeduplicationId = aws.String(uuid.NewString())
	}
	if _, err := s.Cloud().SQS().SendMessage(ctx, message); err != nil {
		return fmt.Errorf("deliver event %s to %s: %w", eventID, consumer, err)
	}
	return nil
}
