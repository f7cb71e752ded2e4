package operate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A Trace is what became of the events that an id stands for.
type Trace struct {
	ID     string        `json:"id"`
	Outbox string        `json:"outbox"`
	Events []TracedEvent `json:"events"` // in the order of their versions
	// More reports that the aggregate has more events than are shown: the latest are.
	More bool `json:"more,omitempty"`
	// Pipe is the state of the pipe, where an effect is missing.
	Pipe *Part `json:"pipe,omitempty"`

	at    time.Time
	keeps time.Duration // how long an event waits for the pipe at most
}

// A TracedEvent is an event and what became of it.
type TracedEvent struct {
	ID            string    `json:"id"`
	Type          string    `json:"type"`
	Source        string    `json:"source"`
	AggregateType string    `json:"aggregateType"`
	AggregateID   string    `json:"aggregateId"`
	Version       int64     `json:"version"`
	CommittedAt   time.Time `json:"committedAt"`
	ExpiresAt     time.Time `json:"expiresAt"` // when it leaves the outbox table
	// OnBusAt is when it came to the bus, to the second, where a dead-letter message says so. OnBusBefore is when it first had an
	// effect, and so was on the bus or sent again by a repair. Both are the zero time where nothing tells.
	OnBusAt       time.Time      `json:"onBusAt,omitzero"`
	OnBusBefore   time.Time      `json:"onBusBefore,omitzero"`
	CorrelationID string         `json:"correlationId,omitempty"`
	CausationID   string         `json:"causationId,omitempty"` // the event that led to it
	Caused        []CausedEvent  `json:"caused,omitempty"`      // of the same aggregate
	Consumers     []TracedEffect `json:"consumers"`             // those whose pattern matches it
}

// A CausedEvent is one to which another has led.
type CausedEvent struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// A TracedEffect is what became of an event at one consumer.
type TracedEffect struct {
	Consumer string      `json:"consumer"`
	State    EffectState `json:"state"`
	// At is when the effect was committed, the message was first sent, or the auditor first looked in vain; the zero time
	// where that is not known.
	At     time.Time `json:"at,omitzero"`
	Reason string    `json:"reason,omitempty"`
	// Waiting and InFlight are how many messages the consumer's queue has: the event's may be one of them.
	Waiting  int64 `json:"waiting,omitempty"`
	InFlight int64 `json:"inFlight,omitempty"`
	// RepairedAt is when the event was sent to the consumer again.
	RepairedAt time.Time `json:"repairedAt,omitzero"`

	inStream   bool // it waits for the pipe
	ofPipe     bool // it waits in the pipe's dead-letter queue
	notAllSeen bool // a dead-letter queue has messages that could not be looked at
}

// An EffectState is what became of an event at a consumer.
type EffectState string

// The states, from the best to the worst.
const (
	Effective    EffectState = "effect"        // it had its effect, or was written before the consumer joined
	Queued       EffectState = "queued"        // it may be one of the messages in the consumer's queue
	Young        EffectState = "on its way"    // it was written a moment ago
	DeadLettered EffectState = "dead-lettered" // it waits in a dead-letter queue
	Nowhere      EffectState = "nowhere"       // it has no effect and is not known to wait anywhere
	Unknowable   EffectState = "unknown"       // the consumer has no inbox, or it could not be read
)

// young is how old an event is whose way may still take it from one part to the next.
const young = time.Minute

// A Tracer finds out what became of events.
type Tracer struct {
	Clients Clients
	Outbox  *Outbox
	// MaximumRead is how many items of the outbox table may be read where no key leads to the event.
	MaximumRead int
	// Dialog prints what is about to be read, and how far that is.
	Dialog *Dialog
}

// Trace returns what became of the events that the id stands for: an event's own, an aggregate's, or "Type#id" of an
// aggregate. The error says so where there is none.
func (t Tracer) Trace(ctx context.Context, id string) (*Trace, error) {
	found, err := t.find(ctx, id)
	if err != nil {
		return nil, err
	}
	trace := &Trace{ID: id, Outbox: t.Outbox.Path, More: found.more, at: time.Now(), keeps: t.Outbox.streamKeeps()}
	effects, err := t.judge(ctx, found, trace)
	if err != nil {
		return nil, err
	}
	trace.passedBefore()
	return trace, t.locate(ctx, effects, trace)
}

