package operate

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A replayRef is where an event to send is in the outbox table: about 200 bytes in memory, whatever the event holds.
type replayRef struct {
	pk, sk    string
	version   int64
	writtenAt int64 // epoch milliseconds
	forgotten bool
}

// A replayPlan is what a replay from the outbox table will send.
type replayPlan struct {
	clients  Clients
	consumer *Consumer
	asNew    bool
	place    audit.Place
	refs     []replayRef // in the order in which they are sent
	result   *ReplayResult

	oldest, newest time.Time
	retention      time.Duration // how long the consumer's queue keeps a message
	forgottenToo   bool          // somebody said yes to what the consumer may have forgotten
}

// plan reads the outbox table and decides what is sent, in which order.
func (r Replay) plan(ctx context.Context, c Clients, consumer *Consumer, d *Dialog) (*replayPlan, error) {
	p := &replayPlan{
		clients: c, consumer: consumer, asNew: r.AsNew,
		result: &ReplayResult{Consumer: consumer.Label(), Matched: map[string]int{}},
	}
	queue, err := describeQueue(ctx, c.SQS, consumer.Queue)
	if err != nil {
		return nil, err
	}
	p.place, p.retention = queue.place, queue.retention
	matcher, err := pattern.Compile(consumer.Pattern, pattern.Rules)
	if err != nil {
		return nil, fmt.Errorf("pattern of consumer %s: %w", consumer.Label(), err)
	}
	memory, ever, err := rememberedFor(consumer)
	if err != nil {
		return nil, fmt.Errorf("memory of consumer %s: %w", consumer.Label(), err)
	}
	latest := time.Now().Add(queue.retention) // when the consumer may get what is sent now
	progress := d.Begin("read from the outbox table", 0)
	err = r.events(ctx, c.DynamoDB, consumer.Outbox, func(it item) error {
		p.result.Read++
		progress.At(p.result.Read)
		event, err := audit.EventOf(it)
		if err != nil || !r.means(event) {
			return nil // what is no event is nobody's
		}
		matches, err := p.matches(matcher, it, event.WrittenAt)
		if err != nil || !matches {
			return err
		}
		p.result.Matched[event.Type]++
		since := earlier(event.WrittenAt, time.UnixMilli(numberOf(it, record.AttrOccurredAt)))
		p.add(event, !ever && latest.After(since.Add(memory)))
		return nil
	})
	progress.End(p.result.Read)
	if err != nil {
		return nil, fmt.Errorf("read outbox table %s: %w", consumer.Outbox.Table, err)
	}
	p.order()
	return p, nil
}

// events calls each for the items of the outbox's events: those of one aggregate, or of the whole table.
func (r Replay) events(ctx context.Context, db DynamoDB, box *Outbox, each func(item) error) error {
	names := map[string]string{"#record": record.AttrRecordType, "#source": record.AttrSource}
	values := item{":event": text(record.RecordTypeEvent), ":source": text(box.Source)}
	filter := aws.String("#record = :event AND #source = :source")
	var next func(context.Context) ([]item, bool, error)
	if key := r.aggregateKey(); key != "" {
		names["#pk"], values[":pk"] = record.AttrPK, text(key)
		pages := dynamodb.NewQueryPaginator(db, &dynamodb.QueryInput{
			TableName: &box.Table, KeyConditionExpression: aws.String("#pk = :pk"), FilterExpression: filter,
			ExpressionAttributeNames: names, ExpressionAttributeValues: values, ConsistentRead: aws.Bool(true),
		})
		next = func(ctx context.Context) ([]item, bool, error) {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, false, err
			}
			return page.Items, pages.HasMorePages(), nil
		}
	} else {
		pages := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{
			TableName: &box.Table, FilterExpression: filter,
			ExpressionAttributeNames: names, ExpressionAttributeValues: values, ConsistentRead: aws.Bool(true),
		})
		next = func(ctx context.Context) ([]item, bool, error) {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, false, err
			}
			return page.Items, pages.HasMorePages(), nil
		}
	}
	for more := true; more; {
		var items []item
		var err error
		if items, more, err = next(ctx); err != nil {
			return err
		}
		for _, it := range items {
			if err := each(it); err != nil {
				return err
			}
		}
	}
	return nil
}

// means reports whether the replay is about the event, whoever's it is.
func (r Replay) means(e audit.Event) bool {
	return (r.Type == "" || e.Type == r.Type) &&
		(r.Aggregate == "" || r.Aggregate == e.AggregateID || r.Aggregate == record.PartitionKey(e.AggregateType, e.AggregateID)) &&
		!e.WrittenAt.Before(r.Since) && (r.Until.IsZero() || e.WrittenAt.Before(r.Until))
}

// matches reports whether the consumer's rule matches the event.
func (p *replayPlan) matches(m *pattern.Pattern, it item, at time.Time) (bool, error) {
	message, err := p.place.Message(it, at)
	if err != nil {
		return false, err
	}
	return m.MatchJSON([]byte(message))
}

func (p *replayPlan) add(e audit.Event, forgotten bool) {
	p.refs = append(p.refs, replayRef{
		pk: record.PartitionKey(e.AggregateType, e.AggregateID), sk: record.SortKey(e.ID),
		version: e.Version, writtenAt: e.WrittenAt.UnixMilli(), forgotten: forgotten,
	})
	if forgotten {
		p.result.Forgotten++
	}
	if p.oldest.IsZero() || e.WrittenAt.Before(p.oldest) {
		p.oldest = e.WrittenAt
	}
	if e.WrittenAt.After(p.newest) {
		p.newest = e.WrittenAt
	}
}

