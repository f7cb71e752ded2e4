package eventbus

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

const (
	// principal is EventBridge in a queue policy.
	principal = "events.amazonaws.com"
	// maxAttempts bounds the attempts that are under way at once.
	maxAttempts = 128
	// The wait before a retry doubles between these two. AWS only says: exponential, with jitter. With the longest at
	// ten minutes, 185 retries take about a day, as AWS's defaults do.
	firstWait = 200 * time.Millisecond
	lastWait  = 10 * time.Minute
)

// Conditions that end the retries, as the dead-letter message names them.
// Source: EventBridge user guide, eb-rule-event-delivery, "Considerations for using dead-letter queues".
const (
	exhaustedRetries = "MaximumRetryAttempts"
	exhaustedAge     = "MaximumEventAgeInSeconds"
)

// Error codes of a dead-letter message. Source: the same.
const (
	codeNoPermissions = "NO_PERMISSIONS"
	codeNoResource    = "NO_RESOURCE"
	codeClientError   = "SDK_CLIENT_ERROR"
	codeTarget        = "ERROR_FROM_TARGET"
	codeConnection    = "CONNECTION_FAILURE"
)

// message is what a queue gets.
type message struct {
	body       string
	group      string
	attributes map[string]string
}

// sender puts messages into queues. Every error is a *failure.
type sender interface {
	send(ctx context.Context, queueARN string, m message) error
}

// failure is why a message was not taken.
type failure struct {
	code  string
	final bool // it would fail again however often it is tried
	err   error
}

func (f *failure) Error() string { return f.code + ": " + f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

// journal remembers deliveries over a restart. Both calls may be undone by a kill.
type journal interface {
	update(d *delivery)
	remove(d *delivery)
}

// dispatcher delivers events, retries, and gives what cannot be delivered to the dead-letter queue.
type dispatcher struct {
	journal  journal
	sender   sender
	policies Policies
	target   func(ruleARN, targetID string) (target, bool)
	sink     hop.Sink
	around   Around        // nil: nothing
	slots    chan struct{} // one an attempt

	mu      sync.Mutex
	waiting []*delivery
	arrived chan struct{} // holds a token when deliveries wait
}

func newDispatcher(j journal, s sender, p Policies, target func(string, string) (target, bool), sink hop.Sink) *dispatcher {
	return &dispatcher{
		journal: j, sender: s, policies: p, target: target, sink: sink,
		slots: make(chan struct{}, maxAttempts), arrived: make(chan struct{}, 1),
	}
}

// dispatch hands over deliveries that are in the journal. It does not block.
func (d *dispatcher) dispatch(deliveries []*delivery) {
	d.mu.Lock()
	d.waiting = append(d.waiting, deliveries...)
	d.mu.Unlock()
	select {
	case d.arrived <- struct{}{}:
	default:
	}
}

// run delivers until ctx is done.
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
			deliveries.Go(func() { d.deliver(ctx, one) })
		}
	}
}

