package operate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/description"
)

// A Replay sends events to one consumer again.
type Replay struct {
	Consumer     string    // id or name
	Since, Until time.Time // when the events were written; the zero time: no limit
	Type         string    // of the events
	Aggregate    string    // "Order#o-1", which needs no read of the whole table, or "o-1" for any type
	// FromArchive takes the events from the bus's archive, by an EventBridge replay, and not from the outbox table.
	FromArchive bool
	// AsNew lets the consumer forget the events first, so that they take effect again.
	AsNew bool
	// Forgotten also sends events that the consumer may not remember any more.
	Forgotten bool
	// Rate is how many events a second are sent at most; 0: as many as can be.
	Rate   int
	DryRun bool
}

// Validate reports what is wrong with the replay, all of it.
func (r Replay) Validate() error {
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !r.Until.IsZero() && !r.Since.Before(r.Until) {
		refuse("--since must be before --until, got %s and %s", r.Since.Format(time.RFC3339), r.Until.Format(time.RFC3339))
	}
	if r.Rate < 0 {
		refuse("--rate must be 0 or more events a second, got %d", r.Rate)
	}
	if r.FromArchive {
		if r.Since.IsZero() {
			refuse("--from archive needs --since: EventBridge replays from a time on")
		}
		if r.Type != "" || r.Aggregate != "" || r.AsNew || r.Rate > 0 {
			refuse("--from archive sends whatever the consumer's rule matches, as fast as EventBridge does: not with --type, --aggregate, --as-new or --rate")
		}
	}
	return errors.Join(problems...)
}

// A ReplayResult is what a replay did, or would do.
type ReplayResult struct {
	Consumer string         `json:"consumer"`
	Read     int            `json:"read"`    // events of the outbox table that were looked at
	Matched  map[string]int `json:"matched"` // events for the consumer, by type
	// Forgotten are those that the consumer may not remember: it would handle them again.
	Forgotten int `json:"forgotten"`
	// LeftOut are those that were not sent: forgotten ones, and ones before which an ordered consumer would miss some.
	LeftOut  int    `json:"leftOut"`
	Sent     int    `json:"sent"`
	Expired  int    `json:"expired"`            // that left the table while the replay went on
	Replay   string `json:"replay,omitempty"`   // name of the EventBridge replay
	Continue string `json:"continue,omitempty"` // the command line that goes on, after an interruption
}

// consumer returns the consumer of a replay, and reports an error where nothing can be sent to it.
func (r Replay) consumer(s *Stack) (*Consumer, error) {
	c, err := FindConsumer(s.Consumers, r.Consumer)
	switch {
	case err != nil:
		return nil, err
	case c.Outbox == nil:
		return nil, fmt.Errorf("consumer %s receives the events of an outbox that another stack has: say that --stack, whose audit must be told of the consumer and its queue", c.Label())
	case c.Queue == "":
		return nil, fmt.Errorf("the queue of consumer %s, which another app has deployed, is not known: tell the audit of it", c.Label())
	case r.AsNew && c.Inbox != inboxOfTable:
		return nil, fmt.Errorf("consumer %s has no inbox and remembers nothing: replay without --as-new", c.Label())
	case r.AsNew && c.Ordered && (!r.Since.IsZero() || !r.Until.IsZero() || r.Type != ""):
		return nil, fmt.Errorf("consumer %s is ordered and can forget whole aggregates only: --as-new goes with --aggregate, not with --since, --until or --type", c.Label())
	}
	return c, nil
}

// inboxOfTable is what a consumer with an inbox has in its description.
const inboxOfTable = "TABLE"

