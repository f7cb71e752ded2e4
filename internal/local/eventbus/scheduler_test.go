package eventbus

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/async"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const functionARN = "arn:aws:lambda:eu-west-1:000000000000:function:heartbeat"

// clockwork is a service without a listener in virtual time, with one function and one queue.
type clockwork struct {
	*Service
	t       *testing.T
	started time.Time

	mu      sync.Mutex
	calls   []time.Duration // of the function, since the start
	events  []string
	failing bool
	sent    map[string][]message
	records map[string][]async.Message // by queue
	dead    string                     // the function's own dead-letter queue
	hops    []hop.Hop
}

func newClockwork(t *testing.T, path string, properties map[string]any) *clockwork {
	t.Helper()
	w := &clockwork{t: t, started: time.Now(), sent: map[string][]message{}, records: map[string][]async.Message{}}
	var err error
	w.Service, err = newService(Config{
		Cloud: cloud.New("eu-west-1"), DB: database(t, path), Policies: allowAll{}, Functions: w, Sink: func(h hop.Hop) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.hops = append(w.hops, h)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.dispatcher.sender = senderFunc(func(_ context.Context, arn string, m message) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent[arn] = append(w.sent[arn], m)
		return nil
	})
	w.dispatcher.async = func(_ context.Context, function string, m async.Message) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		expect(t, "sent as the function", function, functionARN)
		w.records[m.Queue] = append(w.records[m.Queue], m)
		return nil
	}
	if _, err := w.provisionRule(t.Context(), template.Resource{LogicalID: "Schedule", PhysicalName: "every", Properties: properties}); err != nil {
		t.Fatal(err)
	}
	return w
}

// Invoke implements Functions.
func (w *clockwork) Invoke(_ context.Context, _ string, payload []byte) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls, w.events = append(w.calls, time.Since(w.started)), append(w.events, string(payload))
	if w.failing {
		return nil, errors.New("out of order")
	}
	return nil, nil
}

type policiesFunc func(target, service, source string) bool

func (f policiesFunc) Allows(target, service, source string) bool { return f(target, service, source) }

func (f policiesFunc) RoleAllows(_, service, source, target string) bool {
	return f(target, service, source)
}

// Timeout implements Functions.
func (w *clockwork) Timeout(arn string) (time.Duration, bool) {
	return time.Second, arn == functionARN
}

// DeadLetterQueue implements Functions.
func (w *clockwork) DeadLetterQueue(string) string { return w.dead }

// run runs the service for a while.
func (w *clockwork) run(d time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := w.Run(ctx); err != nil {
		w.t.Error(err)
	}
	synctest.Wait()
	w.journal.close()
}

func (w *clockwork) outcomes() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return snapshot{hops: w.hops}.outcomes()
}

// configure sets the event invoke configuration of the function.
func (w *clockwork) configure(properties map[string]any) {
	w.t.Helper()
	all := map[string]any{"FunctionName": "heartbeat", "Qualifier": "$LATEST"}
	maps.Copy(all, properties)
	if _, err := w.functions.Provision(w.t.Context(), template.Resource{LogicalID: "Once", Properties: all}); err != nil {
		w.t.Fatal(err)
	}
}

func everyMinute(target map[string]any) map[string]any {
	target["Id"] = "T"
	return map[string]any{"ScheduleExpression": "rate(1 minute)", "Targets": []any{target}}
}

func inBubble(t *testing.T, name string, test func(t *testing.T, path string)) {
	t.Run(name, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "j.db")
		synctest.Test(t, func(t *testing.T) { test(t, path) })
	})
}

