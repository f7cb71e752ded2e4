package consumer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/outboxkit/transactional-outbox/lambdas/internal/consumer"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// The messages of testdata/batch.json: an envelope as the pipe makes it, no envelope, an envelope with
// native JSON, an envelope without a trace.
const (
	fromPipe  = "059f36b4-87a3-44ab-83d2-661975830001"
	undecoded = "059f36b4-87a3-44ab-83d2-661975830002"
	native    = "059f36b4-87a3-44ab-83d2-661975830003"
	untraced  = "059f36b4-87a3-44ab-83d2-661975830004"
)

func TestOneMessageFailsAlone(t *testing.T) {
	failOn := func(ids ...string) consumer.Effect {
		return func(_ context.Context, e record.Event) ([]slog.Attr, error) {
			if slices.Contains(ids, e.ID) {
				return nil, errors.New("no")
			}
			return nil, nil
		}
	}
	for name, tc := range map[string]struct {
		effect consumer.Effect
		failed []string
	}{
		"only the undecodable one": {failOn(), []string{undecoded}},
		"the first too":            {failOn("order-1-1"), []string{fromPipe, undecoded}},
		"the last too":             {failOn("order-4-1"), []string{undecoded, untraced}},
		"all of them":              {failOn("order-1-1", "order-3-1", "order-4-1"), []string{fromPipe, undecoded, native, untraced}},
	} {
		t.Run(name, func(t *testing.T) {
			response, _ := handle(t, tc.effect)
			var failed []string
			for _, f := range response.BatchItemFailures {
				failed = append(failed, f.ItemIdentifier)
			}
			if !slices.Equal(failed, tc.failed) {
				t.Errorf("failed messages: %v, want %v", failed, tc.failed)
			}
		})
	}
}

func TestEffectSeesEachEventInOrder(t *testing.T) {
	var seen []string
	handle(t, func(_ context.Context, e record.Event) ([]slog.Attr, error) {
		seen = append(seen, e.ID)
		return nil, nil
	})
	if want := []string{"order-1-1", "order-3-1", "order-4-1"}; !slices.Equal(seen, want) {
		t.Errorf("events: %v, want %v", seen, want)
	}
}

func TestNothingFailedIsAnEmptyList(t *testing.T) {
	response, err := consumer.Handler(slog.New(slog.DiscardHandler), nil)(t.Context(), events.SQSEvent{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"batchItemFailures":[]}`; string(got) != want {
		t.Errorf("response is %s, want %s", got, want)
	}
}

func TestOneLineAMessage(t *testing.T) {
	oldest := time.UnixMilli(1793611801000)
	before := time.Since(oldest).Milliseconds()
	_, lines := handle(t, func(_ context.Context, e record.Event) ([]slog.Attr, error) {
		attrs := []slog.Attr{slog.Int("units", 3)}
		if e.ID == "order-4-1" {
			return attrs, errors.New("the partner is closed")
		}
		return attrs, nil
	})
	after := time.Since(oldest).Milliseconds()
	if len(lines) != 4 {
		t.Fatalf("%d lines, want one for each of 4 messages", len(lines))
	}
	expect(t, lines[0], map[string]any{
		"level": "INFO", "msg": "event handled", "eventId": "order-1-1", "eventType": "OrderCreated",
		"aggregateType": "Order", "aggregateId": "order-1", "version": 1.0,
		"traceId": "1-4bf92f35-77b34da6a3ce929d0e0e4736", "units": 3.0,
	})
	if age := int64(lines[0]["ageMs"].(float64)); age < before || age > after {
		t.Errorf("ageMs is %d, want %d to %d", age, before, after)
	}
	expect(t, lines[1], map[string]any{"level": "ERROR", "msg": "message cannot be decoded", "messageId": undecoded})
	expect(t, lines[2], map[string]any{"level": "INFO", "eventId": "order-3-1", "version": 1.0, "traceId": ""})
	expect(t, lines[3], map[string]any{
		"level": "ERROR", "msg": "event failed", "eventId": "order-4-1", "messageId": untraced,
		"error": "the partner is closed", "units": 3.0,
	})
}

// handle runs testdata/batch.json through the handler and returns its answer and log lines.
func handle(t *testing.T, effect consumer.Effect) (events.SQSEventResponse, []map[string]any) {
	t.Helper()
	raw, err := os.ReadFile("testdata/batch.json")
	if err != nil {
		t.Fatal(err)
	}
	var batch events.SQSEvent
	if err := json.Unmarshal(raw, &batch); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	response, err := consumer.Handler(slog.New(slog.NewJSONHandler(&out, nil)), effect)(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	var lines []map[string]any
	for dec := json.NewDecoder(&out); dec.More(); {
		var line map[string]any
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return response, lines
}

func expect(t *testing.T, line, want map[string]any) {
	t.Helper()
	for key, value := range want {
		if line[key] != value {
			t.Errorf("%s is %v, want %v in %v", key, line[key], value, line)
		}
	}
}
