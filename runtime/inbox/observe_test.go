package inbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// readEvent is a batch of one message as Lambda hands it over.
func readEvent(t testing.TB) events.SQSEvent {
	t.Helper()
	raw, err := os.ReadFile("testdata/event.json")
	if err != nil {
		t.Fatal(err)
	}
	var event events.SQSEvent
	if err := json.Unmarshal(raw, &event); err != nil {
		t.Fatal(err)
	}
	return event
}

func TestLogLineOfAMessage(t *testing.T) {
	f := newFixture()
	if _, err := inbox.Handler(f.store(t, f.DB), ship)(t.Context(), readEvent(t)); err != nil {
		t.Fatal(err)
	}
	lines := f.logs.lines(t)
	expect(t, "lines", len(lines), 1)
	for name, want := range map[string]any{
		"level": "INFO", "msg": "handled", "consumer": "shipping", "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
		"receiveCount": 2, "eventId": "0193489a-7c1e-7000-8000-6c1f0a9a3b11", "eventType": "OrderCreated",
		"aggregateType": "Order", "aggregateId": "o-1001", "version": 1,
		"correlationId": "0193489a-7c1e-7000-8000-6c1f0a9a3b11", "traceId": "1-5759e988-bd862e3fe1be46a994272793",
	} {
		expect(t, name, lines[0][name], want)
	}
	for _, name := range []string{"ageMs", "tookUs"} {
		if v, ok := lines[0][name].(float64); !ok || v < 0 {
			t.Errorf("%s = %v", name, lines[0][name])
		}
	}
}

func TestMetricsOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		handler := inbox.Handler(f.store(t, f.DB), func(_ context.Context, _ *outbox.Tx, event record.Event) error {
			switch event.ID {
			case "failed":
				return errTest
			case "permanent":
				return inbox.Permanent(errTest)
			}
			time.Sleep(time.Second)
			return nil
		}, inbox.InOrder())
		deliver(t.Context(), t, handler,
			message("e1", "o1", 1), message("e2", "o2", 1), message("gap", "o3", 2), message("failed", "o4", 1), message("permanent", "o5", 1))
		deliver(t.Context(), t, handler, message("e1", "o1", 1))

		lines := f.metrics.lines(t)
		expect(t, "documents", len(lines), 2)
		for name, want := range map[string]any{
			"Consumer": "shipping", "Handled": 2, "Duplicates": 0, "Failed": 1, "Permanent": 1, "Gaps": 1, "EventAge": []int{2000, 2000},
		} {
			expect(t, name, lines[0][name], want)
		}
		expect(t, "duplicates", lines[1]["Duplicates"], 1)
		if _, ok := lines[1]["EventAge"]; ok {
			t.Error("EventAge without an event that was handled")
		}
		for i, declared := range []int{6, 5} {
			header := lines[i]["_aws"].(map[string]any)
			directive := header["CloudWatchMetrics"].([]any)[0].(map[string]any)
			expect(t, "namespace", directive["Namespace"], inbox.MetricNamespace)
			expect(t, "dimensions", directive["Dimensions"], [][]string{{"Consumer"}})
			expect(t, "metrics declared", len(directive["Metrics"].([]any)), declared)
			for _, m := range directive["Metrics"].([]any) {
				if name := m.(map[string]any)["Name"].(string); lines[i][name] == nil {
					t.Errorf("%s is declared and has no value", name)
				}
			}
		}
		timestamp := lines[1]["_aws"].(map[string]any)["Timestamp"].(float64)
		expect(t, "timestamp", int64(timestamp), time.Now().UnixMilli())
	})
}

// A document takes at most a hundred values of a metric, and a batch may have ten thousand messages.
func TestMetricsOfALargeBatch(t *testing.T) {
	f := newFixture()
	deliver(t.Context(), t, inbox.Handler(f.store(t, f.DB), func(context.Context, *outbox.Tx, record.Event) error { return nil }), manyMessages(250)...)
	total := 0
	for _, line := range f.metrics.lines(t) {
		n := len(line["EventAge"].([]any))
		if n > 100 {
			t.Errorf("%d values in a document", n)
		}
		expect(t, "handled", line["Handled"], n)
		total += n
	}
	expect(t, "values", total, 250)
}

func manyMessages(n int) []events.SQSMessage {
	messages := make([]events.SQSMessage, n)
	for i := range messages {
		id := "e" + time.Unix(int64(i), 0).UTC().Format("150405")
		messages[i] = message(id, id, 1)
	}
	return messages
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestMetricsThatCannotBeWrittenFailNoMessage(t *testing.T) {
	f := newFixture()
	f.config.Metrics = brokenWriter{}
	expect(t, "failures", deliver(t.Context(), t, inbox.Handler(f.store(t, f.DB), ship), message("e1", "o1", 1)), []string{})
	lines := f.logs.lines(t)
	expect(t, "logged", lines[len(lines)-1]["error"], "broken pipe")
}
