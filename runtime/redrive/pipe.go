package redrive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A PipeTarget is where the events of a pipe's dead-letter messages are, and where they go.
type PipeTarget struct {
	Bus         string // name or ARN of the event bus
	OutboxTable string // name or ARN of the outbox table
	// Source is the outbox's source: only its events and its heartbeats are published, as by the pipe, for a table may be
	// shared with other outboxes. Required.
	Source string
}

// validate reports what would publish events that the pipe does not.
func (t PipeTarget) validate() error {
	if t.Source == "" {
		return errors.New("Source must be that of the outbox, for example \"orders\", got none")
	}
	return nil
}

// publishes reports whether the pipe's filter lets a new item through. There are heartbeats only where the outbox has a
// monitor, and its filter lets them through then.
func (t PipeTarget) publishes(item Item) bool {
	source := textOf(item, record.AttrSource)
	return textOf(item, record.AttrRecordType) == record.RecordTypeEvent && (source == t.Source || source == record.HeartbeatSource(t.Source))
}

// batch is what a pipe leaves of the records that it gave up.
// Source: EventBridge user guide, eb-pipes-error-troubleshooting; Lambda developer guide,
// services-dynamodb-errors, for DDBStreamBatchInfo.
type batch struct {
	ShardID      string    `json:"shardId"`
	Start        string    `json:"startSequenceNumber"`
	End          string    `json:"endSequenceNumber"`
	FirstArrival time.Time `json:"approximateArrivalOfFirstRecord"`
	LastArrival  time.Time `json:"approximateArrivalOfLastRecord"`
	Size         int       `json:"batchSize"`
	Stream       string    `json:"streamArn"`
}

// Pipe puts the events that a pipe gave up on the bus. Where the stream no longer has them, after 24
// hours or because it was replaced, all events are published that were written in the minutes around: consumers without
// an inbox may then see some again.
func (r *Redriver) Pipe(ctx context.Context, deadLetterQueue string, to PipeTarget) (Report, error) {
	if err := to.validate(); err != nil {
		return Report{}, fmt.Errorf("redrive: %w", err)
	}
	return r.redriveQueue(ctx, deadLetterQueue, func(ctx context.Context, m sqstypes.Message) error {
		events, err := r.Events(ctx, aws.ToString(m.Body), to)
		if err != nil {
			return err
		}
		return r.publish(ctx, to.Bus, events)
	})
}

// An Item is an outbox item.
type Item = map[string]types.AttributeValue

// Events returns the outbox items that a pipe's dead-letter message names, at least one. Its error says what is missing
// when there are not as many left as the pipe gave up. Of the target it uses OutboxTable and Source.
func (r *Redriver) Events(ctx context.Context, body string, from PipeTarget) ([]Item, error) {
	if err := from.validate(); err != nil {
		return nil, fmt.Errorf("redrive: %w", err)
	}
	var message struct {
		Batch *batch `json:"DDBStreamBatchInfo"`
	}
	if err := json.Unmarshal([]byte(body), &message); err != nil || message.Batch == nil {
		return nil, fmt.Errorf("it must be a dead-letter message of a pipe with a DynamoDB stream, got %q", body)
	}
	b := *message.Batch
	items, err := r.fromStream(ctx, b, from)
	var trimmed *streamtypes.TrimmedDataAccessException
	var gone *streamtypes.ResourceNotFoundException
	if errors.As(err, &trimmed) || errors.As(err, &gone) {
		items, err = r.fromTable(ctx, b, from)
	}
	if err == nil && len(items) == 0 {
		// The pipe's filter let at least one through, or there would be no message.
		err = fmt.Errorf("there is no event of source %q among them", from.Source)
	}
	if err != nil {
		return nil, fmt.Errorf("records %s to %s of shard %s: %w", b.Start, b.End, b.ShardID, err)
	}
	return items, nil
}

