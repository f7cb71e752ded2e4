package operate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

const (
	// maxBatchGet is the most items of one request. Source: DynamoDB API reference, BatchGetItem.
	maxBatchGet = 100
	// maxBatchBytes keeps the messages of one request below SQS's limit, which was 256 KiB for long.
	// Source: SQS API reference, SendMessageBatch.
	maxBatchBytes = 240 << 10
	// tries is how often what a service did not take is tried, with growing pauses.
	tries      = 5
	firstPause = 200 * time.Millisecond
	// deletesAtOnce is how many items of the inbox are deleted at the same time.
	deletesAtOnce = 16
)

// send sends the events in their order. It returns the place of the first event that may not have been sent.
func (p *replayPlan) send(ctx context.Context, rate int, d *Dialog) (at int, err error) {
	progress := d.Begin("sent to "+p.consumer.Label(), len(p.refs))
	defer func() { progress.End(p.result.Sent) }()
	began := time.Now()
	for some := range slices.Chunk(p.refs, maxBatchGet) {
		items, err := p.items(ctx, some)
		if err != nil {
			return at, fmt.Errorf("read the events: %w", err)
		}
		for _, batch := range p.batches(items) {
			if rate > 0 {
				if err := sleep(ctx, time.Until(began.Add(time.Duration(p.result.Sent)*time.Second/time.Duration(rate)))); err != nil {
					return at, err
				}
			}
			if batch.err != nil {
				return at, batch.err
			}
			if err := p.sendBatch(ctx, batch.entries); err != nil {
				return at, fmt.Errorf("send to %s: %w", queueName(p.consumer.Queue), err)
			}
			p.result.Sent += len(batch.entries)
			progress.At(p.result.Sent)
		}
		p.result.Expired += len(some) - len(items)
		at += len(some)
	}
	return at, nil
}

// items reads the events, in the order of the references. What has expired meanwhile is not among them.
func (p *replayPlan) items(ctx context.Context, refs []replayRef) ([]item, error) {
	table := p.consumer.Outbox.Table
	ask := map[string]dbtypes.KeysAndAttributes{table: {ConsistentRead: aws.Bool(true)}}
	keys := ask[table]
	for _, ref := range refs {
		keys.Keys = append(keys.Keys, item{record.AttrPK: text(ref.pk), record.AttrSK: text(ref.sk)})
	}
	ask[table] = keys
	found := map[string]item{}
	for try, wait := 1, firstPause; len(ask) > 0; try, wait = try+1, 2*wait {
		if try > tries {
			return nil, fmt.Errorf("outbox table %s is throttled", table)
		}
		out, err := p.clients.DynamoDB.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: ask})
		if err != nil {
			return nil, err
		}
		for _, it := range out.Responses[table] {
			found[textOf(it, record.AttrPK)+textOf(it, record.AttrSK)] = it
			try = 0 // it goes on
		}
		if ask = out.UnprocessedKeys; len(ask) > 0 {
			if err := sleep(ctx, wait); err != nil {
				return nil, err
			}
		}
	}
	var items []item
	for _, ref := range refs {
		if it := found[ref.pk+ref.sk]; it != nil {
			items = append(items, it)
		}
	}
	return items, nil
}

// A messageBatch is the messages of one request.
type messageBatch struct {
	entries []types.SendMessageBatchRequestEntry
	bytes   int
	err     error // an event that cannot be a message
}

// batches returns the messages of the events in requests that SQS accepts.
func (p *replayPlan) batches(items []item) []*messageBatch {
	var all []*messageBatch
	for _, it := range items {
		message, err := p.place.Message(it, time.Now())
		if err != nil {
			return append(all, &messageBatch{err: fmt.Errorf("event %q: %w", textOf(it, record.AttrID), err)})
		}
		last := len(all) - 1
		if last < 0 || len(all[last].entries) == batchSize || all[last].bytes+len(message) > maxBatchBytes {
			all = append(all, &messageBatch{})
			last++
		}
		b := all[last]
		b.entries = append(b.entries, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(len(b.entries))), MessageBody: &message})
		b.bytes += len(message)
	}
	return all
}

