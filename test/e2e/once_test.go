package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// consumers are the consumers of an OrderCreated, as in the names of their queues' outputs.
var consumers = []string{"PublisherOne", "PublisherTwo", "OrderUpdatedPublisher"}

// testOnce shows that effects are once-only and, where promised, in order.
func testOnce(t *testing.T, run *localrun.Run) {
	t.Run("an event that is delivered again has no second effect", func(t *testing.T) {
		id := post(t, run, bought("again"))
		awaitEffects(t, run, id, "again", created)
		event := query(within(t), t, run, "OutboxTableName", record.AttrPK, "Order#"+id)[0]
		for _, consumer := range consumers {
			deliver(t, run, consumer+"QueueUrl", envelope(t, event), 2)
		}
		for _, consumer := range consumers {
			awaitEmpty(t, run, consumer+"QueueUrl")
		}
		wantEffects(t, run, id, "again", created)
		for _, consumer := range consumers {
			awaitOutcomes(t, run, consumer, id, "duplicate", 2)
		}
	})

	t.Run("an event that is delivered twice at the same time has one effect", func(t *testing.T) {
		const order, customer = "twins", "twice"
		event := createdItem(t, order, customer)
		for _, consumer := range consumers {
			deliver(t, run, consumer+"QueueUrl", envelope(t, event), 5)
		}
		awaitEffects(t, run, order, customer, created)
		for _, consumer := range consumers {
			awaitEmpty(t, run, consumer+"QueueUrl")
		}
		wantEffects(t, run, order, customer, created)
		for _, consumer := range consumers {
			awaitOutcomes(t, run, consumer, order, "duplicate", 4)
			handled := 0
			for _, l := range outcomes(run, consumer, order) {
				if l.Msg == "handled" && l.EventType == "OrderCreated" {
					handled++
				}
			}
			if handled != 1 {
				t.Errorf("%s handled the event %d times, want once", consumer, handled)
			}
		}
	})

	t.Run("versions that arrive in any order take effect in theirs", func(t *testing.T) {
		const order = "jumbled"
		first := createdItem(t, order, "jumbler")
		deliver(t, run, "OrderUpdatedPublisherQueueUrl", envelope(t, updatedItem(t, order, 3, "SHIPPED")), 1)
		awaitOutcomes(t, run, "OrderUpdatedPublisher", order, "too early", 1)
		deliver(t, run, "OrderUpdatedPublisherQueueUrl", envelope(t, first), 1)
		awaitOutcomes(t, run, "OrderUpdatedPublisher", order, "handled", 1)
		wantEffects(t, run, order, "jumbler", effects{history: []string{"1 CREATED"}})

		deliver(t, run, "OrderUpdatedPublisherQueueUrl", envelope(t, updatedItem(t, order, 2, "CONFIRMED")), 1)
		awaitEffects(t, run, order, "jumbler", effects{history: []string{"1 CREATED", "2 CONFIRMED", "3 SHIPPED"}})
		var handled []int64
		for _, l := range outcomes(run, "OrderUpdatedPublisher", order) {
			if l.Msg == "handled" {
				handled = append(handled, l.Version)
			}
		}
		if !slices.Equal(handled, []int64{1, 2, 3}) {
			t.Errorf("versions were handled in the order %v", handled)
		}
	})

	t.Run("an event that cannot be handled waits in the dead-letter queue with the reason", func(t *testing.T) {
		event := createdItem(t, "wrong", "nobody")
		event[record.AttrData] = &types.AttributeValueMemberS{Value: `{"customerId":7,"items":[],"status":7}`}
		body := envelope(t, event)
		for _, consumer := range consumers {
			deliver(t, run, consumer+"QueueUrl", body, 1)
			deadLetter := receive(t, run, consumer+"DeadLetterQueueUrl")
			if aws.ToString(deadLetter.Body) != body {
				t.Errorf("the dead-letter message is %s, want the message that was sent: %s", aws.ToString(deadLetter.Body), body)
			}
			for attribute, says := range map[string]string{"inbox.reason": "data of OrderCreated", "inbox.consumer": consumer} {
				if got := aws.ToString(deadLetter.MessageAttributes[attribute].StringValue); !strings.Contains(got, says) {
					t.Errorf("%s is %q, want it to say %q", attribute, got, says)
				}
			}
			awaitEmpty(t, run, consumer+"QueueUrl")
			if said := outcomes(run, consumer, "wrong"); len(said) != 1 || said[0].Msg != "permanent" {
				t.Errorf("the inbox of %s logged %+v, want one permanent failure", consumer, said)
			}
		}
		wantEffects(t, run, "wrong", "nobody", effects{})
	})
}

