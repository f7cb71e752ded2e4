package inbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A join is since when a consumer in order listens. Its rule became active between the two times: no event
// written before joined is the consumer's, and every event written after certain reaches it.
type join struct{ joined, certain time.Time }

// settling is what certain is after the first message: writers' clocks differ, and a new rule is not active
// everywhere at once.
const settling = time.Minute

// The attributes of a join, in epoch milliseconds.
const (
	attrJoinedAt  = "joinedAt"
	attrCertainAt = "certainAt"
)

// join returns the consumer's join. The first call of the consumer's first invocation writes it.
func (s *Store) join(ctx context.Context) (join, error) {
	s.joining.Lock()
	defer s.joining.Unlock()
	if s.joined != nil {
		return *s.joined, nil
	}
	key := "join#" + s.config.Consumer
	item, err := s.read(ctx, key)
	if err == nil && item == nil {
		item, err = s.writeJoin(ctx, key)
	}
	if err != nil {
		return join{}, fmt.Errorf("find out when the consumer joined: %w", err)
	}
	s.joined = &join{joined: timeOf(item[attrJoinedAt]), certain: timeOf(item[attrCertainAt])}
	return *s.joined, nil
}

// writeJoin writes the join, unless another invocation was first, and returns the item that holds.
func (s *Store) writeJoin(ctx context.Context, key string) (map[string]types.AttributeValue, error) {
	out, err := s.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl:       &s.config.QueueURL,
		AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameCreatedTimestamp},
	})
	if err != nil {
		return nil, err
	}
	created := out.Attributes[string(sqstypes.QueueAttributeNameCreatedTimestamp)]
	seconds, err := strconv.ParseInt(created, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the queue's CreatedTimestamp must be a whole number of seconds, got %q", created)
	}
	item := map[string]types.AttributeValue{
		record.AttrPK: text(key),
		attrJoinedAt:  number(time.Unix(seconds, 0).UnixMilli()),
		attrCertainAt: number(time.Now().Add(settling).UnixMilli()),
	}
	tx := s.outbox.Begin(ctx)
	tx.Put(types.Put{
		TableName: &s.config.Table, Item: item,
		ConditionExpression: &notThereYet, ReturnValuesOnConditionCheckFailure: allOld,
	})
	err = tx.Commit(ctx)
	var failed *outbox.ConditionFailedError
	if errors.As(err, &failed) {
		return failed.Failed[0].Item, nil
	}
	return item, err
}

// timeOf returns the time in an attribute of epoch milliseconds, the zero time where there is none.
func timeOf(value types.AttributeValue) time.Time {
	ms, err := strconv.ParseInt(scalar(value), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// A history is when the events of an aggregate were written, by version, as far as the outbox table still
// has them.
type history map[int64]time.Time

// historyOf reads the event and its predecessors. It is empty where the event itself is not in the table:
// then the table does not speak for the event's aggregate.
func (s *Store) historyOf(ctx context.Context, event record.Event) (history, error) {
	if s.config.OriginTable == "" {
		return nil, nil
	}
	found, known := history{}, false
	query := s.historyQuery(event)
	for {
		out, err := s.db.Query(ctx, query)
		if err != nil {
			return nil, fmt.Errorf("read the history of %s %q: %w", event.AggregateType, event.AggregateID, err)
		}
		for _, item := range out.Items {
			version, err := strconv.ParseInt(scalar(item[record.AttrVersion]), 10, 64)
			if err != nil {
				continue // not an event
			}
			found[version] = record.WrittenAt(item)
			known = known || scalar(item[record.AttrID]) == event.ID
		}
		if query.ExclusiveStartKey = out.LastEvaluatedKey; len(query.ExclusiveStartKey) == 0 {
			break
		}
	}
	if !known {
		return nil, nil
	}
	return found, nil
}

// historyQuery reads consistently: a predecessor that was committed is there, if it has not expired.
func (s *Store) historyQuery(event record.Event) *dynamodb.QueryInput {
	names := map[string]string{}
	projection := ""
	for _, name := range record.HistoryFields {
		names["#"+name] = name
		projection += ", #" + name
	}
	return &dynamodb.QueryInput{
		TableName:                &s.config.OriginTable,
		KeyConditionExpression:   aws.String("#" + record.AttrPK + " = :aggregate"),
		FilterExpression:         aws.String("#" + record.AttrSource + " = :source AND #" + record.AttrVersion + " <= :version"),
		Select:                   types.SelectSpecificAttributes,
		ProjectionExpression:     aws.String(projection[2:]),
		ExpressionAttributeNames: names,
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":aggregate": text(record.PartitionKey(event.AggregateType, event.AggregateID)),
			":source":    text(event.Source),
			":version":   number(event.Version),
		},
		ConsistentRead: aws.Bool(true),
	}
}
