package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/outboxkit/transactional-outbox/internal/local/jsontext"
)

// A dynamoDBStream reads a stream of DynamoDB Local.
type dynamoDBStream struct {
	client *dynamodbstreams.Client
	arn    string
	region string
}

// New returns the stream with that ARN.
func New(client *dynamodbstreams.Client, arn, region string) Stream {
	// The reader retries itself, with short waits: the stream is on this machine.
	once := dynamodbstreams.New(client.Options(), func(o *dynamodbstreams.Options) { o.Retryer = aws.NopRetryer{} })
	return &dynamoDBStream{client: once, arn: arn, region: region}
}

// Shards implements Stream.
func (s *dynamoDBStream) Shards(ctx context.Context) ([]Shard, error) {
	var shards []Shard
	err := s.describe(ctx, func(shard types.Shard) {
		shards = append(shards, Shard{ID: aws.ToString(shard.ShardId), Parent: aws.ToString(shard.ParentShardId)})
	})
	return shards, err
}

func (s *dynamoDBStream) describe(ctx context.Context, each func(types.Shard)) error {
	for from := (*string)(nil); ; {
		out, err := s.client.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: &s.arn, ExclusiveStartShardId: from})
		if err != nil {
			return err
		}
		for _, shard := range out.StreamDescription.Shards {
			each(shard)
		}
		if from = out.StreamDescription.LastEvaluatedShardId; from == nil {
			return nil
		}
	}
}

// Open implements Stream.
func (s *dynamoDBStream) Open(ctx context.Context, shard, after string) (string, error) {
	in := &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &s.arn, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	}
	if after != "" {
		in.ShardIteratorType, in.SequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, &after
	}
	out, err := s.client.GetShardIterator(ctx, in)
	if err != nil {
		return "", trimmed(err)
	}
	return aws.ToString(out.ShardIterator), nil
}

// Read implements Stream. DynamoDB Local at times returns no next iterator although the shard is open, so a shard has
// ended only when the stream's description shows its end and nothing was left to read.
func (s *dynamoDBStream) Read(ctx context.Context, shard, cursor string) (Page, error) {
	out, err := s.client.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: &cursor})
	if err != nil {
		return Page{}, trimmed(err)
	}
	read := time.Now()
	page := Page{Next: aws.ToString(out.NextShardIterator)}
	for _, record := range out.Records {
		page.Records = append(page.Records, s.record(record, read))
	}
	if page.Next == "" && len(page.Records) == 0 {
		err = s.describe(ctx, func(found types.Shard) {
			if aws.ToString(found.ShardId) == shard && found.SequenceNumberRange != nil {
				page.End = found.SequenceNumberRange.EndingSequenceNumber != nil
			}
		})
	}
	return page, err
}

func trimmed(err error) error {
	var gone *types.TrimmedDataAccessException
	if errors.As(err, &gone) {
		return fmt.Errorf("%w: %w", ErrTrimmed, err)
	}
	return err
}

// resolution is the resolution of the creation times of DynamoDB Local 3.3.0: it truncates them to the minute, so a
// new record appears up to a minute old.
const resolution = time.Minute

// timeToLive is the user identity of the deletion of an expired item. DynamoDB Local 3.3.0 does not set it, and names
// the operation UNKNOWN_TO_SDK_VERSION where AWS names it REMOVE.
// Source: DynamoDB developer guide, time-to-live-ttl-streams.
var timeToLive = map[string]any{"type": "Service", "principalId": "dynamodb.amazonaws.com"}

// record returns the record in the form in which a pipe or a function on AWS receives it.
func (s *dynamoDBStream) record(in types.Record, read time.Time) Record {
	data := in.Dynamodb
	created := aws.ToTime(data.ApproximateCreationDateTime)
	change := map[string]any{
		"ApproximateCreationDateTime": created.Unix(),
		"Keys":                        image(data.Keys),
		"SequenceNumber":              aws.ToString(data.SequenceNumber),
		"SizeBytes":                   aws.ToInt64(data.SizeBytes),
		"StreamViewType":              string(data.StreamViewType),
	}
	if data.NewImage != nil {
		change["NewImage"] = image(data.NewImage)
	}
	if data.OldImage != nil {
		change["OldImage"] = image(data.OldImage)
	}
	event := map[string]any{
		"eventID":        aws.ToString(in.EventID),
		"eventName":      string(in.EventName),
		"eventVersion":   aws.ToString(in.EventVersion),
		"eventSource":    aws.ToString(in.EventSource),
		"awsRegion":      s.region,
		"dynamodb":       change,
		"eventSourceARN": s.arn,
	}
	switch in.EventName {
	case types.OperationTypeInsert, types.OperationTypeModify, types.OperationTypeRemove:
		if who := in.UserIdentity; who != nil {
			event["userIdentity"] = map[string]any{"type": aws.ToString(who.Type), "principalId": aws.ToString(who.PrincipalId)}
		}
	default:
		event["eventName"], event["userIdentity"] = string(types.OperationTypeRemove), timeToLive
	}
	arrival := created.Add(resolution)
	if arrival.After(read) {
		arrival = read
	}
	return Record{
		SequenceNumber: aws.ToString(data.SequenceNumber),
		Arrival:        arrival,
		Size:           int(aws.ToInt64(data.SizeBytes)),
		Key:            jsontext.Compact(change["Keys"]),
		ID:             eventText(data.NewImage, "id"),
		Source:         eventText(data.NewImage, "source"),
		Event:          event,
	}
}

// eventText returns a text of an item that has the attribute recordType, as outbox items do, else "".
func eventText(image map[string]types.AttributeValue, name string) string {
	text, isText := image[name].(*types.AttributeValueMemberS)
	if _, marked := image["recordType"]; !marked || !isText {
		return ""
	}
	return text.Value
}
