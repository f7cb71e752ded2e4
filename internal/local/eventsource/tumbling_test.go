package eventsource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/jsontext"
	"github.com/outboxkit/transactional-outbox/internal/local/streams"
)

// A windowRun is a mapping with windows of 30 seconds whose function counts the records of a window in the state. It starts
// at a window's begin, in virtual time.
type windowRun struct {
	*fakeStream
	failing int                       // that many ends of windows are refused
	answer  func(state string) string // default: the state
	calls   []string                  // "0-30 {} [1 2]", "0-30 {"n":2} final", by the seconds since the start
}

func runWindows(t *testing.T, d Description, records map[time.Duration][]string, change func(*windowRun)) *windowRun {
	t.Helper()
	w := &windowRun{fakeStream: &fakeStream{}, answer: func(state string) string { return `{"state":` + state + `}` }}
	if change != nil {
		change(w)
	}
	d.TumblingWindow = 30 * time.Second
	started := time.Now()
	for after, numbers := range records {
		time.AfterFunc(after, func() { w.write(numbers) })
	}
	m := w.mapping(d, func(_ context.Context, _ string, payload []byte) ([]byte, error) {
		var event struct {
			Records []struct {
				DynamoDB struct{ SequenceNumber string }
			}
			Window                  struct{ Start, End time.Time }
			State                   map[string]any
			ShardID, EventSourceARN string
			IsFinalInvokeForWindow  bool
			IsWindowTerminatedEarly bool
		}
		if err := json.Unmarshal(payload, &event); err != nil || event.ShardID != "shard" || event.EventSourceARN != streamARN || !strings.HasPrefix(string(payload), `{"Records":[`) {
			t.Errorf("payload %s: %v", payload, err)
		}
		what := fmt.Sprintf("%v-%v %s ", event.Window.Start.Sub(started).Seconds(), event.Window.End.Sub(started).Seconds(), short(event.State))
		switch {
		case event.IsFinalInvokeForWindow:
			w.calls = append(w.calls, what+"final")
			if w.failing > 0 {
				w.failing--
				return nil, errors.New("not yet")
			}
			return nil, nil // an end needs no state
		case event.IsWindowTerminatedEarly:
			w.calls = append(w.calls, what+"early")
			return nil, nil
		}
		var numbers []string
		for _, r := range event.Records {
			numbers = append(numbers, r.DynamoDB.SequenceNumber)
		}
		w.calls = append(w.calls, what+fmt.Sprint(numbers))
		n, _ := event.State["n"].(float64)
		return []byte(w.answer(fmt.Sprintf(`{"n":%v}`, n+float64(len(numbers))))), nil
	})
	m.SourceARN = streamARN
	ctx, cancel := context.WithTimeout(t.Context(), 80*time.Second)
	defer cancel()
	if err := m.run(ctx); err != nil {
		t.Error(err)
	}
	return w
}

// short returns a state as JSON, or its size where that is large.
func short(state any) string {
	if text := jsontext.Compact(state); len(text) < 100 {
		return text
	}
	return "large"
}

func (w *windowRun) write(numbers []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, number := range numbers {
		w.records = append(w.records, streams.Record{
			SequenceNumber: number, Arrival: time.Now(), Key: number, Size: 100,
			Event: map[string]any{"dynamodb": map[string]any{"SequenceNumber": number}},
		})
	}
}

