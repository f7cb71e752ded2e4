package operate

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/audit"
)

// A Search looks for effects that are missing: on the auditor's list, or in full in the tables.
type Search struct {
	Clients Clients
	Outbox  *Outbox
	Full    bool
	// Since and Until limit it to events that were written at Since or later, and before Until. Default, for the zero
	// time: no limit, and those only whose effects are due.
	Since, Until time.Time
	// Consumer, Type and Aggregate limit it to one consumer, one type of events, and one aggregate, "Type#id" or the id
	// of any type. Default: all.
	Consumer, Type, Aggregate string
	// Dialog prints what a full search reads and costs, and how far it is.
	Dialog *Dialog
}

// A MissingEffect is an effect that an event should have and has not.
type MissingEffect struct {
	Consumer      string    `json:"consumer"`
	ID            string    `json:"id"`
	Source        string    `json:"source"`
	Type          string    `json:"type"`
	AggregateType string    `json:"aggregateType"`
	AggregateID   string    `json:"aggregateId"`
	Version       int64     `json:"version"`
	WrittenAt     time.Time `json:"writtenAt"`
	Reason        string    `json:"reason"`
	// DeadLettered is the reason of the dead-letter message in which the event waits: then nothing is lost.
	DeadLettered *string `json:"deadLettered,omitempty"`
	// RepairedAt is when the event was sent to the consumer again.
	RepairedAt time.Time `json:"repairedAt,omitzero"`

	effect   audit.Effect
	consumer *Consumer
	ofPipe   bool               // it waits in the pipe's dead-letter queue
	listed   *audit.Unconfirmed // nil where the auditor does not have it on its list
}

// searched is what a search came to.
type searched struct {
	consumers audit.Consumers // those that were looked at
	counts    *audit.Counts   // of a full search
	earlier   int             // on the list and written before the time
	complete  bool            // all dead-letter messages could be looked at
}

// confirmWithin is how old an event must be for its effects to be due, where no audit says so. It is the audit's default.
const confirmWithin = 15 * time.Minute

// within returns how old an event must be for its effects to be due.
func (s Search) within() time.Duration {
	if a := s.Outbox.Audit; a != nil {
		return time.Duration(seconds(a.ConfirmWithinSeconds)) * time.Second
	}
	return confirmWithin
}

// due returns until when events must have been written for their effects to be due.
func (s Search) due(now time.Time) time.Time {
	if !s.Until.IsZero() {
		return s.Until
	}
	return now.Add(-s.within())
}

// errNoAudit reports what to do where nothing has a list.
func (s Search) errNoAudit() error {
	return fmt.Errorf("outbox %s has no Audit, so nobody has looked yet for effects that are missing: say --full to look for them now", s.Outbox.Path)
}

// Run calls found for each effect that is missing, from one goroutine.
func (s Search) Run(ctx context.Context, found func(MissingEffect) error) (*searched, error) {
	if !s.Full && s.Outbox.Audit == nil {
		return nil, s.errNoAudit()
	}
	some, err := s.chosen()
	if err != nil {
		return nil, err
	}
	result := &searched{}
	if result.consumers, err = compile(ctx, s.Clients, s.Outbox, some); err != nil {
		return nil, err
	}
	letters, err := s.letters(ctx, some)
	if err != nil {
		return nil, err
	}
	result.complete = letters.complete
	report := func(m MissingEffect) error {
		if !s.wants(m.effect.Event) {
			return nil
		}
		letters.fill(&m)
		return found(m)
	}
	if s.Full {
		result.counts, err = s.full(ctx, result.consumers, report)
	} else {
		result.earlier, err = s.list(ctx, result.consumers, report)
	}
	return result, err
}

// chosen returns the consumers that are meant.
func (s Search) chosen() ([]*Consumer, error) {
	if s.Consumer == "" {
		return s.Outbox.Consumers, nil
	}
	c, err := FindConsumer(s.Outbox.Consumers, s.Consumer)
	if err != nil {
		return nil, err
	}
	if c.Inbox != withInbox {
		return nil, fmt.Errorf("consumer %s has no inbox, so nothing tells of its effects", c.Label())
	}
	return []*Consumer{c}, nil
}

// wants reports whether an event is of the type and the aggregate that are meant.
func (s Search) wants(e audit.Event) bool {
	if s.Type != "" && e.Type != s.Type {
		return false
	}
	return s.Aggregate == "" || s.Aggregate == e.AggregateID || s.Aggregate == e.AggregateType+"#"+e.AggregateID
}

