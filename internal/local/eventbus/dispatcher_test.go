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
	ruleARN       = "arn:aws:events:eu-west-1:000000000000:rule/Bus/Rule"
	queueARN      = "arn:aws:sqs:eu-west-1:000000000000:Orders"
	deadLetterARN = "arn:aws:sqs:eu-west-1:000000000000:Dead"
)

// A fixture is a dispatcher that works with queues, policies and a journal in memory, inside a synctest bubble.
type fixture struct {
	*dispatcher
	stop  context.CancelFunc
	ended chan struct{}

	mu       sync.Mutex
	answer   func(queueARN string, attempt int) error // of the queues; nil: they accept everything
	denied   []string                                 // queues whose policy does not allow the rule
	attempts map[string][]time.Duration               // by queue, since the start
	sent     map[string][]message
	pending  map[*delivery]bool
	running  int
	most     int
	hops     []hop.Hop
}

func newFixture(t *testing.T, targets ...target) *fixture {
	f := &fixture{attempts: map[string][]time.Duration{}, sent: map[string][]message{}, pending: map[*delivery]bool{}, ended: make(chan struct{})}
	find := func(one *delivery) (target, bool) {
		i := slices.IndexFunc(targets, func(t target) bool { return t.id == one.TargetID })
		if i < 0 {
			return target{}, false
		}
		return targets[i], true
	}
	started := time.Now()
	send := senderFunc(func(ctx context.Context, arn string, m message) error {
		f.enter(arn, time.Since(started))
		defer f.leave()
		f.mu.Lock()
		answer, attempt := f.answer, len(f.attempts[arn])
		f.mu.Unlock()
		if answer != nil {
			if err := answer(arn, attempt); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.sent[arn] = append(f.sent[arn], m)
		return nil
	})
	f.dispatcher = newDispatcher(f, send, f, find, func(h hop.Hop) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.hops = append(f.hops, h)
	})
	var ctx context.Context
	ctx, f.stop = context.WithCancel(t.Context())
	go func() {
		f.run(ctx)
		close(f.ended)
	}()
	t.Cleanup(func() {
		f.stop()
		<-f.ended
	})
	return f
}

type senderFunc func(ctx context.Context, queueARN string, m message) error

func (f senderFunc) send(ctx context.Context, queueARN string, m message) error {
	return f(ctx, queueARN, m)
}

func (f *fixture) enter(arn string, at time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.attempts[arn] = append(f.attempts[arn], at)
	f.running++
	f.most = max(f.most, f.running)
}

func (f *fixture) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running--
}

// The fixture is the dispatcher's journal and its policies too.

func (f *fixture) update(*delivery) {}

func (f *fixture) remove(d *delivery) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.pending, d)
}

func (f *fixture) RoleAllows(roleARN, service, source, target string) bool {
	return roleARN == "role" && f.Allows(target, service, source)
}

func (f *fixture) Allows(queueARN, service, source string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return service == "events.amazonaws.com" && source == ruleARN && !slices.Contains(f.denied, queueARN)
}

// put dispatches one delivery of one event to each of the targets.
func (f *fixture) put(targets ...string) {
	for _, id := range targets {
		d := &delivery{RuleARN: ruleARN, TargetID: id, Event: json.RawMessage(`{"detail":{"id":"e1"}}`), AcceptedAt: time.Now()}
		f.mu.Lock()
		f.pending[d] = true
		f.mu.Unlock()
		f.dispatch([]*delivery{d})
	}
}

// A snapshot is what has happened so far.
type snapshot struct {
	attempts    []time.Duration
	sent        []message
	deadLetters []message
	hops        []hop.Hop
	pending     int
}

func (f *fixture) snapshot() snapshot {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return snapshot{slices.Clone(f.attempts[queueARN]), slices.Clone(f.sent[queueARN]), slices.Clone(f.sent[deadLetterARN]), slices.Clone(f.hops), len(f.pending)}
}

func (l snapshot) outcomes() string {
	text := ""
	for _, h := range l.hops {
		text += string(h.Outcome) + " "
	}
	return text
}

