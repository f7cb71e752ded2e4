package eventbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

const (
	ruleARN   = "arn:aws:events:eu-west-1:000000000000:rule/Bus/Rule"
	queueARN  = "arn:aws:sqs:eu-west-1:000000000000:Orders"
	letterARN = "arn:aws:sqs:eu-west-1:000000000000:Dead"
)

// world is a dispatcher with everything around it in memory, inside a synctest bubble.
type world struct {
	*dispatcher
	stop  context.CancelFunc
	ended chan struct{}

	mu       sync.Mutex
	answer   func(queueARN string, attempt int) error // of the queues; nil: they take everything
	denied   []string                                 // queues whose policy denies
	attempts map[string][]time.Duration               // by queue, since the start
	sent     map[string][]message
	pending  map[*delivery]bool
	running  int
	most     int
	hops     []hop.Hop
}

func newWorld(t *testing.T, targets ...target) *world {
	w := &world{attempts: map[string][]time.Duration{}, sent: map[string][]message{}, pending: map[*delivery]bool{}, ended: make(chan struct{})}
	find := func(_, id string) (target, bool) {
		i := slices.IndexFunc(targets, func(t target) bool { return t.id == id })
		if i < 0 {
			return target{}, false
		}
		return targets[i], true
	}
	started := time.Now()
	send := senderFunc(func(ctx context.Context, arn string, m message) error {
		w.enter(arn, time.Since(started))
		defer w.leave()
		w.mu.Lock()
		answer, attempt := w.answer, len(w.attempts[arn])
		w.mu.Unlock()
		if answer != nil {
			if err := answer(arn, attempt); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent[arn] = append(w.sent[arn], m)
		return nil
	})
	w.dispatcher = newDispatcher(w, send, w, find, func(h hop.Hop) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.hops = append(w.hops, h)
	})
	var ctx context.Context
	ctx, w.stop = context.WithCancel(t.Context())
	go func() {
		w.run(ctx)
		close(w.ended)
	}()
	t.Cleanup(func() {
		w.stop()
		<-w.ended
	})
	return w
}

type senderFunc func(ctx context.Context, queueARN string, m message) error

func (f senderFunc) send(ctx context.Context, queueARN string, m message) error {
	return f(ctx, queueARN, m)
}

func (w *world) enter(arn string, at time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attempts[arn] = append(w.attempts[arn], at)
	w.running++
	w.most = max(w.most, w.running)
}

func (w *world) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running--
}

// world is the journal and the policies too.

func (w *world) update(*delivery) {}

func (w *world) remove(d *delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.pending, d)
}

func (w *world) Allows(queueARN, service, source string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return service == "events.amazonaws.com" && source == ruleARN && !slices.Contains(w.denied, queueARN)
}

// put hands deliveries of one event over, one a target.
func (w *world) put(targets ...string) {
	for _, id := range targets {
		d := &delivery{RuleARN: ruleARN, TargetID: id, Event: json.RawMessage(`{"detail":{"id":"e1"}}`), AcceptedAt: time.Now()}
		w.mu.Lock()
		w.pending[d] = true
		w.mu.Unlock()
		w.dispatch([]*delivery{d})
	}
}

// look is what has happened so far.
type look struct {
	attempts []time.Duration
	sent     []message
	letters  []message
	hops     []hop.Hop
	pending  int
}

func (w *world) look() look {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return look{slices.Clone(w.attempts[queueARN]), slices.Clone(w.sent[queueARN]), slices.Clone(w.sent[letterARN]), slices.Clone(w.hops), len(w.pending)}
}

func (l look) outcomes() string {
	text := ""
	for _, h := range l.hops {
		text += string(h.Outcome) + " "
	}
	return text
}

func orders(change func(*target)) target {
	t := target{id: "T", arn: queueARN, logicalID: "Rule", ruleARN: ruleARN, retries: defaultRetries, maxAge: defaultAge * time.Second, deadLetter: letterARN}
	if change != nil {
		change(&t)
	}
	return t
}

var errBusy = &failure{codeTarget, false, errors.New("busy")}

func TestDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(nil))
		w.put("T")
		l := w.look()
		expect(t, "attempts", l.attempts, []time.Duration{0})
		expect(t, "sent", l.sent, []message{{body: `{"detail":{"id":"e1"}}`}})
		expect(t, "pending", l.pending, 0)
		h := l.hops[0]
		expect(t, "hop", []any{h.Stage, h.Resource, h.Target, h.Outcome, h.Count, h.EventIDs}, []any{hop.Bus, "Rule", queueARN, hop.OK, 1, []string{"e1"}})
	})
}

func TestRetriedUntilItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(nil))
		w.answer = func(_ string, attempt int) error {
			if attempt <= 3 {
				return errBusy
			}
			return nil
		}
		w.put("T")
		expect(t, "pending before the retries", w.look().pending, 1)
		time.Sleep(time.Minute)
		l := w.look()
		expect(t, "sent", len(l.sent), 1)
		expect(t, "outcomes", l.outcomes(), "retry retry retry ok ")
		expect(t, "pending", l.pending, 0)
		for n := range 3 {
			longest := firstWait << n
			if wait := l.attempts[n+1] - l.attempts[n]; wait < longest/2 || wait >= longest {
				t.Errorf("wait %d is %v, want between %v and %v", n, wait, longest/2, longest)
			}
		}
	})
}

func TestRetriesExhausted(t *testing.T) {
	for _, retries := range []int{0, 1, 185} {
		t.Run(fmt.Sprint(retries), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, orders(func(t *target) { t.retries, t.maxAge = retries, 1000*time.Hour }))
				w.answer = func(arn string, _ int) error {
					if arn == queueARN {
						return errBusy
					}
					return nil
				}
				w.put("T")
				time.Sleep(40 * time.Hour)
				l := w.look()
				expect(t, "attempts", len(l.attempts), 1+retries)
				expect(t, "letters", l.letters, []message{{body: `{"detail":{"id":"e1"}}`, attributes: map[string]string{
					"RULE_ARN": ruleARN, "TARGET_ARN": queueARN, "ERROR_CODE": "ERROR_FROM_TARGET", "ERROR_MESSAGE": "busy",
					"RETRY_ATTEMPTS": fmt.Sprint(retries), "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
				}}})
				last := l.hops[len(l.hops)-1]
				expect(t, "last hop", []any{last.Outcome, last.Target}, []any{hop.DeadLetter, letterARN})
				expect(t, "pending", l.pending, 0)
			})
		})
	}
}

func TestAgeExhausted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(func(t *target) { t.maxAge = time.Minute }))
		w.answer = func(arn string, _ int) error {
			if arn == queueARN {
				return errBusy
			}
			return nil
		}
		w.put("T")
		time.Sleep(time.Minute - time.Millisecond)
		expect(t, "letters before the age", len(w.look().letters), 0)
		time.Sleep(time.Millisecond)
		l := w.look()
		expect(t, "condition", l.letters[0].attributes["EXHAUSTED_RETRY_CONDITION"], "MaximumEventAgeInSeconds")
		expect(t, "last attempt", l.attempts[len(l.attempts)-1], time.Minute)
	})
}

// The run was down for longer than the event may be old: it still gets its chance.
func TestOldEventIsTriedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(nil))
		w.dispatch([]*delivery{{RuleARN: ruleARN, TargetID: "T", Event: json.RawMessage(`{}`), AcceptedAt: time.Now().Add(-48 * time.Hour)}})
		expect(t, "sent", len(w.look().sent), 1)
	})
}

