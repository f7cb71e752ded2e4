package eventbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/async"
	"github.com/outboxkit/transactional-outbox/internal/local/clock"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

const (
	// principal is the name of EventBridge in a queue policy.
	principal = "events.amazonaws.com"
	// maxAttempts limits the attempts that are under way at the same time.
	maxAttempts = 128
	// The wait before a retry doubles between these two. AWS documents only: exponential, with jitter. With the longest at
	// ten minutes, 185 retries take about a day, as AWS's defaults do.
	firstWait = 200 * time.Millisecond
	lastWait  = 10 * time.Minute
)

// The conditions that end the retries, as the dead-letter message names them.
// Source: EventBridge user guide, eb-rule-event-delivery, "Considerations for using dead-letter queues".
const (
	exhaustedRetries = "MaximumRetryAttempts"
	exhaustedAge     = "MaximumEventAgeInSeconds"
)

// The error codes of a dead-letter message. Source: the same.
const (
	codeNoPermissions = "NO_PERMISSIONS"
	codeNoResource    = "NO_RESOURCE"
	codeClientError   = "SDK_CLIENT_ERROR"
	codeTarget        = "ERROR_FROM_TARGET"
	codeConnection    = "CONNECTION_FAILURE"
)

// A message is sent to a queue.
type message struct {
	body       string
	group      string
	attributes map[string]string
}

// A sender sends messages to queues. Every error is a *failure.
type sender interface {
	send(ctx context.Context, queueARN string, m message) error
}

// A failure is the reason why a message was not accepted.
type failure struct {
	code  string
	final bool // every further attempt would fail too
	err   error
}

func (f *failure) Error() string { return f.code + ": " + f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

// A journal keeps deliveries over a restart. The effect of both calls may be lost by a kill.
type journal interface {
	update(d *delivery)
	remove(d *delivery)
}

// A dispatcher delivers events, retries, and sends to the dead-letter queue what cannot be delivered.
type dispatcher struct {
	journal  journal
	sender   sender
	policies Policies
	target   func(*delivery) (target, bool)
	sink     hop.Sink
	around   Around // nil: attempts run as they are
	clock    *clock.Clock
	// functions and exists are nil where there are no functions and nothing is known about queues, and buses where there is
	// no target that is a bus.
	functions Functions
	exists    func(queueARN string) bool
	async     async.Sender // sends what became of invocations
	buses     buses
	underWay  atomic.Int64  // deliveries
	slots     chan struct{} // holds one token for each attempt under way

	mu      sync.Mutex
	waiting []*delivery
	arrived chan struct{} // holds a token while deliveries wait
}

func newDispatcher(j journal, s sender, p Policies, target func(*delivery) (target, bool), sink hop.Sink) *dispatcher {
	return &dispatcher{
		journal: j, sender: s, policies: p, target: target, sink: sink,
		slots: make(chan struct{}, maxAttempts), arrived: make(chan struct{}, 1),
	}
}

// dispatch accepts deliveries that are in the journal. It does not block.
func (d *dispatcher) dispatch(deliveries []*delivery) {
	d.underWay.Add(int64(len(deliveries)))
	d.mu.Lock()
	d.waiting = append(d.waiting, deliveries...)
	d.mu.Unlock()
	select {
	case d.arrived <- struct{}{}:
	default:
	}
}

// run delivers events until ctx is done.
func (d *dispatcher) run(ctx context.Context) {
	var deliveries sync.WaitGroup
	defer deliveries.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.arrived:
		}
		d.mu.Lock()
		batch := d.waiting
		d.waiting = nil
		d.mu.Unlock()
		for _, one := range batch {
			deliveries.Go(func() {
				defer d.underWay.Add(-1)
				d.deliver(ctx, one)
			})
		}
	}
}

