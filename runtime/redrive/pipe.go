package redrive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// PipeTarget says where the events of a pipe's dead letters are, and where they go.
type PipeTarget struct {
	Bus         string // name or ARN of the event bus
	OutboxTable string // name or ARN of the outbox table
}

// letter is what a pipe leaves of the records that it gave up.
// Source: EventBridge user guide, eb-pipes-error-troubleshooting; Lambda developer guide,
// services-dynamodb-errors, for DDBStreamBatchInfo.
type letter struct {
	Batch *struct {
		ShardID      string    `json:"shardId"`
		Start        string    `json:"startSequenceNumber"`
		End          string    `json:"endSequenceNumber"`
		FirstArrival time.Time `json:"approximateArrivalOfFirstRecord"`
		LastArrival  time.Time `json:"approximateArrivalOfLastRecord"`
		Size         int       `json:"batchSize"`
		Stream       string    `json:"streamArn"`
	} `json:"DDBStreamBatchInfo"`
}

// Pipe puts the events that a pipe gave up on the bus. Where the stream no longer has them, after 24
// hours, all events are published that were written in the minutes around: consumers without an inbox may
// then see some again.
func (r *Redriver) Pipe(ctx context.Context, deadLetterQueue string, to PipeTarget) (Report, error) {
	return r.each(ctx, deadLetterQueue, func(m sqstypes.Message) error {
		events, err := r.Events(ctx, aws.ToString(m.Body), to.OutboxTable)
		if err != nil {
			return err
		}
		return r.publish(ctx, to.Bus, events)
	})
}

// Item is an outbox item.
type Item = map[string]types.AttributeValue

// Events are the outbox items that a pipe's dead letter names. Its error says what is missing when there
// are not as many left as the pipe gave up.
func (r *Redriver) Events(ctx context.Context, body, outboxTable string) ([]Item, error) {
	var l letter
	if err := json.Unmarshal([]byte(body), &l); err != nil || l.Batch == nil {
		return nil, fmt.Errorf("not a dead letter of a pipe with a DynamoDB stream: %q", body)
	}
	items, err := r.fromStream(ctx, l)
	var trimmed *streamtypes.TrimmedDataAccessException
	var gone *streamtypes.ResourceNotFoundException
	if errors.As(err, &trimmed) || errors.As(err, &gone) {
		items, err = r.fromTable(ctx, l, outboxTable)
	}
	if err != nil {
		return nil, fmt.Errorf("records %s to %s of shard %s: %w", l.Batch.Start, l.Batch.End, l.Batch.ShardID, err)
	}
	return items, nil
}

// fromStream reads the records from the first to the last. Of what is between them only new outbox items
// count, as for the pipe.
func (r *Redriver) fromStream(ctx context.Context, l letter) ([]Item, error) {
	at, err := r.clients.Streams.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &l.Batch.Stream, ShardId: &l.Batch.ShardID, SequenceNumber: &l.Batch.Start,
		ShardIteratorType: streamtypes.ShardIteratorTypeAtSequenceNumber,
	})
	if err != nil {
		return nil, fmt.Errorf("find the place in the stream: %w", err)
	}
	var items []Item
	for cursor := at.ShardIterator; cursor != nil; {
		out, err := r.clients.Streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: cursor})
		if err != nil {
			return nil, fmt.Errorf("read the stream: %w", err)
		}
		for _, rec := range out.Records {
			if after(aws.ToString(rec.Dynamodb.SequenceNumber), l.Batch.End) {
				return items, nil
			}
			item := fromStreamImage(rec.Dynamodb.NewImage)
			if rec.EventName == streamtypes.OperationTypeInsert && isEvent(item) {
				items = append(items, item)
			}
			if aws.ToString(rec.Dynamodb.SequenceNumber) == l.Batch.End {
				return items, nil
			}
		}
		cursor = out.NextShardIterator
	}
	return nil, errors.New("the shard ends before the last of them")
}

// after says whether one sequence number comes behind another. They are numbers of up to 40 digits.
func after(a, b string) bool {
	x, okX := new(big.Int).SetString(a, 10)
	y, okY := new(big.Int).SetString(b, 10)
	return okX && okY && x.Cmp(y) > 0
}

func isEvent(item Item) bool {
	marker, ok := item[record.AttrRecordType].(*types.AttributeValueMemberS)
	return ok && marker.Value == record.RecordTypeEvent
}

// around is how far the time in an event, which its writer set, may be from its arrival in the stream.
const around = 5 * time.Minute

// fromTable finds the items by the time in which they were written. It reads the whole table.
func (r *Redriver) fromTable(ctx context.Context, l letter, table string) ([]Item, error) {
	if r.clients.DynamoDB == nil || table == "" {
		return nil, errors.New("they are no longer in the stream, and no outbox table is given")
	}
	pages := dynamodb.NewScanPaginator(r.clients.DynamoDB, &dynamodb.ScanInput{
		TableName:                &table,
		ConsistentRead:           aws.Bool(true),
		FilterExpression:         aws.String("#record = :event AND #at BETWEEN :first AND :last"),
		ExpressionAttributeNames: map[string]string{"#record": record.AttrRecordType, "#at": record.AttrOccurredAt},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":event": &types.AttributeValueMemberS{Value: record.RecordTypeEvent},
			":first": millis(l.Batch.FirstArrival.Add(-around)),
			":last":  millis(l.Batch.LastArrival.Add(around)),
		},
	})
	var items []Item
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the outbox table: %w", err)
		}
		items = append(items, page.Items...)
	}
	if len(items) < l.Batch.Size {
		return nil, fmt.Errorf("they are no longer in the stream, and the outbox table has %d events of that time, at least %d are needed", len(items), l.Batch.Size)
	}
	return items, nil
}

func millis(t time.Time) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: fmt.Sprint(t.UnixMilli())}
}
