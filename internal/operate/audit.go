package operate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/description"
)

// A Ledger is what was committed in a time and what took effect.
type Ledger struct {
	Outbox string    `json:"outbox"`
	Full   bool      `json:"full"` // from the tables, not from what the auditor has noted
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until"`
	// Committed is how many events were committed. The auditor does not note that: null without Full.
	Committed *int64      `json:"committed"`
	Consumers []LedgerRow `json:"consumers"`
	// Unread are the items of the outbox table that are marked as events and cannot be read as one.
	Unread int64 `json:"unread,omitempty"`
	// Earlier are the effects on the auditor's list that events from before Since miss.
	Earlier int64 `json:"earlier,omitempty"`
	// Incomplete reports that not all dead-letter messages could be looked at: some of what is missing may be there.
	Incomplete bool `json:"incomplete,omitempty"`
}

// A LedgerRow is what a ledger has of one consumer. Where it has no inbox nothing is known.
type LedgerRow struct {
	Consumer string `json:"consumer"`
	// Matched is how many events are the consumer's; Effects, DeadLetters and Missing are what became of them. Without Full
	// Effects, and with it Matched, is approximate: it is what the auditor confirmed when the time's events were looked at.
	Matched     int64 `json:"matched"`
	Effects     int64 `json:"effects"`
	DeadLetters int64 `json:"deadLetters"`
	Missing     int64 `json:"missing"`
	// InQueue is how many messages the consumer's queue has: what is missing may be among them.
	InQueue *Reading[Depth] `json:"inQueue"`
	NoInbox bool            `json:"noInbox,omitempty"`
	// Since is from when on events are the consumer's, where that is within the time: before, its rule may not have been there.
	Since time.Time `json:"since,omitzero"`

	name, queue string
}

// Missing returns how many effects are missing and wait in no dead-letter queue.
func (l *Ledger) Missing() (n int64) {
	for _, r := range l.Consumers {
		n += r.Missing
	}
	return n + l.Earlier
}

// DefaultSince is how far back a ledger from the auditor's notes goes.
const DefaultSince = 24 * time.Hour

// Audit returns the ledger of the search's time, and calls missing for each effect that is not there. Without Full and Since
// that is the last day.
func Audit(ctx context.Context, s Search, missing func(MissingEffect) error) (*Ledger, error) {
	if !s.Full && s.Since.IsZero() {
		s.Since = time.Now().Add(-DefaultSince)
	}
	s.Until = s.due(time.Now())
	l := &Ledger{Outbox: s.Outbox.Path, Full: s.Full, Since: inUTC(s.Since), Until: s.Until.UTC()}
	chosen, err := s.chosen()
	if err != nil {
		return nil, err
	}
	for _, c := range chosen {
		l.Consumers = append(l.Consumers, LedgerRow{Consumer: c.Label(), name: c.Name, queue: c.Queue, NoInbox: c.Inbox != withInbox})
	}
	found, err := s.Run(ctx, func(m MissingEffect) error {
		row := l.of(m.consumer.Name)
		if m.DeadLettered != nil {
			row.DeadLetters++
		} else {
			row.Missing++
		}
		return missing(m)
	})
	if err != nil {
		return l, err
	}
	l.noteJoined(s, found)
	l.Earlier, l.Incomplete = int64(found.earlier), !found.complete
	if found.counts != nil {
		l.count(found)
	} else if err := l.confirmed(ctx, s); err != nil {
		return l, err
	}
	return l, l.readQueues(ctx, s.Clients)
}

// noteJoined notes which consumers have joined within the time.
func (l *Ledger) noteJoined(s Search, found *searched) {
	from := time.Now().Add(-time.Duration(seconds(s.Outbox.EventRetentionSeconds)) * time.Second)
	if s.Since.After(from) {
		from = s.Since
	}
	for _, c := range found.consumers {
		if c.Joined && c.Since.After(from) {
			l.of(c.Name).Since = c.Since.UTC()
		}
	}
}

// of returns the row of the consumer with the name in the inbox.
func (l *Ledger) of(name string) *LedgerRow {
	i := slices.IndexFunc(l.Consumers, func(r LedgerRow) bool { return r.name == name })
	return &l.Consumers[i] // a search finds nothing of other consumers
}