// full reads the outbox table.
func (s Search) full(ctx context.Context, consumers audit.Consumers, found func(MissingEffect) error) (*audit.Counts, error) {
	place, err := placeOf(ctx, s.Clients, s.Outbox)
	if err != nil {
		return nil, err
	}
	tables := &countingTables{DynamoDB: s.Clients.DynamoDB, read: func(int) {}}
	f := audit.Full{
		Tables: tables, Table: s.Outbox.Table, Source: s.Outbox.Source, Consumers: consumers, Place: place,
		From: s.Since, To: s.due(time.Now()),
	}
	e, err := f.Estimate(ctx)
	if err != nil {
		return nil, err
	}
	s.Dialog.Say("reading table %s, about %d items and %s, and what %s of them: about %.0f read units, %.4f USD on demand in us-east-1",
		s.Outbox.Table, e.Items, bytesText(e.Bytes), counted(int64(len(consumers)), "consumer remembers", "consumers remember"), e.ReadUnits, e.USD)
	progress := s.Dialog.Begin("items of "+s.Outbox.Table+" read", int(e.Items))
	total := 0
	tables.read = func(n int) { total += n; progress.At(total) }
	counts, err := f.Run(ctx, func(e audit.Effect, v audit.Verdict) error {
		return found(s.missing(e, v))
	})
	progress.End(total)
	return &counts, err
}

// countingTables reports how many items a scan has read.
type countingTables struct {
	DynamoDB
	read func(items int)
}

func (t *countingTables) Scan(ctx context.Context, in *dynamodb.ScanInput, o ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	out, err := t.DynamoDB.Scan(ctx, in, o...)
	if err == nil {
		t.read(int(out.ScannedCount))
	}
	return out, err
}

func (s Search) missing(e audit.Effect, v audit.Verdict) MissingEffect {
	m := MissingEffect{
		ID: e.Event.ID, Source: e.Event.Source, Type: e.Event.Type, AggregateType: e.Event.AggregateType, AggregateID: e.Event.AggregateID,
		Version: e.Event.Version, WrittenAt: e.Event.WrittenAt.UTC(), Reason: v.Reason, effect: e,
	}
	for _, c := range s.Outbox.Consumers {
		if c.Name == e.Consumer.Name {
			m.consumer, m.Consumer = c, c.Label()
		}
	}
	return m
}

// listPage is how many items of the auditor's list are looked at together.
const listPage = 1000

// list looks again for what the auditor has on its list. It returns how many are on it from before the time.
func (s Search) list(ctx context.Context, consumers audit.Consumers, found func(MissingEffect) error) (earlier int, err error) {
	list := audit.List{Client: s.Clients.DynamoDB, Table: s.Outbox.Audit.Table}
	until := s.due(time.Now())
	for _, c := range consumers {
		for after, more := "", true; more; more = after != "" {
			var page []audit.Unconfirmed
			if page, after, err = list.Page(ctx, c.Name, after, listPage); err != nil {
				return earlier, err
			}
			before, err := s.listed(ctx, c, page, until, found)
			if earlier += before; err != nil {
				return earlier, err
			}
		}
	}
	return earlier, nil
}

// listed looks for the effects of a page of the list: the auditor itself looks again after an hour at most.
func (s Search) listed(ctx context.Context, c *audit.Consumer, page []audit.Unconfirmed, until time.Time, found func(MissingEffect) error) (earlier int, err error) {
	effects := make([]audit.Effect, len(page))
	for i, u := range page {
		effects[i] = audit.Effect{Event: u.Event, Consumer: c}
	}
	verdicts, err := audit.Confirm(ctx, s.Clients.DynamoDB, effects)
	if err != nil {
		return 0, err
	}
	for i, v := range verdicts {
		switch at := page[i].WrittenAt; {
		case v.Confirmed || !at.Before(until):
			continue
		case at.Before(s.Since):
			earlier++
			continue
		}
		m := s.missing(effects[i], v)
		m.listed = &page[i]
		if !page[i].RepairedAt.IsZero() {
			m.RepairedAt = page[i].RepairedAt.UTC()
		}
		if err := found(m); err != nil {
			return earlier, err
		}
	}
	return earlier, nil
}

// deadLetters are the messages of the dead-letter queues of an outbox and its consumers.
type deadLetters struct {
	all      []*audit.DeadLetters
	complete bool
}

// letters looks into the dead-letter queues, into several at the same time.
func (s Search) letters(ctx context.Context, consumers []*Consumer) (*deadLetters, error) {
	urls := map[string]bool{s.Outbox.PipeDeadLetterQueue: true, s.Outbox.RuleDeadLetterQueue: true}
	for _, c := range consumers {
		urls[c.DeadLetterQueue], urls[c.RuleDeadLetterQueue] = true, true
	}
	delete(urls, "")
	found := &deadLetters{complete: true}
	var mu sync.Mutex
	jobs, ctx := errgroup.WithContext(ctx)
	jobs.SetLimit(requestsAtOnce)
	for url := range urls {
		jobs.Go(func() error {
			some, err := audit.Peek(ctx, s.Clients.SQS, url)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			found.all = append(found.all, some)
			found.complete = found.complete && some.Complete
			return nil
		})
	}
	return found, jobs.Wait()
}

// fill fills in in which dead-letter message the event waits.
func (d *deadLetters) fill(m *MissingEffect) {
	for _, some := range d.all {
		if letter, ok := some.Find(m.effect); ok {
			reason := strings.TrimSpace(letter.Reason)
			m.DeadLettered, m.ofPipe = &reason, letter.Shard != ""
			return
		}
	}
}