func ordersTarget(change func(*target)) target {
	t := target{id: "T", arn: queueARN, logicalID: "Rule", ruleARN: ruleARN, retries: defaultRetries, maxAge: defaultAge * time.Second, deadLetter: deadLetterARN}
	if change != nil {
		change(&t)
	}
	return t
}

var errBusy = &failure{codeTarget, false, errors.New("busy")}

func TestDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ordersTarget(nil))
		f.put("T")
		l := f.snapshot()
		expect(t, "attempts", l.attempts, []time.Duration{0})
		expect(t, "sent", l.sent, []message{{body: `{"detail":{"id":"e1"}}`}})
		expect(t, "pending", l.pending, 0)
		h := l.hops[0]
		expect(t, "hop", []any{h.Stage, h.Resource, h.Target, h.Outcome, h.Count, h.EventIDs}, []any{hop.Bus, "Rule", queueARN, hop.OK, 1, []string{"e1"}})
	})
}

func TestRetriedUntilItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ordersTarget(nil))
		f.answer = func(_ string, attempt int) error {
			if attempt <= 3 {
				return errBusy
			}
			return nil
		}
		f.put("T")
		expect(t, "pending before the retries", f.snapshot().pending, 1)
		time.Sleep(time.Minute)
		l := f.snapshot()
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
				f := newFixture(t, ordersTarget(func(t *target) { t.retries, t.maxAge = retries, 1000*time.Hour }))
				f.answer = func(arn string, _ int) error {
					if arn == queueARN {
						return errBusy
					}
					return nil
				}
				f.put("T")
				time.Sleep(40 * time.Hour)
				l := f.snapshot()
				expect(t, "attempts", len(l.attempts), 1+retries)
				expect(t, "dead-letter messages", l.deadLetters, []message{{body: `{"detail":{"id":"e1"}}`, attributes: map[string]string{
					"RULE_ARN": ruleARN, "TARGET_ARN": queueARN, "ERROR_CODE": "ERROR_FROM_TARGET", "ERROR_MESSAGE": "busy",
					"RETRY_ATTEMPTS": fmt.Sprint(retries), "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
				}}})
				last := l.hops[len(l.hops)-1]
				expect(t, "last hop", []any{last.Outcome, last.Target}, []any{hop.DeadLetter, deadLetterARN})
				expect(t, "pending", l.pending, 0)
			})
		})
	}
}

func TestAgeExhausted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ordersTarget(func(t *target) { t.maxAge = time.Minute }))
		f.answer = func(arn string, _ int) error {
			if arn == queueARN {
				return errBusy
			}
			return nil
		}
		f.put("T")
		time.Sleep(time.Minute - time.Millisecond)
		expect(t, "dead-letter messages before the age", len(f.snapshot().deadLetters), 0)
		time.Sleep(time.Millisecond)
		l := f.snapshot()
		expect(t, "condition", l.deadLetters[0].attributes["EXHAUSTED_RETRY_CONDITION"], "MaximumEventAgeInSeconds")
		expect(t, "last attempt", l.attempts[len(l.attempts)-1], time.Minute)
	})
}

// TestOldEventIsTriedOnce checks that an event which has exceeded its age while the run was down is attempted once.
func TestOldEventIsTriedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ordersTarget(nil))
		f.dispatch([]*delivery{{RuleARN: ruleARN, TargetID: "T", Event: json.RawMessage(`{}`), AcceptedAt: time.Now().Add(-48 * time.Hour)}})
		expect(t, "sent", len(f.snapshot().sent), 1)
	})
}

