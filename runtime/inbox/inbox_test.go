package inbox_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

func TestEventTakesEffectOnce(t *testing.T) {
	for name, options := range map[string][]inbox.Option{
		"marker":             nil,
		"marker, read first": {inbox.ReadFirst()},
		"order":              {inbox.InOrder()},
		"order, read first":  {inbox.InOrder(), inbox.ReadFirst()},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			handler := inbox.Handler(f.store(t, f.DB), ship, options...)
			for range 3 {
				expect(t, "failures", deliver(t.Context(), t, handler, message("e1", "o1", 1)), []string{})
			}
			expect(t, "shipments", len(f.Items(shipments)), 1)
			expect(t, "events", len(f.Items(outboxTable)), 1)
			var logged []any
			for _, line := range f.logs.lines(t) {
				logged = append(logged, line["msg"])
			}
			expect(t, "outcomes", logged, []any{"handled", "duplicate", "duplicate"})
		})
	}
}

func TestReadFirstSparesTheFunction(t *testing.T) {
	f := newFixture()
	calls := 0
	handler := inbox.Handler(f.store(t, f.DB), func(ctx context.Context, tx *outbox.Tx, event record.Event) error {
		calls++
		return ship(ctx, tx, event)
	}, inbox.ReadFirst())
	deliver(t.Context(), t, handler, message("e1", "o1", 1))
	deliver(t.Context(), t, handler, message("e1", "o1", 1))
	expect(t, "calls", calls, 1)
}

func TestConsumersDoNotShareAMemory(t *testing.T) {
	f := newFixture()
	for _, name := range []string{"shipping", "billing"} {
		f.config.Consumer = name
		handler := inbox.Handler(f.store(t, f.DB), func(_ context.Context, tx *outbox.Tx, event record.Event) error {
			tx.Put(types.Put{TableName: aws.String(shipments), Item: dynamotest.Item{"id": s(name)}})
			return nil
		})
		deliver(t.Context(), t, handler, message("e1", "o1", 1))
	}
	expect(t, "effects", len(f.Items(shipments)), 2)
}

func TestMarkerExpiresAfterTheTTL(t *testing.T) {
	f := newFixture()
	before := time.Now()
	deliver(t.Context(), t, inbox.Handler(f.store(t, f.DB), ship), message("e1", "o1", 1))
	item := f.Items(inboxTable)[0]
	expect(t, "key", stringOf(item, "pk"), "event#shipping#orders#e1")
	expires, err := strconv.ParseInt(stringOf(item, "expiresAt"), 10, 64)
	if left := time.Unix(expires, 0).Sub(before); err != nil || left < 24*time.Hour-time.Second || left > 24*time.Hour+time.Minute {
		t.Errorf("expires in %s (%v), want 24h", left, err)
	}
}

func TestPositionNeverExpires(t *testing.T) {
	f := newFixture()
	deliver(t.Context(), t, inbox.Handler(f.store(t, f.DB), ship, inbox.InOrder()), message("e1", "o1", 1))
	item := f.Items(inboxTable)[1] // behind the consumer's join
	expect(t, "key", stringOf(item, "pk"), "position#shipping#orders#Order#o1")
	if _, ok := item["expiresAt"]; ok {
		t.Errorf("the position has an expiry: %v", item)
	}
}

func TestFollowOnEventsCarryTheirCause(t *testing.T) {
	f := newFixture()
	deliver(t.Context(), t, inbox.Handler(f.store(t, f.DB), ship), message("e1", "o1", 1))
	event := f.Items(outboxTable)[0]
	for name, want := range map[string]string{"causationId": "e1", "correlationId": "c-e1", "traceparent": traceparent, "source": "shipping"} {
		expect(t, name, stringOf(event, name), want)
	}
}

func TestNewReportsEverythingAtOnce(t *testing.T) {
	_, err := inbox.New(newDB(), &queues{}, inbox.Config{Consumer: "a#b", Concurrency: -1})
	for _, part := range []string{
		"Table must not be empty", "QueueURL must not be empty", "DeadLetterQueueURL must not be empty",
		`Consumer must be 1 to 128 of the characters A-Z a-z 0-9 . _ - and /, got "a#b"`, "TTL must be at least 1s, got 0s", "Concurrency must be at least 1, or 0 for 10, got -1",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error lacks %q:\n%v", part, err)
		}
	}
}

// setEnv sets what the construct gives to the function of a consumer that appends events, and returns all
// but the retention.
func setEnv(t *testing.T, retention string) map[string]string {
	t.Helper()
	set := map[string]string{
		"INBOX_TABLE": inboxTable, "INBOX_CONSUMER": "shipping", "INBOX_TTL_SECONDS": "86400", "CONSUMER_DLQ_URL": dlqURL,
		"CONSUMER_QUEUE_URL": queueURL, "OUTBOX_TABLE": outboxTable, "OUTBOX_SOURCE": "shipping",
	}
	for name, value := range set {
		t.Setenv(name, value)
	}
	t.Setenv("OUTBOX_RETENTION_SECONDS", retention)
	return set
}

func TestFromEnv(t *testing.T) {
	set := setEnv(t, "")
	f := newFixture()
	store, err := inbox.FromEnv(f.DB, &f.queues)
	if err != nil {
		t.Fatal(err)
	}
	deliver(t.Context(), t, inbox.Handler(store, ship), message("e1", "o1", 1))
	expect(t, "events", len(f.Items(outboxTable)), 1)

	for name := range set {
		t.Setenv(name, "")
	}
	t.Setenv("OUTBOX_TABLE", outboxTable)
	_, err = inbox.FromEnv(f.DB, &f.queues)
	for name := range set {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error does not name %s:\n%v", name, err)
		}
	}
	t.Setenv("INBOX_TTL_SECONDS", "a day")
	if _, err = inbox.FromEnv(f.DB, &f.queues); err == nil || !strings.Contains(err.Error(), `"a day"`) {
		t.Errorf("error does not name the value: %v", err)
	}
}

func TestFromEnvTakesTheOutboxRetention(t *testing.T) {
	for name, tc := range map[string]struct {
		variable string
		want     time.Duration
	}{
		"not set":     {"", outbox.DefaultRetention},
		"thirty days": {"2592000", 30 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			setEnv(t, tc.variable)
			f := newFixture()
			store, err := inbox.FromEnv(f.DB, &f.queues)
			if err != nil {
				t.Fatal(err)
			}
			before := time.Now()
			deliver(t.Context(), t, inbox.Handler(store, ship), message("e1", "o1", 1))
			expires, err := strconv.ParseInt(stringOf(f.Items(outboxTable)[0], "expiresAt"), 10, 64)
			if left := time.Unix(expires, 0).Sub(before); err != nil || left < tc.want-time.Second || left > tc.want+time.Minute {
				t.Errorf("the event expires in %s (%v), want %s", left, err, tc.want)
			}
		})
	}
}

func TestFromEnvRefusesAnOutboxRetention(t *testing.T) {
	set := setEnv(t, "a week")
	_, err := inbox.FromEnv(newDB(), &queues{})
	const want = `environment variable OUTBOX_RETENTION_SECONDS must be whole seconds from 1 to 2147483647, got "a week"`
	if err == nil || err.Error() != "inbox: "+want {
		t.Errorf("got %v, want %s", err, want)
	}
	for name := range set {
		t.Setenv(name, "")
	}
	if _, err = inbox.FromEnv(newDB(), &queues{}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "INBOX_TABLE") {
		t.Errorf("the problems are not told together: %v", err)
	}
}
