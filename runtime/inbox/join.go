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

// A join is since when an ordered consumer listens. Its rule became active between joined and certain: no event written
// before joined is the consumer's, and every event written after certain reaches it. A consumer that was removed and added
// again, or moved, has a new queue. Then certain is that of the new queue, and joined stays: of what was written in between,
// nobody can tell what the consumer has missed and what still comes from the old queue.
type join struct {
	joined, certain time.Time
	queue           time.Time // when the queue was created
}

// settling is what certain is after the first message: writers' clocks differ, and a new rule is not active
// everywhere at once.
const settling = time.Minute

// The attributes of a join, in epoch milliseconds.
const (
	attrCertainAt = "certainAt"
	attrQueueAt   = "queueAt"
)

func joinOf(item map[string]types.AttributeValue) join {
	return join{joined: timeOf(item[record.AttrJoinedAt]), certain: timeOf(item[attrCertainAt]), queue: timeOf(item[attrQueueAt])}
}

// join returns the consumer's join. The first call of the first invocation that has the queue writes it.
func (s *Store) join(ctx context.Context) (join, error) {
	s.joining.Lock()
	defer s.joining.Unlock()
	if s.joined != nil {
		return *s.joined, nil
	}
	j, err := s.readJoin(ctx)
	if err != nil {
		return join{}, fmt.Errorf("find out when the consumer joined: %w", err)
	}
	s.joined = &j
	return j, nil
}

// readJoin reads the join, and writes it where there is none or its queue was replaced by ours.
func (s *Store) readJoin(ctx context.Context) (join, error) {
	created, err := s.queueCreated(ctx)
	if err != nil {
		return join{}, err
	}
	key := record.JoinKey(s.config.Consumer)
	item, err := s.read(ctx, key)
	if err != nil {
		return join{}, err
	}
	j := joinOf(item)
	if !created.After(j.queue) {
		return j, nil
	}
	if item == nil {
		j.joined = created
	}
	j.certain, j.queue = time.Now().Add(settling), created
	return s.writeJoin(ctx, key, j)
}

// newQueue holds where there is no join yet, or one that was written for an older queue.
var newQueue = "attribute_not_exists(" + attrQueueAt + ") OR " + attrQueueAt + " < :queue"

// writeJoin writes the join, unless another invocation was first, and returns the one that holds.
func (s *Store) writeJoin(ctx context.Context, key string, j join) (join, error) {
	tx := s.outbox.Begin(ctx)
	tx.Put(types.Put{
		TableName: &s.config.Table,
		Item: map[string]types.AttributeValue{
			record.AttrPK:       text(key),
			record.AttrJoinedAt: number(j.joined.UnixMilli()),
			attrCertainAt:       number(j.certain.UnixMilli()),
			attrQueueAt:         number(j.queue.UnixMilli()),
		},
		ConditionExpression:                 &newQueue,
		ExpressionAttributeValues:           map[string]types.AttributeValue{":queue": number(j.queue.UnixMilli())},
		ReturnValuesOnConditionCheckFailure: allOld,
	})
	err := tx.Commit(ctx)
	var failed *outbox.ConditionFailedError
	if errors.As(err, &failed) {
		return joinOf(failed.Failed[0].Item), nil
	}
	return j, err
}

// queueCreated returns when the consumer's queue was created, in whole seconds.
func (s *Store) queueCreated(ctx context.Context) (time.Time, error) {
	out, err := s.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl:       &s.config.QueueURL,
		AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameCreatedTimestamp},
	})
	if err != nil {
		return time.Time{}, err
	}
	created := out.Attributes[string(sqstypes.QueueAttributeNameCreatedTimestamp)]
	seconds, err := strconv.ParseInt(created, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("the queue's CreatedTimestamp must be a whole number of seconds, got %q", created)
	}
	return time.Unix(seconds, 0), nil
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