// TestTrouble replaces publisher one by a consumer that panics and hangs, and delivers its messages in batches with a
// short visibility timeout.
func TestTrouble(t *testing.T) {
	run := start(t, patched(t, func(p tmpl) {
		p.replaceFunction("PublisherOne", "troubled")
		p.allow("PublisherOne", "*", "dynamodb:UpdateItem") // in place of the production function's PutItem
		p.properties("AWS::Lambda::Function", "PublisherOne")["Timeout"] = 2
		p.properties("AWS::SQS::Queue", "PublisherOne/Queue")["VisibilityTimeout"] = 6
		p.properties("AWS::Lambda::EventSourceMapping", "PublisherOne")["MaximumBatchingWindowInSeconds"] = 1
	}))
	shipped := effects{shipments: 1, history: []string{"1 CREATED"}, notifications: 1}

	for name, c := range map[string]struct{ note, says string }{
		"a panic":    {"panic once", "panic: the order's note asks for a panic"},
		"a deadline": {"hang once", "out of time"},
	} {
		t.Run(name+" fails one message of a batch, which is redelivered", func(t *testing.T) {
			customer := strings.ReplaceAll(c.note, " ", "-")
			good := []string{post(t, run, bought(customer))}
			bad := post(t, run, strings.Replace(bought(customer), "ring twice", c.note, 1))
			good = append(good, post(t, run, bought(customer)))
			for _, id := range append(good, bad) {
				awaitEffects(t, run, id, customer, shipped)
			}
			failed := parse(awaitOutcomes(t, run, "PublisherOne", bad, "failed", 1)[0])
			if !strings.Contains(failed.Error, c.says) {
				t.Errorf("the error is %q, want %q", failed.Error, c.says)
			}
			if panicked := strings.Contains(failed.Stack, "troubled"); panicked != (c.note == "panic once") {
				t.Errorf("the stack is %q", failed.Stack)
			}
			if handled := outcomes(run, "PublisherOne", bad); handled[len(handled)-1].Msg != "handled" {
				t.Errorf("the inbox's last line is %+v, want that the event was handled", handled)
			}
			for _, id := range good {
				if said := outcomes(run, "PublisherOne", id); said[0].Msg != "handled" {
					t.Errorf("the inbox's lines about a valid order are %+v, want that it was handled at once", said)
				}
			}
		})
	}
	t.Run("a count is increased once, however often the event arrives", func(t *testing.T) {
		event := createdItem(t, "counted", "counter")
		deliver(t, run, "PublisherOneQueueUrl", envelope(t, event), 5)
		awaitEffects(t, run, "counted", "counter", effects{shipments: 1})
		deliver(t, run, "PublisherOneQueueUrl", envelope(t, event), 2)
		awaitEmpty(t, run, "PublisherOneQueueUrl")
		wantEffects(t, run, "counted", "counter", effects{shipments: 1})
	})
	if ended := run.Hops(func(h hop.Hop) bool {
		return h.Stage == hop.Queue && (strings.Contains(h.Detail, "timed out") || strings.Contains(h.Detail, "exit"))
	}); len(ended) != 0 {
		t.Errorf("the function did not respond: %+v", ended)
	}
	if mixed := run.Hops(func(h hop.Hop) bool {
		return h.Stage == hop.Queue && h.Outcome == hop.Retry && h.Count > 1 && strings.Contains(run.Name(h.Resource), "PublisherOne")
	}); len(mixed) == 0 {
		t.Error("the failed message was never in a batch with others: the test has proved nothing")
	}
}

// createdItem returns the outbox item of an order's creation.
func createdItem(t *testing.T, order, customer string) map[string]types.AttributeValue {
	t.Helper()
	data := map[string]any{
		"orderId": order, "customerId": customer, "currency": "EUR", "status": "CREATED",
		"items": []any{map[string]any{"sku": "tea", "quantity": 2, "unitPrice": 1290}},
	}
	return eventItem(t, "OrderCreated", order, 1, data)
}

// updatedItem returns the outbox item of a later version of an order.
func updatedItem(t *testing.T, order string, version int64, status string) map[string]types.AttributeValue {
	t.Helper()
	return eventItem(t, "OrderUpdated", order, version, map[string]any{"orderId": order, "status": status})
}

// eventItem returns the outbox item of an event as any writer would put it.
func eventItem(t *testing.T, kind, order string, version int64, data any) map[string]types.AttributeValue {
	t.Helper()
	raw, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	item, err := record.Event{
		ID: fmt.Sprintf("%s-%d-%s", order, version, uuid.NewString()), Type: kind, Source: "orders",
		AggregateType: "Order", AggregateID: order, Version: version, OccurredAt: time.Now(), Data: raw,
	}.Item(time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return item
}