// Run shows what it will do, asks, and sends. It may be interrupted: then the result has the command line that goes on.
func (r Replay) Run(ctx context.Context, c Clients, s *Stack, d *Dialog, command CommandLine) (*ReplayResult, error) {
	consumer, err := r.consumer(s)
	if err != nil {
		return nil, err
	}
	if r.FromArchive {
		return r.fromArchive(ctx, c, consumer, d)
	}
	plan, err := r.plan(ctx, c, consumer, d)
	if err != nil {
		return nil, err
	}
	plan.say(d)
	if len(plan.refs) == 0 || r.DryRun {
		return plan.result, plan.nothingLeft()
	}
	if err := r.confirm(plan, d); err != nil {
		return plan.result, err
	}
	if len(plan.refs) == 0 {
		return plan.result, plan.nothingLeft()
	}
	if r.AsNew {
		if err := plan.forget(ctx, d); err != nil {
			return plan.result, fmt.Errorf("let consumer %s forget: %w; nothing was sent, run it again", consumer.Label(), err)
		}
	}
	at, err := plan.send(ctx, r.Rate, d)
	if err != nil && at < len(plan.refs) {
		plan.result.Continue = r.rest(plan, at, command)
		return plan.result, fmt.Errorf("%w; %d of %d were sent, go on with: %s", err, plan.result.Sent, len(plan.refs), plan.result.Continue)
	}
	return plan.result, err
}

// nothingLeft returns the error of a replay that has events for the consumer and leaves all of them out.
func (p *replayPlan) nothingLeft() error {
	if len(p.refs) > 0 || p.result.LeftOut == 0 {
		return nil
	}
	return fmt.Errorf("nothing was sent to %s: all of %s left out; --forgotten sends those that it may not remember, too",
		p.consumer.Label(), counted(int64(p.result.LeftOut), "event is", "events are"))
}

// confirm asks whether to send, and once more about what the consumer may have forgotten, which is left out without a yes.
func (r Replay) confirm(p *replayPlan, d *Dialog) error {
	label := p.consumer.Label()
	if r.AsNew {
		if !d.Confirms(fmt.Sprintf("Let %s forget these events, so that up to %d effects happen again?", label, len(p.refs))) {
			return errNothingDone
		}
		return nil
	}
	if n := p.result.Forgotten; n > 0 && !r.Forgotten {
		// --yes is no answer to this one: --forgotten is.
		if d.Yes || !d.Confirms(fmt.Sprintf("Send also the %d events that %s may not remember? Their effects may happen twice.", n, label)) {
			p.leaveOutForgotten()
			d.Say("%d events are left out; --forgotten sends them, too.", n)
		} else {
			p.forgottenToo = true
		}
	}
	if len(p.refs) > 0 && !d.Confirms(fmt.Sprintf("Send %d events to %s?", len(p.refs), label)) {
		return errNothingDone
	}
	return nil
}

// rest returns the command line that sends the plan's events from a place in the order on. A consumer that has forgotten need
// not forget again, and is sent also what it might have forgotten without that.
func (r Replay) rest(p *replayPlan, at int, command CommandLine) string {
	args := []string{"--consumer", r.Consumer, "--since", p.earliest(at).UTC().Format(time.RFC3339Nano)}
	for flag, value := range map[string]string{"--type": r.Type, "--aggregate": r.Aggregate} {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	if !r.Until.IsZero() {
		args = append(args, "--until", r.Until.UTC().Format(time.RFC3339Nano))
	}
	if r.Forgotten || p.forgottenToo || r.AsNew && p.result.Forgotten > 0 {
		args = append(args, "--forgotten")
	}
	if r.Rate > 0 {
		args = append(args, "--rate", fmt.Sprint(r.Rate))
	}
	return command.For("replay", args...)
}

// rememberedFor returns how long a consumer remembers an event; ever is whether it is for good.
func rememberedFor(c *Consumer) (memory time.Duration, ever bool, err error) {
	switch {
	case c.Inbox != inboxOfTable:
		return 0, false, nil
	case c.Ordered || c.MemorySeconds == "":
		return 0, true, nil
	}
	memory, err = description.Seconds(c.MemorySeconds)
	return memory, false, err
}

// aggregateKey returns the partition key of the one aggregate that is meant, nothing where several may be.
func (r Replay) aggregateKey() string {
	if strings.Contains(r.Aggregate, "#") {
		return r.Aggregate
	}
	return ""
}