func TestPermanentFailuresAreNotRetried(t *testing.T) {
	cases := map[string]struct {
		arrange func(*world)
		change  func(*target)
		code    string
	}{
		"no permission": {func(w *world) { w.denied = []string{queueARN} }, nil, "NO_PERMISSIONS"},
		"no queue": {func(w *world) {
			w.answer = func(arn string, _ int) error {
				if arn == queueARN {
					return &failure{codeNoResource, true, errors.New("gone")}
				}
				return nil
			}
		}, nil, "NO_RESOURCE"},
		"no such path": {func(*world) {}, func(t *target) { t.input = input{path: []string{"detail", "missing"}} }, "SDK_CLIENT_ERROR"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, orders(c.change))
				c.arrange(w)
				w.put("T")
				l := w.look()
				expect(t, "outcomes", l.outcomes(), "dead-letter ")
				expect(t, "sent", len(l.sent), 0)
				attributes := l.letters[0].attributes
				expect(t, "code", attributes["ERROR_CODE"], c.code)
				expect(t, "retries", attributes["RETRY_ATTEMPTS"], "0")
				_, conditioned := attributes["EXHAUSTED_RETRY_CONDITION"]
				expect(t, "condition", conditioned, false)
				expect(t, "body", l.letters[0].body, `{"detail":{"id":"e1"}}`)
			})
		})
	}
}

func TestDropped(t *testing.T) {
	cases := map[string]struct {
		denied []string
		change func(*target)
		answer func(string, int) error
		target string
	}{
		"no dead-letter queue":                 {[]string{queueARN}, func(t *target) { t.deadLetter = "" }, nil, "T"},
		"dead-letter queue without permission": {[]string{queueARN, letterARN}, nil, nil, "T"},
		"dead-letter queue missing":            {nil, nil, func(string, int) error { return &failure{codeNoResource, true, errors.New("gone")} }, "T"},
		"target not in the template any more":  {nil, nil, nil, "Old"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, orders(c.change))
				w.denied, w.answer = c.denied, c.answer
				w.put(c.target)
				l := w.look()
				expect(t, "outcomes", l.outcomes(), "dropped ")
				expect(t, "pending", l.pending, 0)
				expect(t, "letters", len(l.letters), 0)
			})
		})
	}
}

func TestDeadLetterQueueIsTriedUntilItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(func(t *target) { t.retries = 0 }))
		w.answer = func(arn string, attempt int) error {
			if arn == queueARN || attempt <= 5 {
				return errBusy
			}
			return nil
		}
		w.put("T")
		expect(t, "pending", w.look().pending, 1)
		time.Sleep(time.Hour)
		l := w.look()
		expect(t, "letters", len(l.letters), 1)
		expect(t, "outcomes", l.outcomes(), "dead-letter ")
	})
}

func TestOneFailingTargetDoesNotHoldUpAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const other = "arn:aws:sqs:eu-west-1:000000000000:Other"
		w := newWorld(t, orders(nil), orders(func(t *target) { t.id, t.arn = "O", other }))
		w.answer = func(arn string, _ int) error {
			if arn == queueARN {
				return errBusy
			}
			return nil
		}
		for range 1000 {
			w.put("T", "O")
		}
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		expect(t, "sent to the other", len(w.sent[other]), 1000)
	})
}

func TestAttemptsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(nil))
		w.answer = func(string, int) error {
			time.Sleep(time.Second)
			return nil
		}
		for range 3 * maxAttempts {
			w.put("T")
		}
		time.Sleep(3 * time.Second)
		expect(t, "sent", len(w.look().sent), 3*maxAttempts)
		expect(t, "most at once", w.most, maxAttempts)
	})
}

func TestStopKeepsWhatIsNotDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(nil), orders(func(t *target) { t.id, t.retries = "Last", 0 }))
		w.answer = func(string, int) error { return errBusy }
		w.put("T", "Last")
		synctest.Wait()
		told := time.Now()
		w.stop()
		<-w.ended
		expect(t, "time to stop", time.Since(told), 0)
		expect(t, "pending", w.look().pending, 2)
	})
}

// An attempt that fails because the run ends is no failed attempt: without a dead-letter queue it would lose the event.
func TestStopDuringTheLastAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, orders(func(t *target) { t.retries, t.deadLetter = 0, "" }))
		release := make(chan struct{})
		w.answer = func(string, int) error {
			<-release
			return errBusy
		}
		w.put("T")
		synctest.Wait()
		w.stop()
		close(release)
		<-w.ended
		l := w.look()
		expect(t, "pending", l.pending, 1)
		expect(t, "outcomes", l.outcomes(), "")
	})
}