// an effect is one in a trace, with what it takes to look for it.
type effect struct {
	audit.Effect
	consumer *Consumer
	since    time.Time // before it, the consumer's rule may not have been there
	traced   *TracedEffect
}

// judge fills in the events and which effects they had. It returns the effects that are not confirmed.
func (t Tracer) judge(ctx context.Context, found *foundEvents, trace *Trace) ([]effect, error) {
	place, err := placeOf(ctx, t.Clients, t.Outbox)
	if err != nil {
		return nil, err
	}
	matchers, err := t.matchers(ctx)
	if err != nil {
		return nil, err
	}
	trace.Events = make([]TracedEvent, len(found.events))
	var all []effect
	for i, it := range found.events {
		event := traced(it, found.siblings)
		trace.Events[i] = event
		of, err := matching(matchers, place, it)
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", event.ID, err)
		}
		all = append(all, of...)
		trace.Events[i].Consumers = make([]TracedEffect, len(of))
		for j := range of {
			trace.Events[i].Consumers[j].Consumer = of[j].consumer.Label()
			all[len(all)-len(of)+j].traced = &trace.Events[i].Consumers[j]
		}
	}
	return t.confirm(ctx, all)
}

// confirm fills in which effects are there, and returns the others.
func (t Tracer) confirm(ctx context.Context, all []effect) (open []effect, err error) {
	var ask []audit.Effect
	var asked []effect
	for _, e := range all {
		if e.consumer.Inbox != withInbox {
			e.traced.State, e.traced.Reason = Unknowable, "it has no inbox, so nothing tells of its effects"
			open = append(open, e)
			continue
		}
		ask, asked = append(ask, e.Effect), append(asked, e)
	}
	verdicts, err := audit.Confirm(ctx, t.Clients.DynamoDB, ask)
	if err != nil {
		return nil, err
	}
	passed := map[string]bool{}
	for i, v := range verdicts {
		if v.Confirmed {
			passed[asked[i].Event.ID] = true
		}
	}
	for i := range open {
		open[i].Passed = passed[open[i].Event.ID]
	}
	for i, v := range verdicts {
		e := asked[i]
		e.Passed = passed[e.Event.ID]
		e.traced.At, e.traced.Reason = v.HandledAt.UTC(), v.Reason
		if v.HandledAt.IsZero() {
			e.traced.At = time.Time{}
		}
		if !v.Confirmed {
			e.traced.State = Nowhere
			open = append(open, e)
			continue
		}
		e.traced.State = Effective
		if v.HandledAt.IsZero() {
			e.traced.Reason = "the inbox does not say when"
			if e.consumer.Ordered {
				e.traced.Reason = "a later version has had its effect since, or it was written before the consumer joined"
			}
		}
	}
	return open, nil
}

