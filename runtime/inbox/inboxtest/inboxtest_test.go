package inboxtest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"go.uber.org/goleak"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/inbox/inboxtest"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEveryFaultLeavesOneEffect: each fault happens to the write, and the effect is there once.
func TestEveryFaultLeavesOneEffect(t *testing.T) {
	for _, fault := range []inboxtest.Fault{inboxtest.Conflict, inboxtest.Throttled, inboxtest.ServerError, inboxtest.LostAnswer} {
		t.Run(string(fault), func(t *testing.T) {
			handler, db, _ := newConsumer()
			db.Inject(fault)
			message := inboxtest.Message(ordered("e1", `{"address":"Kiel"}`))
			for range 2 {
				if failed, err := inboxtest.Handle(t.Context(), handler, message); len(failed) != 0 || err != nil {
					t.Errorf("%v come back, %v", failed, err)
				}
			}
			if db.FaultsLeft() != 0 || len(db.Items("shipments")) != 1 || len(db.Events()) != 1 || len(db.Items(inboxtest.InboxTable)) != 1 {
				t.Errorf("%d faults left, shipments %v, events %v", db.FaultsLeft(), db.Items("shipments"), db.Events())
			}
		})
	}
}

// TestAConsumerWithoutTheTransactionIsFoundOut: a consumer that does not use the transaction has two effects, and the test sees it.
func TestAConsumerWithoutTheTransactionIsFoundOut(t *testing.T) {
	db, effects := inboxtest.NewDB(nil), 0
	handler := inbox.Handler(inboxtest.NewStore(db, &inboxtest.Queue{}), func(context.Context, *outbox.Tx, record.Event) error {
		effects++
		return nil
	})
	message := inboxtest.Message(ordered("e1", "{}"))
	if _, err := inboxtest.Handle(t.Context(), handler, message, message); err != nil || effects != 2 {
		t.Errorf("%d effects, %v; want 2: Handler calls the function of a duplicate before it commits", effects, err)
	}
}

// TestAnOrderedConsumer: what comes too early comes back, and is handled when it is handed over after its predecessor.
func TestAnOrderedConsumer(t *testing.T) {
	var seen []int64
	handler := inbox.Handler(inboxtest.NewStore(inboxtest.NewDB(nil), &inboxtest.Queue{}), func(_ context.Context, _ *outbox.Tx, event record.Event) error {
		seen = append(seen, event.Version)
		return nil
	}, inbox.InOrder(), inbox.ReadFirst())
	version := func(n int64) events.SQSMessage {
		event := ordered(fmt.Sprint("e", n), "{}")
		event.AggregateID, event.Version = "one", n
		return inboxtest.Message(event)
	}
	for _, step := range []struct {
		version int64
		failed  []string
	}{{2, []string{"e2"}}, {1, nil}, {2, nil}, {1, nil}} {
		failed, err := inboxtest.Handle(t.Context(), handler, version(step.version))
		if err != nil || !slices.Equal(failed, step.failed) {
			t.Errorf("version %d: %v come back, want %v (%v)", step.version, failed, step.failed, err)
		}
	}
	if !slices.Equal(seen, []int64{1, 2}) {
		t.Errorf("versions %v were handled, want 1 and 2", seen)
	}
}

func TestAnErrorOfTheHandlerFailsAll(t *testing.T) {
	broken := errors.New("broken")
	failed, err := inboxtest.Handle(t.Context(), func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
		return events.SQSEventResponse{}, broken
	}, inboxtest.Message(ordered("e1", "{}")), inboxtest.Message(ordered("e2", "{}")))
	if !errors.Is(err, broken) || !slices.Equal(failed, []string{"e1", "e2"}) {
		t.Errorf("%v come back, %v", failed, err)
	}
}

func TestReadBatch(t *testing.T) {
	file := filepath.Join(t.TempDir(), "batch.json")
	if err := os.WriteFile(file, []byte(`{"Records":[{"messageId":"m1","body":"b"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if messages, err := inboxtest.ReadBatch(file); err != nil || len(messages) != 1 || messages[0].MessageId != "m1" || messages[0].Body != "b" {
		t.Errorf("messages are %+v, %v", messages, err)
	}
	for name, content := range map[string]string{"missing": "", "no JSON": "{"} {
		bad := filepath.Join(t.TempDir(), "bad.json")
		if content != "" {
			if err := os.WriteFile(bad, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := inboxtest.ReadBatch(bad); err == nil || !strings.Contains(err.Error(), "bad.json") {
			t.Errorf("%s: error is %v, want one that names the file", name, err)
		}
	}
}

// A wrong test must not pass.
func TestMistakesPanic(t *testing.T) {
	db := inboxtest.NewDB(map[string][]string{"shipments": {"orderId"}})
	for name, c := range map[string]struct {
		do   func()
		says string
	}{
		"items of a table that is not there": {func() { db.Items("shipment") }, `must be one of [inbox outbox shipments], got "shipment"`},
		"put into one":                       {func() { db.Put("orders", nil) }, `got "orders"`},
		"a table without a key":              {func() { inboxtest.NewDB(map[string][]string{"orders": nil}) }, "the table orders must have a key"},
		"a name that is taken":               {func() { inboxtest.NewDB(map[string][]string{"inbox": {"pk"}}) }, "the table inbox is there already"},
		"an event that is none":              {func() { inboxtest.Message(record.Event{}) }, "id must not be empty"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if said := fmt.Sprint(recover()); !strings.Contains(said, c.says) {
					t.Errorf("it panics with %q, want %q", said, c.says)
				}
			}()
			c.do()
		})
	}
}
