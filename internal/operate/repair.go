package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/audit"
)

// A Repair sends events again, each to the consumer that misses it and to no other.
type Repair struct {
	Search
	// Rate is how many events are sent a second at most, to all consumers together.
	Rate int
	// Maximum is how many are sent in all. A further repair goes on.
	Maximum int
	// Behind also sends to consumers that have messages in their queue, among which the event may be: the inbox takes it
	// for a duplicate then.
	Behind bool
	DryRun bool
}

// Validate reports what is wrong with the numbers, all of it.
func (r Repair) Validate() error {
	var problems []error
	if r.Rate < 1 || r.Rate > maximumRate {
		problems = append(problems, fmt.Errorf("--rate must be a whole number from 1 to %d, got %d", maximumRate, r.Rate))
	}
	if r.Maximum < 1 || r.Maximum > maximumRepairs {
		problems = append(problems, fmt.Errorf("--limit must be a whole number from 1 to %d, got %d", maximumRepairs, r.Maximum))
	}
	return errors.Join(problems...)
}

const (
	// maximumRate is how many events a second one command sends: each takes a read and a send.
	maximumRate = 1000
	// maximumRepairs is how many events a plan holds in memory, at about half a kilobyte each.
	maximumRepairs = 500_000
	// repairsAtOnce is how many are under way at the same time.
	repairsAtOnce = 16
	// settled is how long an event that was sent again is given to take effect, before it may be sent once more.
	settled = 2 * time.Minute
)

// A RepairResult is what a repair found and did.
type RepairResult struct {
	Outbox    string           `json:"outbox"`
	DryRun    bool             `json:"dryRun,omitempty"`
	Consumers []ConsumerRepair `json:"consumers"`
	// More reports that there is more to repair than the limit allows.
	More bool `json:"more,omitempty"`
	// Interrupted reports that not all of the plan was sent: a further repair goes on.
	Interrupted bool `json:"interrupted,omitempty"`
}

// A ConsumerRepair is what a repair found and did for one consumer.
type ConsumerRepair struct {
	Consumer string `json:"consumer"`
	ToSend   int    `json:"toSend"`
	Sent     int    `json:"sent"`
	// What is not sent: what waits in a dead-letter queue, what was sent a moment ago, what may be in the queue, and what
	// has left the outbox table, which cannot be repaired any more.
	DeadLettered int `json:"deadLettered,omitempty"`
	Recent       int `json:"recent,omitempty"`
	Behind       int `json:"behind,omitempty"`
	Expired      int `json:"expired,omitempty"`
	NoQueue      int `json:"noQueue,omitempty"` // of a consumer of another app, whose queue is not known

	of     *Consumer
	behind bool
	ofPipe bool // some wait in the pipe's dead-letter queue
	plan   []MissingEffect
}

// errDeclined reports that nothing was sent.
var errDeclined = errors.New("nothing was sent: answer y, or give --yes")

// Run looks for what is missing, shows what it will send, asks, and sends it. It may be interrupted and repeated: what it has
// sent had its effect, or is sent once more, which the inbox recognizes.
func (r Repair) Run(ctx context.Context, command CommandLine) (*RepairResult, error) {
	result, err := r.plan(ctx)
	if err != nil {
		return nil, err
	}
	total := result.show(r.Dialog, command)
	if total == 0 || r.DryRun {
		return result, nil
	}
	if !r.Dialog.Confirms(fmt.Sprintf("Send %s?", counted(int64(total), "event", "events"))) {
		return result, errDeclined
	}
	err = r.send(ctx, result, total)
	result.showSent(r.Dialog)
	if ctx.Err() != nil {
		result.Interrupted = true
		return result, errors.New("interrupted; the same command goes on where it stopped")
	}
	return result, err
}