// locate finds out where the events of effects wait that are not confirmed.
func (t Tracer) locate(ctx context.Context, open []effect, trace *Trace) error {
	if len(open) == 0 {
		return nil
	}
	var jobs errgroup.Group
	jobs.SetLimit(requestsAtOnce)
	jobs.Go(func() error {
		if p, err := (&Surveyor{clients: t.Clients}).pipe(ctx, t.Outbox.Pipe); err == nil {
			trace.Pipe = &p
		}
		return nil
	})
	letters := t.deadLetters(ctx, &jobs, open)
	depths := map[string]*Reading[Depth]{}
	for _, e := range open {
		if url := e.consumer.Queue; url != "" && depths[url] == nil {
			depths[url] = &Reading[Depth]{}
			into(ctx, &jobs, depths[url], func(ctx context.Context) (Depth, error) {
				return (&Surveyor{clients: t.Clients}).depth(ctx, url)
			})
		}
	}
	listed := make([]Reading[audit.Unconfirmed], len(open))
	if a := t.Outbox.Audit; a != nil {
		for i, e := range open {
			into(ctx, &jobs, &listed[i], func(ctx context.Context) (audit.Unconfirmed, error) {
				u, _, err := audit.List{Client: t.Clients.DynamoDB, Table: a.Table}.Find(ctx, e.consumer.Name, e.Event)
				return u, err
			})
		}
	}
	_ = jobs.Wait() // the jobs put their errors into the readings
	trace.passedAt(letters)
	for i, e := range open {
		own := []*Reading[*audit.DeadLetters]{letters[e.consumer.DeadLetterQueue], letters[e.consumer.RuleDeadLetterQueue], letters[t.Outbox.PipeDeadLetterQueue]}
		e.locate(trace.at, own, depths[e.consumer.Queue], listed[i].Value)
		e.locateInStream(trace)
	}
	return ctx.Err()
}

// locateInStream fills in that the event most probably waits in the stream, because the pipe stands still.
func (e effect) locateInStream(trace *Trace) {
	p := trace.Pipe
	if e.traced.State != Nowhere || e.Passed || p == nil || slices.Contains(delivering, p.State) || p.State == Missing {
		return
	}
	if trace.at.Sub(e.Event.WrittenAt) < trace.keeps {
		e.traced.inStream, e.traced.Reason = true, "the pipe is "+p.State+", and the event waits in the stream"
	}
}

// deadLetters starts a look into each dead-letter queue in which one of the events may wait. They are only looked into, and
// never the consumers' own queues: a message there that is received too often becomes a dead letter itself.
func (t Tracer) deadLetters(ctx context.Context, jobs *errgroup.Group, open []effect) map[string]*Reading[*audit.DeadLetters] {
	letters := map[string]*Reading[*audit.DeadLetters]{}
	ids := map[string]bool{}
	for _, e := range open {
		ids[e.Event.ID] = true
	}
	look := func(url string) {
		if url == "" || letters[url] != nil {
			return
		}
		letters[url] = &Reading[*audit.DeadLetters]{}
		into(ctx, jobs, letters[url], func(ctx context.Context) (*audit.DeadLetters, error) {
			return audit.Glance(ctx, &untilFound{SQS: t.Clients.SQS, ids: maps.Clone(ids)}, url)
		})
	}
	look(t.Outbox.PipeDeadLetterQueue)
	for _, e := range open {
		look(e.consumer.DeadLetterQueue)
		look(e.consumer.RuleDeadLetterQueue)
	}
	return letters
}

// untilFound is a queue in which no more is looked for once all events were found: nobody has asked for the others.
type untilFound struct {
	SQS
	ids map[string]bool // those that were not found yet
}

// ReceiveMessage receives nothing, at once, where all were found.
func (q *untilFound) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, o ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if len(q.ids) == 0 {
		return &sqs.ReceiveMessageOutput{}, nil
	}
	out, err := q.SQS.ReceiveMessage(ctx, in, o...)
	if err != nil {
		return nil, err
	}
	for _, m := range out.Messages {
		if event, err := record.Decode([]byte(aws.ToString(m.Body))); err == nil {
			delete(q.ids, event.ID)
		}
	}
	return out, nil
}