// deliver attempts one delivery until it has finished or ctx is done; in the latter case it stays in the journal.
func (d *dispatcher) deliver(ctx context.Context, one *delivery) {
	t, found := d.target(one)
	if !found {
		d.finish(one, hop.Hop{Resource: one.RuleARN, Outcome: hop.Dropped, Detail: "the rule or its target " + one.TargetID + " is no longer in the template"})
		return
	}
	if err := d.awaitAcceptance(ctx, one); err != nil {
		return
	}
	for {
		if t.expired(one, d.clock.Now()) {
			d.endInvocation(ctx, t, one, async.EventAgeExceeded, fmt.Sprintf("as on AWS, an event older than %s is not handed over to the function", t.maxAge))
			return
		}
		failed := d.attempt(ctx, t, one)
		if ctx.Err() != nil && failed != nil {
			return
		}
		left := t.maxAge - d.clock.Since(one.AcceptedAt)
		switch {
		case failed == nil && t.function:
			d.endInvocation(ctx, t, one, async.Success, "")
			return
		case failed == nil:
			d.finish(one, hop.Hop{Resource: t.logicalID, Target: t.arn, Outcome: hop.OK})
			return
		case failed.final:
			d.giveUp(ctx, t, one, failed, "")
			return
		case one.Retries >= t.retries:
			d.giveUp(ctx, t, one, failed, exhaustedRetries)
			return
		case left <= 0:
			d.giveUp(ctx, t, one, failed, exhaustedAge)
			return
		}
		d.report(one, hop.Hop{Resource: t.logicalID, Target: t.arn, Outcome: hop.Retry, Detail: failed.Error()})
		// The last retry is due when the event's time is up.
		if d.clock.Sleep(ctx, min(t.wait(one.Retries), left)) != nil {
			return
		}
		one.Retries++
		d.journal.update(one)
	}
}

func (d *dispatcher) send(ctx context.Context, queueARN string, m message) *failure {
	select {
	case <-ctx.Done():
		return &failure{codeConnection, false, ctx.Err()}
	case d.slots <- struct{}{}:
	}
	defer func() { <-d.slots }()
	return asFailure(d.sender.send(ctx, queueARN, m))
}

// giveUp sends the event to the target's dead-letter queue. As on AWS, the event is dropped when there is no such
// queue or the queue can never accept it.
func (d *dispatcher) giveUp(ctx context.Context, t target, one *delivery, failed *failure, condition string) {
	dropped := func(why string) {
		d.finish(one, hop.Hop{Resource: t.logicalID, Target: t.arn, Outcome: hop.Dropped, Detail: failed.Error() + "; " + why})
	}
	if errors.Is(failed, errFunction) || t.ruleARN == "" {
		why := async.RetriesExhausted
		if condition == exhaustedAge {
			why = async.EventAgeExceeded
		}
		d.endInvocation(ctx, t, one, why, failed.Error())
		return
	}
	if t.deadLetter == "" {
		dropped("the target has no dead-letter queue")
		return
	}
	if why := d.denied(t.ofDeadLetter(), t.deadLetter); why != "" {
		dropped("the dead-letter queue " + t.deadLetter + " is closed: " + why)
		return
	}
	letter := deadLetter(t, one, failed, condition)
	for n := 0; ; n++ {
		refused := d.send(ctx, t.deadLetter, letter)
		if refused != nil && ctx.Err() != nil {
			return
		}
		if refused == nil {
			d.finish(one, hop.Hop{Resource: t.logicalID, Source: t.arn, Target: t.deadLetter, Outcome: hop.DeadLetter, Detail: failed.Error()})
			return
		}
		if refused.final {
			dropped("the dead-letter queue " + t.deadLetter + " did not accept the event: " + refused.Error())
			return
		}
		if d.clock.Sleep(ctx, backoff(n)) != nil {
			return
		}
	}
}

// awaitAcceptance waits until the time at which a delivery is accepted, which a flexible time window puts off.
func (d *dispatcher) awaitAcceptance(ctx context.Context, one *delivery) error {
	if !one.AcceptedAt.After(d.clock.Now()) {
		return nil
	}
	return d.clock.SleepUntil(ctx, one.AcceptedAt)
}

// finish reports the end of a delivery and removes it from the journal.
func (d *dispatcher) finish(one *delivery, h hop.Hop) {
	// In this order, a kill in between makes the next run report the end once more. In the other, nobody would.
	d.report(one, h)
	d.journal.remove(one)
}

func (d *dispatcher) report(one *delivery, h hop.Hop) {
	h.At, h.Stage, h.Count, h.Latency = time.Now(), hop.Bus, 1, d.clock.Since(one.AcceptedAt)
	if one.Scheduled {
		h.Stage = hop.Schedule
	}
	if one.Function != "" {
		h.Stage = hop.Async
	}
	var event struct{ Source string }
	_ = json.Unmarshal(one.Event, &event)
	if id := hop.EventID(one.Event); id != "" {
		h.EventIDs = []string{id}
	}
	h.Heartbeat = hop.IsHeartbeat(event.Source)
	d.sink(h)
}

// backoff returns the wait before retry n, counted from 0: a random time between half of the full wait and all of it.
func backoff(n int) time.Duration {
	wait := lastWait
	if n < 16 { // from there on the doubled wait would exceed lastWait
		wait = min(firstWait<<n, lastWait)
	}
	return wait/2 + rand.N(wait/2)
}

// sleep waits for d and reports whether it did so to the end: false when ctx is done first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