func TestSchedule(t *testing.T) {
	inBubble(t, "a rate begins after one period", func(t *testing.T, path string) {
		w := newClockwork(t, path, everyMinute(map[string]any{"Arn": functionARN}))
		w.run(3*time.Minute + 30*time.Second)
		expect(t, "calls", w.calls, []time.Duration{time.Minute, 2 * time.Minute, 3 * time.Minute})
		expect(t, "outcomes", w.outcomes(), "ok ok ok ")
		for _, h := range w.hops {
			if h.Stage != hop.Schedule || h.Resource != "Schedule" || h.Target != functionARN {
				t.Errorf("hop %+v", h)
			}
		}
		var e map[string]any
		if err := json.Unmarshal([]byte(w.events[0]), &e); err != nil {
			t.Fatal(err)
		}
		if id, ok := e["id"].(string); !ok || len(id) != 36 {
			t.Errorf("id %v", e["id"])
		}
		delete(e, "id")
		expect(t, "event", e, map[string]any{
			"version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "account": cloud.Account, "region": "eu-west-1",
			"time": w.started.Add(time.Minute).UTC().Format(time.RFC3339), "detail": map[string]any{},
			"resources": []any{"arn:aws:events:eu-west-1:000000000000:rule/every"},
		})
	})
	inBubble(t, "to a queue, with an input", func(t *testing.T, path string) {
		w := newClockwork(t, path, everyMinute(map[string]any{"Arn": queueARN, "Input": `{"now":true}`}))
		w.run(90 * time.Second)
		if got := w.sent[queueARN]; len(got) != 1 || got[0].body != `{"now":true}` {
			t.Errorf("sent %+v", got)
		}
	})
	inBubble(t, "a cron", func(t *testing.T, path string) { // a bubble begins at midnight
		properties := everyMinute(map[string]any{"Arn": functionARN})
		properties["ScheduleExpression"] = "cron(0/30 1 * * ? *)"
		w := newClockwork(t, path, properties)
		w.run(24 * time.Hour)
		expect(t, "calls", w.calls, []time.Duration{time.Hour, 90 * time.Minute})
	})
	inBubble(t, "disabled and enabled", func(t *testing.T, path string) {
		w := newClockwork(t, path, everyMinute(map[string]any{"Arn": functionARN}))
		go func() {
			time.Sleep(90 * time.Second)
			_, disabled := w.disableRule(ruleName{Name: "every"})
			time.Sleep(2 * time.Minute)
			_, enabled := w.enableRule(ruleName{Name: "every"})
			if disabled != nil || enabled != nil {
				t.Errorf("%v, %v", disabled, enabled)
			}
		}()
		w.run(5 * time.Minute)
		expect(t, "calls", w.calls, []time.Duration{time.Minute, 4*time.Minute + 30*time.Second})
	})
	inBubble(t, "an event that a kill interrupted", func(t *testing.T, path string) {
		w := newClockwork(t, path, everyMinute(map[string]any{"Arn": functionARN}))
		if err := w.sendScheduled(w.scheduled(w.buses[defaultBus].rules[0], time.Now())); err != nil {
			t.Fatal(err)
		}
		if left := afterKill(t, w.db); len(left) != 1 || !left[0].Scheduled {
			t.Errorf("left on disk: %+v", left)
		}
		w.journal.close()
	})
}

