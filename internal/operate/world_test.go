package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A world is a stack whose tables are in DynamoDB Local, with three consumers: Ship of new orders, History of everything in
// order, and Mail of new orders, which has no inbox.
type world struct {
	*plant
	t     *testing.T
	stack *Stack
	box   *Outbox
}

func newWorld(t *testing.T) *world {
	t.Helper()
	stack := audited(stackOf("History", "Mail", "Ship"), newSortedTable(t, "audit"))
	w := &world{t: t, stack: stack, box: stack.Outboxes[0]}
	w.box.Table = newSortedTable(t, "events")
	inboxTable := newInbox(t)
	for _, c := range stack.Consumers {
		c.InboxTable = inboxTable
		c.Pattern = []byte(`{"source":["orders"],"detail-type":["OrderCreated"]}`)
	}
	w.consumer("History").Ordered = true
	w.consumer("History").Pattern = []byte(`{"source":["orders"],"detail":{"aggregateType":["Order"]}}`)
	w.consumer("Mail").Inbox = "NONE"
	w.plant = newPlant(stack)
	return w
}

func (w *world) consumer(id string) *Consumer {
	c, err := FindConsumer(w.stack.Consumers, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// commit writes an event of an order, so long ago, and returns its item.
func (w *world) commit(kind, order string, version int64, age time.Duration) item {
	w.t.Helper()
	e := record.Event{
		ID: fmt.Sprintf("%s-%d", order, version), Type: kind, Source: "orders", AggregateType: "Order", AggregateID: order,
		Version: version, OccurredAt: time.Now().Add(-age), Data: []byte(`{}`),
	}
	it, err := e.Item(time.Now().Add(24 * time.Hour))
	if err != nil {
		w.t.Fatal(err)
	}
	put(w.t, w.box.Table, it)
	return it
}

// handle hands an event to a consumer with the real inbox; reason is why it fails for good, if it does.
func (w *world) handle(id string, it item) {
	w.t.Helper()
	c := w.consumer(id)
	store, err := inbox.New(db, noQueue{}, inbox.Config{
		Table: c.InboxTable, Consumer: c.Name, TTL: time.Hour, QueueURL: c.Queue, DeadLetterQueueURL: c.DeadLetterQueue,
		Logger: slog.New(slog.DiscardHandler), Metrics: io.Discard,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	var options []inbox.Option
	if c.Ordered {
		options = append(options, inbox.InOrder())
	}
	called := 0
	handler := inbox.Handler(store, func(context.Context, *outbox.Tx, record.Event) error { called++; return nil }, options...)
	if _, err = handler(w.t.Context(), events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m", Body: w.body(it)}}}); err != nil || called != 1 {
		w.t.Fatalf("%s handled %d events (%v)", id, called, err)
	}
}

// body is the body of the message that brings the event to a queue.
func (w *world) body(it item) string {
	w.t.Helper()
	body, err := audit.Place{Account: "111122223333", Region: "eu-central-1"}.Message(it, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return body
}

// bury puts a message into a dead-letter queue.
func (w *world) bury(url, body string, attributes map[string]string) {
	noted := map[string]sqstypes.MessageAttributeValue{}
	for name, value := range attributes {
		noted[name] = sqstypes.MessageAttributeValue{StringValue: &value}
	}
	id := fmt.Sprint("m-", len(w.messages[url]))
	w.messages[url] = append(w.messages[url], sqstypes.Message{MessageId: &id, ReceiptHandle: &id, Body: &body, MessageAttributes: noted})
	w.queues[url]["ApproximateNumberOfMessages"] = fmt.Sprint(len(w.messages[url]))
}

// missed puts an event on the auditor's list, as one that a consumer misses.
func (w *world) missed(id string, it item) {
	w.t.Helper()
	event, err := audit.EventOf(it)
	if err != nil {
		w.t.Fatal(err)
	}
	err = audit.List{Client: db, Table: w.box.Audit.Table}.Note(w.t.Context(), audit.Unconfirmed{
		Event: event, Consumer: w.consumer(id).Name, Since: time.Now().Add(-10 * time.Minute), ExpiresAt: time.Now().Add(24 * time.Hour),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// trace traces an id and returns what is shown.
func (w *world) trace(id string) (*Trace, string) {
	w.t.Helper()
	trace, notes, err := w.tryTrace(id, 1000)
	if err != nil {
		w.t.Fatalf("trace %s: %v", id, err)
	}
	var text strings.Builder
	trace.Write(&text, CommandLine{Stack: "Orders"})
	return trace, notes + text.String()
}

func (w *world) tryTrace(id string, maximum int) (*Trace, string, error) {
	d, notes := dialog("")
	trace, err := Tracer{Clients: w.clients(), Outbox: w.box, MaximumRead: maximum, Dialog: d}.Trace(w.t.Context(), id)
	return trace, notes.String(), err
}

func (w *world) search() (Search, *strings.Builder) {
	d, notes := dialog("")
	return Search{Clients: w.clients(), Outbox: w.box, Dialog: d}, notes
}

// ledger audits, and returns the missing effects as "consumer event", and what is shown.
func (w *world) ledger(s Search) (l *Ledger, missing []string, text string) {
	w.t.Helper()
	var shown strings.Builder
	list := MissingList{W: &shown, Limit: 20}
	l, err := Audit(w.t.Context(), s, func(m MissingEffect) error {
		missing = append(missing, m.Consumer+" "+m.ID)
		return list.Add(m)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	list.End()
	l.Write(&shown, CommandLine{Stack: "Orders"}, 120)
	return l, missing, shown.String()
}

func (w *world) row(l *Ledger, id string) LedgerRow {
	for _, r := range l.Consumers {
		if r.Consumer == id {
			return r
		}
	}
	w.t.Fatal(errors.New("the ledger has no row of " + id))
	return LedgerRow{}
}