// fromStream reads the records from the first to the last. Of what is between them only new outbox items
// count, as for the pipe.
func (r *Redriver) fromStream(ctx context.Context, b batch, from PipeTarget) ([]Item, error) {
	var items []Item
	cursor, err := r.iterator(ctx, b, b.Start, streamtypes.ShardIteratorTypeAtSequenceNumber)
	if err != nil {
		return nil, err
	}
	for last, empty := "", 0; cursor != nil && empty < maxEmptyReads; {
		out, err := r.clients.Streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: cursor})
		if expired := (*streamtypes.ExpiredIteratorException)(nil); errors.As(err, &expired) && last != "" {
			if cursor, err = r.iterator(ctx, b, last, streamtypes.ShardIteratorTypeAfterSequenceNumber); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the stream: %w", err)
		}
		if empty++; len(out.Records) > 0 {
			empty = 0
		}
		for _, rec := range out.Records {
			last = aws.ToString(rec.Dynamodb.SequenceNumber)
			if after(last, b.End) {
				return items, nil
			}
			item := fromStreamImage(rec.Dynamodb.NewImage)
			if rec.EventName == streamtypes.OperationTypeInsert && from.publishes(item) {
				items = append(items, item)
			}
			if last == b.End {
				return items, nil
			}
		}
		cursor = out.NextShardIterator
	}
	return nil, errors.New("the shard ends before the last of them")
}

// maxEmptyReads is how many reads in a row may bring no record: a shard that is still open has no end. DynamoDB answers so
// where records are far apart.
const maxEmptyReads = 200

func (r *Redriver) iterator(ctx context.Context, b batch, at string, how streamtypes.ShardIteratorType) (*string, error) {
	out, err := r.clients.Streams.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &b.Stream, ShardId: &b.ShardID, SequenceNumber: &at, ShardIteratorType: how,
	})
	if err != nil {
		return nil, fmt.Errorf("find the place in the stream: %w", err)
	}
	return out.ShardIterator, nil
}

// after reports whether one sequence number comes behind another. They are numbers of up to 40 digits.
func after(a, b string) bool {
	x, okX := new(big.Int).SetString(a, 10)
	y, okY := new(big.Int).SetString(b, 10)
	return okX && okY && x.Cmp(y) > 0
}

// textOf returns a string attribute, or nothing.
func textOf(item Item, name string) string {
	if v, ok := item[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

// around is how far the time of a write, by the clock of the writer, may be from its arrival in the stream.
const around = 5 * time.Minute

// fromTable finds the items by the time in which they were written, which is not the one that their events name. It reads
// the whole table.
func (r *Redriver) fromTable(ctx context.Context, b batch, from PipeTarget) ([]Item, error) {
	if r.clients.DynamoDB == nil || from.OutboxTable == "" {
		return nil, errors.New("they are no longer in the stream, and no outbox table is given")
	}
	pages := dynamodb.NewScanPaginator(r.clients.DynamoDB, &dynamodb.ScanInput{
		TableName:                &from.OutboxTable,
		ConsistentRead:           aws.Bool(true),
		FilterExpression:         aws.String("#record = :event"),
		ExpressionAttributeNames: map[string]string{"#record": record.AttrRecordType},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":event": &types.AttributeValueMemberS{Value: record.RecordTypeEvent},
		},
	})
	elsewhere := func(i Item) bool {
		at := record.WrittenAt(i)
		return !from.publishes(i) || at.Before(b.FirstArrival.Add(-around)) || at.After(b.LastArrival.Add(around))
	}
	var items []Item
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the outbox table: %w", err)
		}
		items = append(items, slices.DeleteFunc(page.Items, elsewhere)...)
	}
	if len(items) < b.Size {
		return nil, fmt.Errorf("they are no longer in the stream, and the outbox table has %d events of source %q from that time, at least %d are needed", len(items), from.Source, b.Size)
	}
	return items, nil
}