// locate fills in where the event of an effect that is not confirmed waits.
func (e effect) locate(now time.Time, letters []*Reading[*audit.DeadLetters], depth *Reading[Depth], listed audit.Unconfirmed) {
	for _, r := range letters {
		switch {
		case r == nil: // a consumer of another app, whose queues are not known
		case !r.known():
			e.traced.Reason += "; a dead-letter queue could not be read: " + r.Error
		default:
			if letter, ok := r.Value.Find(e.Effect); ok {
				e.dead(letter)
				return
			}
			e.traced.notAllSeen = e.traced.notAllSeen || !r.Value.Complete
		}
	}
	if depth != nil {
		e.traced.Waiting, e.traced.InFlight = depth.Value.Waiting, depth.Value.InFlight
	}
	if !listed.Since.IsZero() {
		e.traced.At = listed.Since.UTC()
		if !listed.RepairedAt.IsZero() {
			e.traced.RepairedAt = listed.RepairedAt.UTC()
		}
	}
	switch {
	case e.traced.State == Unknowable:
	case depth != nil && !depth.known():
		e.traced.State, e.traced.Reason = Unknowable, e.traced.Reason+"; its queue could not be read: "+depth.Error
	case e.traced.Waiting+e.traced.InFlight > 0:
		e.traced.State = Queued
	case now.Sub(e.Event.WrittenAt) < young:
		e.traced.State = Young
	case e.Event.WrittenAt.Before(e.since):
		e.traced.Reason += "; it was written before " + clock(e.since) + ", when the consumer's rule may not have been there yet"
	}
}

// dead fills in that the event waits in a dead-letter queue.
func (e effect) dead(letter audit.DeadLetter) {
	e.traced.State, e.traced.Reason, e.traced.At = DeadLettered, letter.Reason, time.Time{}
	if !letter.SentAt.IsZero() {
		e.traced.At = letter.SentAt.UTC()
	}
	if e.traced.ofPipe = letter.Shard != ""; e.traced.ofPipe {
		e.traced.Reason = "among what the pipe gave up, or from the minutes around it: " + letter.Reason
	}
}

// A matcher matches events against the pattern of a consumer.
type matcher struct {
	consumer *Consumer
	audited  *audit.Consumer
	pattern  *pattern.Pattern
}

// matchers returns one for each of the outbox's consumers, those without an inbox too.
func (t Tracer) matchers(ctx context.Context) ([]matcher, error) {
	compiled, err := compile(ctx, t.Clients, t.Outbox, t.Outbox.Consumers)
	if err != nil {
		return nil, err
	}
	var all []matcher
	for _, c := range t.Outbox.Consumers {
		p, err := pattern.Compile(c.Pattern, pattern.Rules)
		if err != nil {
			return nil, fmt.Errorf("the pattern of consumer %s: %w", c.Label(), err)
		}
		m := matcher{consumer: c, pattern: p, audited: &audit.Consumer{Consumer: c.Consumer}}
		if named := compiled.Named(c.Name); named != nil {
			m.audited = named
		}
		all = append(all, m)
	}
	return all, nil
}

// matching returns the effects that an event should have.
func matching(matchers []matcher, place audit.Place, it item) ([]effect, error) {
	event, err := audit.EventOf(it)
	if err != nil {
		return nil, err
	}
	message, err := place.Message(it, event.WrittenAt)
	if err != nil {
		return nil, err
	}
	decoded, err := pattern.Decode([]byte(message))
	if err != nil {
		return nil, err
	}
	var effects []effect
	for _, m := range matchers {
		if m.pattern.Match(decoded) {
			effects = append(effects, effect{Effect: audit.Effect{Event: event, Consumer: m.audited}, consumer: m.consumer, since: m.audited.Since})
		}
	}
	return effects, nil
}

// traced returns an event with those of its aggregate to which it has led.
func traced(it item, siblings []item) TracedEvent {
	e := TracedEvent{
		ID: textOf(it, record.AttrID), Type: textOf(it, record.AttrType), Source: textOf(it, record.AttrSource),
		AggregateType: textOf(it, record.AttrAggregateType), AggregateID: textOf(it, record.AttrAggregateID),
		Version: numberOf(it, record.AttrVersion), CommittedAt: record.WrittenAt(it).UTC(), ExpiresAt: time.Unix(numberOf(it, record.AttrExpiresAt), 0).UTC(),
		CorrelationID: textOf(it, record.AttrCorrelationID), CausationID: textOf(it, record.AttrCausationID),
	}
	for _, other := range siblings {
		if textOf(other, record.AttrCausationID) == e.ID {
			e.Caused = append(e.Caused, CausedEvent{ID: textOf(other, record.AttrID), Type: textOf(other, record.AttrType)})
		}
	}
	return e
}