// plan finds out what is to be sent.
func (r Repair) plan(ctx context.Context) (*RepairResult, error) {
	result := &RepairResult{Outbox: r.Outbox.Path, DryRun: r.DryRun, Consumers: []ConsumerRepair{}}
	chosen, err := r.chosen()
	if err != nil {
		return nil, err
	}
	for _, c := range chosen {
		if c.Inbox == withInbox {
			result.Consumers = append(result.Consumers, ConsumerRepair{Consumer: c.Label(), of: c})
		}
	}
	if err := r.findBehind(ctx, result.Consumers); err != nil {
		return nil, err
	}
	planned := 0
	found, err := r.Search.Run(ctx, func(m MissingEffect) error {
		if result.of(m.consumer).add(m, time.Now()) {
			if planned++; planned > r.Maximum {
				result.More = true
				result.of(m.consumer).dropLast()
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !found.complete {
		r.Dialog.Say("not all dead-letter messages could be looked at; what waits there and is sent again has one effect all the same")
	}
	for i := range result.Consumers {
		result.Consumers[i].sort()
	}
	return result, nil
}

// findBehind finds out which consumers have not got to what is in their queue.
func (r Repair) findBehind(ctx context.Context, consumers []ConsumerRepair) error {
	jobs, ctx := errgroup.WithContext(ctx)
	jobs.SetLimit(requestsAtOnce)
	for i := range consumers {
		c := &consumers[i]
		if c.of.Queue == "" || r.Behind {
			continue
		}
		jobs.Go(func() (err error) {
			c.behind, err = audit.Behind(ctx, r.Clients.SQS, &audit.Consumer{Consumer: c.of.Consumer})
			return err
		})
	}
	return jobs.Wait()
}

func (r *RepairResult) of(c *Consumer) *ConsumerRepair {
	i := slices.IndexFunc(r.Consumers, func(one ConsumerRepair) bool { return one.of == c })
	return &r.Consumers[i] // a search finds nothing of other consumers
}

// add adds an effect to what is to be sent, or counts why it is not, and reports which.
func (c *ConsumerRepair) add(m MissingEffect, now time.Time) bool {
	switch {
	case m.DeadLettered != nil:
		c.DeadLettered++
		c.ofPipe = c.ofPipe || m.ofPipe
	case c.of.Queue == "":
		c.NoQueue++
	case now.Sub(m.RepairedAt) < settled:
		c.Recent++
	case c.behind:
		c.Behind++
	default:
		c.plan = append(c.plan, m)
		c.ToSend++
		return true
	}
	return false
}

func (c *ConsumerRepair) dropLast() {
	c.plan = c.plan[:len(c.plan)-1]
	c.ToSend--
}

// sort puts the plan in the order in which it is sent: aggregate by aggregate, that with the oldest event first, and each in
// the order of its versions. The clocks of its writers may differ, so its versions are no order of time.
func (c *ConsumerRepair) sort() {
	oldest := map[[2]string]time.Time{}
	for _, m := range c.plan {
		if at, ok := oldest[m.aggregate()]; !ok || m.WrittenAt.Before(at) {
			oldest[m.aggregate()] = m.WrittenAt
		}
	}
	slices.SortStableFunc(c.plan, func(a, b MissingEffect) int {
		of, other := a.aggregate(), b.aggregate()
		return cmp.Or(oldest[of].Compare(oldest[other]), slices.Compare(of[:], other[:]), cmp.Compare(a.Version, b.Version))
	})
}

// aggregate returns the type and the id of the event's aggregate.
func (m *MissingEffect) aggregate() [2]string { return [2]string{m.AggregateType, m.AggregateID} }

// show shows what will be sent, and returns how many events that is.
func (r *RepairResult) show(d *Dialog, command CommandLine) (total int) {
	for _, c := range r.Consumers {
		total += c.ToSend
		d.Say("%s: %s to send to its queue%s", c.Consumer, counted(int64(c.ToSend), "event", "events"), c.left())
		for _, m := range c.plan[:min(len(c.plan), sample)] {
			d.Say("  %s, version %d of %s %s, event %s, written at %s", m.Type, m.Version, m.AggregateType, m.AggregateID, m.ID, clock(m.WrittenAt))
		}
		if n := len(c.plan) - sample; n > 0 {
			d.Say("  … and %d more", n)
		}
		if c.DeadLettered > 0 {
			of := []string{"--consumer", c.Consumer}
			if c.ofPipe {
				of = nil // the pipe's messages are no consumer's
			}
			d.Say("  what waits in a dead-letter queue: %s", command.For("dead-letters redrive", of...))
		}
		if c.Behind > 0 {
			d.Say("  its queue has messages, among which those may be: wait until it is through, or give --behind")
		}
	}
	if r.More {
		d.Say("there is more to send than --limit allows: repeat the command afterwards")
	}
	return total
}

// sample is how many events of each consumer a plan shows.
const sample = 5

// left returns what is not sent, in words.
func (c *ConsumerRepair) left() string {
	var parts []string
	for _, one := range []struct {
		n    int
		what string
	}{
		{c.DeadLettered, "in a dead-letter queue"}, {c.Behind, "perhaps still in its queue"}, {c.Recent, "sent a moment ago"}, {c.NoQueue, "whose queue is not known"},
	} {
		if one.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", one.n, one.what))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ", not " + strings.Join(parts, ", ")
}

func (r *RepairResult) showSent(d *Dialog) {
	for _, c := range r.Consumers {
		if c.Sent+c.Expired == 0 {
			continue
		}
		d.Say("%s: %d sent", c.Consumer, c.Sent)
		if c.Expired > 0 {
			d.Say("  %s left the outbox table and cannot be repaired any more", counted(int64(c.Expired), "event has", "events have"))
		}
	}
}

// Unrepaired returns an error for what is missing and cannot be repaired any more.
func (r *RepairResult) Unrepaired() error {
	n := 0
	for _, c := range r.Consumers {
		n += c.Expired
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%s left the outbox table and cannot be repaired any more", counted(int64(n), "event has", "events have"))
}