func TestFunctionAsTarget(t *testing.T) {
	inBubble(t, "retries", func(t *testing.T, path string) {
		properties := everyMinute(map[string]any{"Arn": functionARN, "DeadLetterConfig": map[string]any{"Arn": deadLetterARN}})
		properties["ScheduleExpression"] = "rate(1 day)"
		w := newClockwork(t, path, properties)
		w.failing = true
		w.run(25 * time.Hour)
		const day = 24 * time.Hour
		expect(t, "calls", w.calls, []time.Duration{day, day + time.Minute, day + 3*time.Minute})
		expect(t, "outcomes", w.outcomes(), "retry retry dropped ")
		expect(t, "dead-letter messages", len(w.sent[deadLetterARN]), 0)
	})
	for name, tc := range map[string]struct {
		properties map[string]any
		calls      []time.Duration // after the event
		outcomes   string
	}{
		"no retries":          {map[string]any{"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}, []time.Duration{0}, "dropped "},
		"one retry":           {map[string]any{"MaximumRetryAttempts": "1"}, []time.Duration{0, time.Minute}, "retry dropped "},
		"retries too late":    {map[string]any{"MaximumEventAgeInSeconds": 60}, []time.Duration{0}, "retry dropped "},
		"one retry too late":  {map[string]any{"MaximumEventAgeInSeconds": 90}, []time.Duration{0, time.Minute}, "retry retry dropped "},
		"nothing is set":      {map[string]any{}, []time.Duration{0, time.Minute, 3 * time.Minute}, "retry retry dropped "},
		"by the function ARN": {map[string]any{"FunctionName": functionARN, "MaximumRetryAttempts": 0}, []time.Duration{0}, "dropped "},
		"of an alias":         {map[string]any{"Qualifier": "live", "MaximumRetryAttempts": 0}, []time.Duration{0, time.Minute, 3 * time.Minute}, "retry retry dropped "},
	} {
		inBubble(t, "configured: "+name, func(t *testing.T, path string) {
			properties := everyMinute(map[string]any{"Arn": functionARN})
			properties["ScheduleExpression"] = "rate(1 day)"
			w := newClockwork(t, path, properties)
			w.configure(tc.properties)
			w.failing = true
			w.run(25 * time.Hour)
			for i := range w.calls {
				w.calls[i] -= 24 * time.Hour
			}
			expect(t, "calls", w.calls, tc.calls)
			expect(t, "outcomes", w.outcomes(), tc.outcomes)
		})
	}
	inBubble(t, "late after a restart", func(t *testing.T, path string) {
		w := newClockwork(t, path, everyMinute(map[string]any{"Arn": functionARN}))
		w.configure(map[string]any{"MaximumEventAgeInSeconds": 60})
		if err := w.sendScheduled(w.scheduled(w.buses[defaultBus].rules[0], time.Now().Add(-time.Minute))); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		expect(t, "calls", len(w.calls), 0)
		expect(t, "outcomes", w.outcomes(), "dropped ")
	})
	inBubble(t, "missing", func(t *testing.T, path string) {
		w := newClockwork(t, path, everyMinute(map[string]any{"Arn": functionARN + "x", "DeadLetterConfig": map[string]any{"Arn": deadLetterARN}}))
		w.run(90 * time.Second)
		if got := w.sent[deadLetterARN]; len(got) != 1 || got[0].attributes["ERROR_CODE"] != "NO_RESOURCE" || !strings.Contains(got[0].body, "Scheduled Event") {
			t.Errorf("dead-letter messages %+v", got)
		}
	})
	inBubble(t, "without permission", func(t *testing.T, path string) {
		w := newClockwork(t, path, everyMinute(map[string]any{"Arn": functionARN, "DeadLetterConfig": map[string]any{"Arn": deadLetterARN}}))
		w.dispatcher.policies = policiesFunc(func(target, service, source string) bool {
			return target != functionARN || service != principal || source != "arn:aws:events:eu-west-1:000000000000:rule/every"
		})
		w.run(90 * time.Second)
		if got := w.sent[deadLetterARN]; len(got) != 1 || got[0].attributes["ERROR_CODE"] != "NO_PERMISSIONS" || !strings.Contains(got[0].attributes["ERROR_MESSAGE"], "the function policy") {
			t.Errorf("dead-letter messages %+v", got)
		}
		expect(t, "calls", len(w.calls), 0)
	})
	inBubble(t, "of a pattern", func(t *testing.T, path string) {
		w := newClockwork(t, path, map[string]any{
			"EventPattern": map[string]any{"source": []any{"orders"}}, "Targets": []any{map[string]any{"Id": "T", "Arn": functionARN, "InputPath": "$.detail"}},
		})
		if _, err := w.putEvents(nil, putEventsRequest{[]entry{{Source: "orders", DetailType: "t", Detail: `{"id":"1"}`}}}); err != nil {
			t.Fatal(err)
		}
		w.run(time.Second)
		expect(t, "events", w.events, []string{`{"id":"1"}`})
		if len(w.hops) != 1 || w.hops[0].Stage != hop.Bus || w.hops[0].Outcome != hop.OK {
			t.Errorf("hops %+v", w.hops)
		}
	})
}