// deliver brings one delivery to its end, unless ctx is done before: then it stays in the journal.
func (d *dispatcher) deliver(ctx context.Context, one *delivery) {
	t, found := d.target(one.RuleARN, one.TargetID)
	if !found {
		d.end(one, hop.Hop{Resource: one.RuleARN, Outcome: hop.Dropped, Detail: "the rule or its target " + one.TargetID + " is no longer in the template"})
		return
	}
	for {
		failed := d.attempt(ctx, t, one)
		if ctx.Err() != nil && failed != nil {
			return
		}
		left := time.Until(one.AcceptedAt.Add(t.maxAge))
		switch {
		case failed == nil:
			d.end(one, hop.Hop{Resource: t.logicalID, Target: t.arn, Outcome: hop.OK})
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
		if !sleep(ctx, min(backoff(one.Retries), left)) {
			return
		}
		one.Retries++
		d.journal.update(one)
	}
}

// attempt tries a delivery once.
func (d *dispatcher) attempt(ctx context.Context, t target, one *delivery) *failure {
	if d.around == nil {
		return d.try(ctx, t, one)
	}
	err := d.around(ctx, Attempt{RuleARN: t.ruleARN, QueueARN: t.arn, Event: one.Event}, func(ctx context.Context) error {
		if failed := d.try(ctx, t, one); failed != nil {
			return failed
		}
		return nil
	})
	return asFailure(err)
}

func (d *dispatcher) try(ctx context.Context, t target, one *delivery) *failure {
	if !d.policies.Allows(t.arn, principal, t.ruleARN) {
		return &failure{codeNoPermissions, true, errors.New("the queue policy of " + t.arn + " does not let the rule send messages")}
	}
	body, err := t.input.of(one.Event)
	if err != nil {
		return &failure{codeClientError, true, err}
	}
	return d.send(ctx, t.arn, message{body: string(body), group: t.group})
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

// giveUp sends the event to the target's dead-letter queue. An event that has none, or one that will never take
// it, is dropped, as on AWS.
func (d *dispatcher) giveUp(ctx context.Context, t target, one *delivery, failed *failure, condition string) {
	dropped := func(why string) {
		d.end(one, hop.Hop{Resource: t.logicalID, Target: t.arn, Outcome: hop.Dropped, Detail: failed.Error() + "; " + why})
	}
	if t.deadLetter == "" {
		dropped("the target has no dead-letter queue")
		return
	}
	if !d.policies.Allows(t.deadLetter, principal, t.ruleARN) {
		dropped("the queue policy of the dead-letter queue " + t.deadLetter + " does not let the rule send messages")
		return
	}
	letter := deadLetter(t, one, failed, condition)
	for n := 0; ; n++ {
		refused := d.send(ctx, t.deadLetter, letter)
		if refused != nil && ctx.Err() != nil {
			return
		}
		if refused == nil {
			d.end(one, hop.Hop{Resource: t.logicalID, Target: t.deadLetter, Outcome: hop.DeadLetter, Detail: failed.Error()})
			return
		}
		if refused.final {
			dropped("the dead-letter queue " + t.deadLetter + " does not take it: " + refused.Error())
			return
		}
		if !sleep(ctx, backoff(n)) {
			return
		}
	}
}

// deadLetter is the message for the dead-letter queue: the event, and why it is there.
// Source: EventBridge user guide, eb-rule-event-delivery, "Using dead-letter queues".
func deadLetter(t target, one *delivery, failed *failure, condition string) message {
	attributes := map[string]string{
		"RULE_ARN":       t.ruleARN,
		"TARGET_ARN":     t.arn,
		"ERROR_CODE":     failed.code,
		"ERROR_MESSAGE":  failed.err.Error(),
		"RETRY_ATTEMPTS": strconv.Itoa(one.Retries),
	}
	if condition != "" {
		attributes["EXHAUSTED_RETRY_CONDITION"] = condition
	}
	return message{body: string(one.Event), attributes: attributes}
}

// end reports a delivery that is over and forgets it.
func (d *dispatcher) end(one *delivery, h hop.Hop) {
	// In this order: a kill in between reports the end of the delivery once more, and never not at all.
	d.report(one, h)
	d.journal.remove(one)
}

func (d *dispatcher) report(one *delivery, h hop.Hop) {
	h.At, h.Stage, h.Count, h.Latency = time.Now(), hop.Bus, 1, time.Since(one.AcceptedAt)
	var event struct {
		Detail struct {
			ID any `json:"id"`
		} `json:"detail"`
	}
	_ = json.Unmarshal(one.Event, &event)
	if id, ok := event.Detail.ID.(string); ok {
		h.EventIDs = []string{id}
	}
	d.sink(h)
}

// backoff is the wait before retry n, counted from 0: between half of it and all of it, by chance.
func backoff(n int) time.Duration {
	wait := lastWait
	if n < 16 { // beyond that the doubling has long passed the last wait
		wait = min(firstWait<<n, lastWait)
	}
	return wait/2 + rand.N(wait/2)
}

// sleep waits, and says whether it was not interrupted.
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
