package eventbus

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

const (
	successesARN = "arn:aws:sqs:eu-west-1:000000000000:Successes"
	failuresARN  = "arn:aws:sqs:eu-west-1:000000000000:Failures"
	ownDeadARN   = "arn:aws:sqs:eu-west-1:000000000000:OwnDead"
)

// never is a rule that sends nothing during a test.
func never() map[string]any {
	properties := everyMinute(map[string]any{"Arn": functionARN})
	properties["State"] = stateDisabled
	return properties
}

func destinations() map[string]any {
	return map[string]any{"DestinationConfig": map[string]any{
		"OnSuccess": map[string]any{"Destination": successesARN}, "OnFailure": map[string]any{"Destination": failuresARN},
	}}
}

// An invocation that nobody waits for is tried as often as one of a rule, and its end goes to the same places.
func TestInvokeAsync(t *testing.T) {
	for name, c := range map[string]struct {
		properties map[string]any
		failing    bool
		dead       string
		calls      []time.Duration
		outcomes   string
		sent       map[string]string // the condition or the payload, by queue
	}{
		"handled":                    {map[string]any{}, false, ownDeadARN, []time.Duration{0}, "ok ", nil},
		"handled, with destinations": {destinations(), false, ownDeadARN, []time.Duration{0}, "ok ", map[string]string{successesARN: "Success 1"}},
		"failing":                    {map[string]any{}, true, "", []time.Duration{0, time.Minute, 3 * time.Minute}, "retry retry dropped ", nil},
		"failing, once": {
			map[string]any{"MaximumRetryAttempts": 0}, true, ownDeadARN, []time.Duration{0}, "dead-letter ", map[string]string{ownDeadARN: `{"order":1}`},
		},
		"failing, with destinations": {
			destinations(), true, "", []time.Duration{0, time.Minute, 3 * time.Minute}, "retry retry dead-letter ", map[string]string{failuresARN: "RetriesExhausted 3"},
		},
		"failing, with both": {
			destinations(), true, ownDeadARN,
			[]time.Duration{0, time.Minute, 3 * time.Minute},
			"retry retry dead-letter ",
			map[string]string{failuresARN: "RetriesExhausted 3", ownDeadARN: `{"order":1}`},
		},
	} {
		inBubble(t, name, func(t *testing.T, path string) {
			w := newClockwork(t, path, never())
			w.configure(c.properties)
			w.failing, w.dead = c.failing, c.dead
			if err := w.InvokeAsync(functionARN, []byte(`{"order":1}`)); err != nil {
				t.Fatal(err)
			}
			w.run(time.Hour)
			expect(t, "calls", w.calls, c.calls)
			expect(t, "events", w.events[0], `{"order":1}`)
			expect(t, "outcomes", w.outcomes(), c.outcomes)
			expect(t, "queues", len(w.records), len(c.sent))
			for queue, want := range c.sent {
				expect(t, queue, w.sentTo(t, queue), want)
			}
			for _, h := range w.hops {
				expect(t, "stage", h.Stage, hop.Async)
				if h.Outcome == hop.DeadLetter && (h.Source != functionARN || c.sent[h.Target] == "") {
					t.Errorf("hop %+v", h)
				}
			}
		})
	}
	inBubble(t, "too old after a restart", func(t *testing.T, path string) {
		w := newClockwork(t, path, never())
		w.configure(destinations())
		if err := w.InvokeAsync(functionARN, []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		left := afterKill(t, w.db)
		if len(left) != 1 || left[0].Function != functionARN {
			t.Fatalf("left on disk: %+v", left)
		}
		time.Sleep(6 * time.Hour)
		w.run(time.Second)
		expect(t, "calls", len(w.calls), 0)
		expect(t, "record", w.sentTo(t, failuresARN), "EventAgeExceeded 0")
	})
}

// A target of a rule has the same destinations, whatever the rule's own dead-letter queue.
func TestDestinationsOfATarget(t *testing.T) {
	inBubble(t, "failing", func(t *testing.T, path string) {
		properties := everyMinute(map[string]any{"Arn": functionARN, "Input": `{"order":1}`, "DeadLetterConfig": map[string]any{"Arn": deadLetterARN}})
		properties["ScheduleExpression"] = "rate(1 day)"
		w := newClockwork(t, path, properties)
		w.configure(destinations())
		w.failing, w.dead = true, ownDeadARN
		w.run(25 * time.Hour)
		expect(t, "outcomes", w.outcomes(), "retry retry dead-letter ")
		expect(t, "record", w.sentTo(t, failuresARN), "RetriesExhausted 3")
		expect(t, "dead-letter message", w.sentTo(t, ownDeadARN), `{"order":1}`)
		expect(t, "dead-letter messages of the target", len(w.sent[deadLetterARN]), 0)
	})
}

// sentTo returns the condition and the attempts of the record that a queue got, or else the message.
func (w *clockwork) sentTo(t *testing.T, queue string) string {
	t.Helper()
	if len(w.records[queue]) != 1 {
		t.Fatalf("%s got %+v", queue, w.records[queue])
	}
	var record struct {
		RequestContext struct {
			Condition string
			Attempts  json.Number `json:"approximateInvokeCount"`
		}
	}
	body := w.records[queue][0].Body
	if err := json.Unmarshal([]byte(body), &record); err != nil || record.RequestContext.Condition == "" {
		return body
	}
	return record.RequestContext.Condition + " " + record.RequestContext.Attempts.String()
}