func TestTumblingWindows(t *testing.T) {
	three := map[time.Duration][]string{time.Second: {"1", "2"}, 10 * time.Second: {"3"}, 35 * time.Second: {"4"}}
	for name, c := range map[string]struct {
		mapping    Description
		records    map[time.Duration][]string
		change     func(*windowRun)
		calls      []string
		checkpoint string
		given      []string
	}{
		"a state for each window": {
			Description{BatchSize: 10},
			three, nil,
			[]string{`0-30 {} [1 2]`, `0-30 {"n":2} [3]`, `0-30 {"n":3} final`, `30-60 {} [4]`, `30-60 {"n":1} final`},
			"4", nil,
		},
		"a window's end is tried until it succeeds": {
			Description{BatchSize: 10},
			three, func(w *windowRun) { w.failing = 2 },
			[]string{`0-30 {} [1 2]`, `0-30 {"n":2} [3]`, `0-30 {"n":3} final`, `0-30 {"n":3} final`, `0-30 {"n":3} final`, `30-60 {} [4]`, `30-60 {"n":1} final`},
			"4", nil,
		},
		"an open window is not stored": {
			Description{BatchSize: 10},
			map[time.Duration][]string{time.Second: {"1"}, 65 * time.Second: {"2"}},
			nil,
			[]string{`0-30 {} [1]`, `0-30 {"n":1} final`, `60-90 {} [2]`},
			"1", nil,
		},
		"a response without a state fails": {
			Description{BatchSize: 10, OnFailure: "queue"},
			map[time.Duration][]string{time.Second: {"1"}},
			func(w *windowRun) { w.answer = func(string) string { return `{"State":{}}` } },
			[]string{`0-30 {} [1]`, `0-30 {} final`},
			"1",
			[]string{"RetryAttemptsExhausted 1-1 1"},
		},
		"a state that is too large ends the window early": {
			Description{BatchSize: 1},
			map[time.Duration][]string{time.Second: {"1", "2"}},
			func(w *windowRun) {
				w.answer = func(state string) string {
					if len(w.calls) == 1 {
						return `{"state":{"n":"` + strings.Repeat("x", maxState) + `"}}`
					}
					return `{"state":` + state + `}`
				}
			},
			[]string{`0-30 {} [1]`, `0-30 large early`, `0-30 {} [2]`, `0-30 {"n":1} final`},
			"2", nil,
		},
		"a batching window over the end": {
			Description{BatchSize: 10, Window: 20 * time.Second},
			map[time.Duration][]string{25 * time.Second: {"1"}, 35 * time.Second: {"2"}},
			nil,
			[]string{`0-30 {} [1]`, `0-30 {"n":1} final`, `30-60 {} [2]`, `30-60 {"n":1} final`},
			"2", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := runWindows(t, c.mapping, c.records, c.change)
				expect(t, "calls", w.calls, c.calls)
				expect(t, "checkpoint", w.checkpoints["shard"].After, c.checkpoint)
				expect(t, "dead-letter messages", w.given(), c.given)
			})
		})
	}
}

// With ReportBatchItemFailures the response has both: the state counts, and the records from the lowest number on come again.
func TestTumblingWindowWithItemFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := runWindows(t, Description{BatchSize: 10, ReportBatchItemFailures: true, MaximumRetryAttempts: 1}, map[time.Duration][]string{time.Second: {"1", "2"}},
			func(w *windowRun) {
				w.answer = func(string) string {
					if len(w.calls) == 1 {
						return `{"state":{"n":1},"batchItemFailures":[{"itemIdentifier":"2"}]}`
					}
					return `{"state":{"n":2}}`
				}
			})
		expect(t, "calls", w.calls, []string{`0-30 {} [1 2]`, `0-30 {"n":1} [2]`, `0-30 {"n":2} final`})
	})
}

// The window ends with its shard.
func TestTumblingWindowEndsWithTheShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStream{ends: true, records: []streams.Record{{SequenceNumber: "1", Arrival: time.Now(), Event: map[string]any{}}}}
		var finals []time.Time
		started := time.Now()
		m := f.mapping(Description{TumblingWindow: 15 * time.Minute}, func(_ context.Context, _ string, payload []byte) ([]byte, error) {
			if strings.Contains(string(payload), `"isFinalInvokeForWindow":true`) {
				finals = append(finals, time.Now())
			}
			return []byte(`{"state":{}}`), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := m.run(ctx); err != nil {
			t.Error(err)
		}
		if len(finals) != 1 || finals[0].Sub(started) > time.Second || !f.checkpoints["shard"].Ended {
			t.Errorf("the window ended at %v, checkpoint %+v", finals, f.checkpoints["shard"])
		}
	})
}
