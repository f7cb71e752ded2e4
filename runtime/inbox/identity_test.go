package inbox_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// from is the message of an event of another source.
func from(source string, m events.SQSMessage) events.SQSMessage {
	m.MessageId += "-" + source
	m.Body = strings.Replace(m.Body, `"source":"orders"`, `"source":"`+source+`"`, 1)
	return m
}

// Two services may give their events the same ids, and their aggregates the same names.
func TestEventsOfTwoSourcesAreNotOne(t *testing.T) {
	for name, options := range map[string][]inbox.Option{"marker": nil, "order": {inbox.InOrder()}} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			handler := inbox.Handler(f.store(t, f.DB), ship, options...)
			m := message("e1", "o1", 1)
			expect(t, "failures", deliver(t.Context(), t, handler, m, from("invoices", m)), []string{})
			expect(t, "outcome", f.outcomes(t)["m-e1"], "handled")
			expect(t, "outcome", f.outcomes(t)["m-e1-invoices"], "handled")
		})
	}
}

// Whoever may publish could put an event under an id that another event will have: the second must not
// lose its effect without a word.
func TestEventThatOnlySharesAnIDIsRefused(t *testing.T) {
	f := newFixture()
	handlers := map[string]inbox.LambdaHandler{
		"e1": inbox.Handler(f.store(t, f.DB), ship),
		"e2": inbox.EffectHandler(f.store(t, f.DB), func(context.Context, record.Event) error { return nil }),
	}
	for id, handler := range handlers {
		for what, other := range map[string]events.SQSMessage{
			"another aggregate": message(id, "o2", 1),
			"another version":   message(id, "o1", 2),
		} {
			t.Run(id+" of "+what, func(t *testing.T) {
				f.queues.sent = nil
				deliver(t.Context(), t, handler, message(id, "o1", 1))
				expect(t, "failures", deliver(t.Context(), t, handler, other), []string{})
				if len(f.queues.sent) != 1 {
					t.Fatalf("%d dead letters, want 1", len(f.queues.sent))
				}
				event, err := record.Decode([]byte(other.Body))
				if err != nil {
					t.Fatal(err)
				}
				reason := aws.ToString(f.queues.sent[0].MessageAttributes[inbox.ReasonAttribute].StringValue)
				for _, part := range []string{id, event.AggregateID, "has handled", `version 1 of Order "o1" of source "orders"`} {
					if !strings.Contains(reason, part) {
						t.Errorf("reason is %q, want it to contain %q", reason, part)
					}
				}
			})
		}
	}
}

// The function of an event that is refused may fail in any way: the reason is the inbox's.
func TestRefusalComesBeforeTheFunctionsError(t *testing.T) {
	f := newFixture()
	fail := error(nil)
	handler := inbox.Handler(f.store(t, f.DB), failing(func() error { return fail }))
	deliver(t.Context(), t, handler, message("e2", "o1", 1))
	fail = errTest
	expect(t, "failures", deliver(t.Context(), t, handler, message("e2", "o2", 1)), []string{})
	expect(t, "outcome", f.outcomes(t)["m-e2"], "permanent")
}

// Every key of the longest parts fits DynamoDB's limit.
// Source: DynamoDB developer guide, "Constraints in Amazon DynamoDB".
func TestKeysFitDynamoDB(t *testing.T) {
	const longestPartitionKey, longestSortKey = 2048, 1024
	f := newFixture()
	f.config.Consumer = strings.Repeat("c", 128)
	m := message("ID", "AGGREGATE", 2)
	m.Body = strings.NewReplacer(
		`"ID"`, `"`+strings.Repeat("i", record.MaxID)+`"`,
		`"AGGREGATE"`, `"`+strings.Repeat("a", record.MaxAggregateID)+`"`,
		`"aggregateType":"Order"`, `"aggregateType":"`+strings.Repeat("t", record.MaxAggregateType)+`"`,
		`"source":"orders"`, `"source":"`+strings.Repeat("s", record.MaxSource)+`"`,
	).Replace(m.Body)
	event, err := record.Decode([]byte(m.Body))
	if err != nil {
		t.Fatal(err)
	}
	deliver(t.Context(), t, inbox.Handler(f.store(t, f.DB), ship), m)
	deliver(t.Context(), t, inbox.Handler(f.store(t, f.DB), ship, inbox.InOrder()), m) // waits
	keys := f.Items(inboxTable)
	expect(t, "items: marker, join and what waits", len(keys), 3)
	for _, item := range keys {
		if n := len(stringOf(item, "pk")); n > longestPartitionKey {
			t.Errorf("a key of %d bytes: %s", n, stringOf(item, "pk")[:20])
		}
	}
	if n := len(record.PartitionKey(event.AggregateType, event.AggregateID)); n > longestPartitionKey {
		t.Errorf("a partition key of %d bytes in the outbox", n)
	}
	if n := len(record.SortKey(event.ID)); n > longestSortKey {
		t.Errorf("a sort key of %d bytes in the outbox", n)
	}
}