// order sorts the events by the time of their writing, so that an interrupted replay can go on from a time, and within each
// aggregate by version, which writers' clocks do not always follow. An ordered consumer that shall see an aggregate as new
// begins after the last version that is missing.
func (p *replayPlan) order() {
	slices.SortFunc(p.refs, func(a, b replayRef) int {
		return cmp.Or(cmp.Compare(a.writtenAt, b.writtenAt), cmp.Compare(a.pk, b.pk), cmp.Compare(a.version, b.version))
	})
	places := map[string][]int{}
	for i, ref := range p.refs {
		places[ref.pk] = append(places[ref.pk], i)
	}
	beyond := map[string]bool{} // sort keys of what is left out
	for _, at := range places {
		var versions []replayRef
		for _, i := range at {
			versions = append(versions, p.refs[i])
		}
		slices.SortFunc(versions, func(a, b replayRef) int { return cmp.Compare(a.version, b.version) })
		for n, i := range at {
			p.refs[i] = versions[n]
			if p.asNew && p.consumer.Ordered && n > 0 && versions[n].version > versions[n-1].version+1 {
				for _, before := range versions[:n] {
					beyond[before.pk+before.sk] = true
				}
			}
		}
	}
	p.leaveOut(func(ref replayRef) bool { return beyond[ref.pk+ref.sk] })
}

func (p *replayPlan) leaveOut(which func(replayRef) bool) {
	before := len(p.refs)
	p.refs = slices.DeleteFunc(p.refs, which)
	p.result.LeftOut += before - len(p.refs)
}

func (p *replayPlan) leaveOutForgotten() {
	p.leaveOut(func(ref replayRef) bool { return ref.forgotten })
}

// earliest returns the time from which on everything from a place in the order on was written.
func (p *replayPlan) earliest(at int) time.Time {
	first := p.refs[at].writtenAt
	for _, ref := range p.refs[at:] {
		first = min(first, ref.writtenAt)
	}
	return time.UnixMilli(first)
}

// maxNamed is how many forgotten events a plan names.
const maxNamed = 10

// say prints what will be sent.
func (p *replayPlan) say(d *Dialog) {
	label := p.consumer.Label()
	if len(p.refs) == 0 && p.result.LeftOut == 0 {
		d.Say("none of %d events read is for %s", p.result.Read, label)
		return
	}
	order := ""
	if p.consumer.Ordered {
		order = ", in the order of their versions"
	}
	d.Say("%d of %d events read go to queue %s of %s alone%s; they were written from %s to %s",
		len(p.refs), p.result.Read, queueName(p.consumer.Queue), label, order, p.oldest.UTC().Format(time.RFC3339), p.newest.UTC().Format(time.RFC3339))
	for _, name := range slices.Sorted(maps.Keys(p.result.Matched)) {
		d.Say("  %6d %s", p.result.Matched[name], name)
	}
	if p.result.LeftOut > 0 {
		d.Say("%d events are left out: after them a version is missing in the table, and %s would wait for it", p.result.LeftOut, label)
	}
	if p.asNew {
		d.Say("%s forgets them first. For many events, `outbox pause` it before, so that new ones do not come in between.", label)
		return
	}
	p.sayForgotten(d)
}

func (p *replayPlan) sayForgotten(d *Dialog) {
	if p.result.Forgotten == 0 {
		return
	}
	memory, _, _ := rememberedFor(p.consumer) // the plan has read it
	why := whyForgotten(p.consumer, memory, p.retention)
	d.Say("%s may not remember %d of them (%s). If they took effect before, they will again:", p.consumer.Label(), p.result.Forgotten, why)
	n := 0
	for _, ref := range p.refs {
		if !ref.forgotten {
			continue
		}
		if n++; n > maxNamed {
			d.Say("  and %d more", p.result.Forgotten-maxNamed)
			break
		}
		d.Say("  %s %s, version %d of %s", time.UnixMilli(ref.writtenAt).UTC().Format(time.RFC3339), strings.TrimPrefix(ref.sk, record.SortKey("")), ref.version, ref.pk)
	}
}

// whyForgotten says why a consumer may not remember an event when it gets it.
func whyForgotten(c *Consumer, memory, retention time.Duration) string {
	if c.Inbox != inboxOfTable {
		return "it has no inbox"
	}
	return fmt.Sprintf("it remembers an event for %s, and its queue keeps a message for up to %s", roundedAge(memory), roundedAge(retention))
}

// A describedQueue is what a replay must know of the consumer's queue.
type describedQueue struct {
	place     audit.Place
	retention time.Duration
}

func describeQueue(ctx context.Context, queues SQS, url string) (describedQueue, error) {
	const arn, retention = types.QueueAttributeNameQueueArn, types.QueueAttributeNameMessageRetentionPeriod
	out, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{arn, retention}})
	if err != nil {
		return describedQueue{}, fmt.Errorf("read the attributes of %s: %w", queueName(url), err)
	}
	kept, err := description.Seconds(out.Attributes[string(retention)])
	if err != nil {
		return describedQueue{}, fmt.Errorf("queue attribute %s: %w", retention, err)
	}
	words := strings.Split(out.Attributes[string(arn)], ":") // arn:aws:sqs:region:account:name
	if len(words) != 6 {
		return describedQueue{}, fmt.Errorf("queue attribute %s must be an ARN, got %q", arn, out.Attributes[string(arn)])
	}
	return describedQueue{audit.Place{Region: words[3], Account: words[4]}, kept}, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