// sendBatch sends the messages of one request, and again those that SQS did not take.
func (p *replayPlan) sendBatch(ctx context.Context, entries []types.SendMessageBatchRequestEntry) error {
	for try, wait := 1, firstPause; ; try, wait = try+1, 2*wait {
		out, err := p.clients.SQS.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &p.consumer.Queue, Entries: entries})
		if err != nil {
			return err
		}
		if len(out.Failed) == 0 {
			return nil
		}
		if try == tries {
			return fmt.Errorf("%d of %d were refused: %s: %s", len(out.Failed), len(entries), aws.ToString(out.Failed[0].Code), aws.ToString(out.Failed[0].Message))
		}
		entries = slices.DeleteFunc(slices.Clone(entries), func(e types.SendMessageBatchRequestEntry) bool {
			return !slices.ContainsFunc(out.Failed, func(f types.BatchResultErrorEntry) bool { return aws.ToString(f.Id) == aws.ToString(e.Id) })
		})
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// forget lets the consumer forget the events of the plan, all of them before the first is sent: so an interrupted replay goes
// on without forgetting once more what took effect meanwhile.
func (p *replayPlan) forget(ctx context.Context, d *Dialog) error {
	if p.consumer.Ordered {
		return p.forgetAggregates(ctx, d)
	}
	var keys []string
	for _, ref := range p.refs {
		id := strings.TrimPrefix(ref.sk, record.SortKey(""))
		keys = append(keys, record.MarkerKey(p.consumer.Name, p.consumer.Outbox.Source, id))
	}
	return p.change(ctx, d, len(keys), func(ctx context.Context, n int) error { return p.deleteMemory(ctx, keys[n]) })
}

// forgetAggregates sets the consumer before the first event of each aggregate.
func (p *replayPlan) forgetAggregates(ctx context.Context, d *Dialog) error {
	var firsts []replayRef
	seen := map[string]bool{}
	for _, ref := range p.refs {
		if !seen[ref.pk] {
			seen[ref.pk] = true
			firsts = append(firsts, ref)
		}
	}
	return p.change(ctx, d, len(firsts), func(ctx context.Context, n int) error { return p.forgetAggregate(ctx, firsts[n]) })
}

// forgetAggregate sets the consumer before an event. Where the event is not version 1, the position says so: without one the
// consumer would wait for the versions before it.
func (p *replayPlan) forgetAggregate(ctx context.Context, first replayRef) error {
	name, source := p.consumer.Name, p.consumer.Outbox.Source
	aggregateType, aggregateID, _ := strings.Cut(first.pk, "#")
	for _, key := range []string{
		record.StartKey(name, source, aggregateType, aggregateID), record.WaitingKey(name, source, aggregateType, aggregateID),
	} {
		if err := p.deleteMemory(ctx, key); err != nil {
			return err
		}
	}
	position := record.PositionKey(name, source, aggregateType, aggregateID)
	if first.version == 1 {
		return p.deleteMemory(ctx, position)
	}
	_, err := p.clients.DynamoDB.PutItem(ctx, &dynamodb.PutItemInput{TableName: &p.consumer.InboxTable, Item: item{
		record.AttrPK:        text(position),
		record.AttrVersion:   decimal(first.version - 1),
		record.AttrHandledAt: decimal(time.Now().UnixMilli()),
	}})
	if err != nil {
		return fmt.Errorf("put %q into inbox table %s: %w", position, p.consumer.InboxTable, err)
	}
	return nil
}

func (p *replayPlan) deleteMemory(ctx context.Context, key string) error {
	_, err := p.clients.DynamoDB.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &p.consumer.InboxTable, Key: item{record.AttrPK: text(key)}})
	if err != nil {
		return fmt.Errorf("delete %q of inbox table %s: %w", key, p.consumer.InboxTable, err)
	}
	return nil
}

// change makes n changes of the inbox table, several at the same time.
func (p *replayPlan) change(ctx context.Context, d *Dialog, n int, one func(context.Context, int) error) error {
	progress := d.Begin("forgotten by "+p.consumer.Label(), n)
	all, some := errgroup.WithContext(ctx)
	all.SetLimit(deletesAtOnce)
	for i := range n {
		if some.Err() != nil {
			break
		}
		progress.At(i)
		all.Go(func() error { return one(some, i) })
	}
	err := cmp.Or(all.Wait(), ctx.Err())
	progress.End(n)
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return ctx.Err()
	}
}

func decimal(n int64) dbtypes.AttributeValue {
	return &dbtypes.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}