func TestPermanentFailuresAreNotRetried(t *testing.T) {
	cases := map[string]struct {
		arrange func(*fixture)
		change  func(*target)
		code    string
	}{
		"no permission": {func(f *fixture) { f.denied = []string{queueARN} }, nil, "NO_PERMISSIONS"},
		"no queue": {func(f *fixture) {
			f.answer = func(arn string, _ int) error {
				if arn == queueARN {
					return &failure{codeNoResource, true, errors.New("gone")}
				}
				return nil
			}
		}, nil, "NO_RESOURCE"},
		"no such path": {func(*fixture) {}, func(t *target) { t.input = input{path: []string{"detail", "missing"}} }, "SDK_CLIENT_ERROR"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, ordersTarget(c.change))
				c.arrange(f)
				f.put("T")
				l := f.snapshot()
				expect(t, "outcomes", l.outcomes(), "dead-letter ")
				expect(t, "sent", len(l.sent), 0)
				attributes := l.deadLetters[0].attributes
				expect(t, "code", attributes["ERROR_CODE"], c.code)
				expect(t, "retries", attributes["RETRY_ATTEMPTS"], "0")
				_, conditioned := attributes["EXHAUSTED_RETRY_CONDITION"]
				expect(t, "condition", conditioned, false)
				expect(t, "body", l.deadLetters[0].body, `{"detail":{"id":"e1"}}`)
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
		"dead-letter queue without permission": {[]string{queueARN, deadLetterARN}, nil, nil, "T"},
		"dead-letter queue missing":            {nil, nil, func(string, int) error { return &failure{codeNoResource, true, errors.New("gone")} }, "T"},
		"target not in the template any more":  {nil, nil, nil, "Old"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, ordersTarget(c.change))
				f.denied, f.answer = c.denied, c.answer
				f.put(c.target)
				l := f.snapshot()
				expect(t, "outcomes", l.outcomes(), "dropped ")
				expect(t, "pending", l.pending, 0)
				expect(t, "dead-letter messages", len(l.deadLetters), 0)
			})
		})
	}
}

func TestDeadLetterQueueIsTriedUntilItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ordersTarget(func(t *target) { t.retries = 0 }))
		f.answer = func(arn string, attempt int) error {
			if arn == queueARN || attempt <= 5 {
				return errBusy
			}
			return nil
		}
		f.put("T")
		expect(t, "pending", f.snapshot().pending, 1)
		time.Sleep(time.Hour)
		l := f.snapshot()
		expect(t, "dead-letter messages", len(l.deadLetters), 1)
		expect(t, "outcomes", l.outcomes(), "dead-letter ")
	})
}

func TestOneFailingTargetDoesNotHoldUpAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const other = "arn:aws:sqs:eu-west-1:000000000000:Other"
		f := newFixture(t, ordersTarget(nil), ordersTarget(func(t *target) { t.id, t.arn = "O", other }))
		f.answer = func(arn string, _ int) error {
			if arn == queueARN {
				return errBusy
			}
			return nil
		}
		for range 1000 {
			f.put("T", "O")
		}
		synctest.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		expect(t, "sent to the other", len(f.sent[other]), 1000)
	})
}

func TestAttemptsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ordersTarget(nil))
		f.answer = func(string, int) error {
			time.Sleep(time.Second)
			return nil
		}
		for range 3 * maxAttempts {
			f.put("T")
		}
		time.Sleep(3 * time.Second)
		expect(t, "sent", len(f.snapshot().sent), 3*maxAttempts)
		expect(t, "most at once", f.most, maxAttempts)
	})
}

func TestStopKeepsWhatIsNotDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ordersTarget(nil), ordersTarget(func(t *target) { t.id, t.retries = "Last", 0 }))
		f.answer = func(string, int) error { return errBusy }
		f.put("T", "Last")
		synctest.Wait()
		stopped := time.Now()
		f.stop()
		<-f.ended
		expect(t, "time to stop", time.Since(stopped), 0)
		expect(t, "pending", f.snapshot().pending, 2)
	})
}

// TestStopDuringTheLastAttempt checks that an attempt which fails because the run ends does not count: without a
// dead-letter queue the event would be lost.
func TestStopDuringTheLastAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, ordersTarget(func(t *target) { t.retries, t.deadLetter = 0, "" }))
		release := make(chan struct{})
		f.answer = func(string, int) error {
			<-release
			return errBusy
		}
		f.put("T")
		synctest.Wait()
		f.stop()
		close(release)
		<-f.ended
		l := f.snapshot()
		expect(t, "pending", l.pending, 1)
		expect(t, "outcomes", l.outcomes(), "")
	})
}