// count fills in what a full search has counted. With a type or an aggregate it has counted more than was meant.
func (l *Ledger) count(found *searched) {
	committed := int64(found.counts.Committed)
	l.Committed, l.Unread = &committed, int64(found.counts.Unread)
	for _, c := range found.counts.Consumers {
		row := l.of(c.Consumer.Name)
		row.Matched, row.Effects = int64(c.Matched), int64(c.Confirmed)
	}
}

// confirmed fills in the effects from the auditor's metrics.
func (l *Ledger) confirmed(ctx context.Context, s Search) error {
	if err := l.sumConfirmed(ctx, s); err != nil {
		return fmt.Errorf("read what the auditor has confirmed: %w", err)
	}
	for i := range l.Consumers {
		if row := &l.Consumers[i]; !row.NoInbox {
			row.Matched = row.Effects + row.DeadLetters + row.Missing
		}
	}
	return nil
}

// sumConfirmed adds the auditor's metrics up. They tell when an effect was looked for, not when its event was written.
func (l *Ledger) sumConfirmed(ctx context.Context, s Search) error {
	now := time.Now()
	from, to := s.looked(now)
	if !from.Before(to) {
		return nil // nothing is due yet
	}
	var queries []types.MetricDataQuery
	rows := map[string]*LedgerRow{}
	for i := range l.Consumers {
		row := &l.Consumers[i]
		if row.NoInbox {
			continue
		}
		id := fmt.Sprintf("q%d", i)
		rows[id] = row
		queries = append(queries, types.MetricDataQuery{Id: &id, MetricStat: &types.MetricStat{
			Metric: &types.Metric{
				Namespace: aws.String(Namespace), MetricName: aws.String("Confirmed"),
				Dimensions: []types.Dimension{{Name: aws.String("Outbox"), Value: &s.Outbox.Path}, {Name: aws.String("Consumer"), Value: &row.name}},
			},
			Period: aws.Int32(periodOf(from, now)), Stat: aws.String("Sum"),
		}})
	}
	for some := range slices.Chunk(queries, maxQueries) {
		pages := cloudwatch.NewGetMetricDataPaginator(s.Clients.CloudWatch, &cloudwatch.GetMetricDataInput{
			MetricDataQueries: some, StartTime: &from, EndTime: &to,
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, result := range page.MetricDataResults {
				for _, value := range result.Values {
					rows[aws.ToString(result.Id)].Effects += int64(value)
				}
			}
		}
	}
	return nil
}

// looksFor is how long it takes at most, in a system at rest, until an effect that is due is looked for: the auditor runs once
// a minute, and may begin with another run's work.
const looksFor = 2 * time.Minute

// looked returns in which time the auditor looked for the effects of the events of the search's time, each for the first time:
// ConfirmWithin after its commit at the earliest, and later by what its batch waited in the stream's window and by the next run
// at the latest. So events of the minutes before Until may be missing, and those of the minutes after it be among them.
func (s Search) looked(now time.Time) (from, to time.Time) {
	within := s.within()
	to = s.due(now).Add(within + description.StreamWindow(within) + looksFor)
	if to.After(now) {
		to = now
	}
	return s.Since.Add(within), to
}

// periodOf returns the period, in seconds, by which CloudWatch has the metrics of a time: by the minute for 15 days, by five
// minutes for 63, by the hour after that. Source: CloudWatch API reference, GetMetricData and MetricStat.
func periodOf(since, now time.Time) int32 {
	const day = 24 * time.Hour
	switch age := now.Sub(since); {
	case age < 15*day:
		return 60
	case age < 63*day:
		return 300
	}
	return 3600
}

// readQueues fills in how many messages the consumers' queues have.
func (l *Ledger) readQueues(ctx context.Context, c Clients) error {
	var jobs errgroup.Group
	jobs.SetLimit(requestsAtOnce)
	for i := range l.Consumers {
		if row := &l.Consumers[i]; row.queue != "" {
			row.InQueue = &Reading[Depth]{}
			into(ctx, &jobs, row.InQueue, func(ctx context.Context) (Depth, error) { return (&Surveyor{clients: c}).depth(ctx, row.queue) })
		}
	}
	_ = jobs.Wait() // the jobs put their errors into the readings
	return ctx.Err()
}
