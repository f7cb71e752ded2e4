package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// An Unconfirmed is an event whose effect at one consumer is not there.
type Unconfirmed struct {
	Event
	Consumer string // its name

	Since       time.Time // when the audit first looked in vain
	Checks      int       // how often it has looked in vain
	NextCheckAt time.Time
	Repairs     int       // how often the event was sent to the consumer again
	RepairedAt  time.Time // when it was last; the zero time: never
	ExpiresAt   time.Time // when the event leaves the outbox table, in seconds
}

// A List is the table of what is not confirmed: an item for each event and consumer, and none for what goes well. The oldest
// event of a consumer comes first.
type List struct {
	Client ListTable
	Table  string // name
}

// The attributes of an item of a List, besides those that it shares with an outbox item. Times are N, in epoch milliseconds.
const (
	attrSince          = "since"
	attrChecks         = "checks"
	attrNextCheckAt    = "nextCheckAt"
	attrRepairs        = "repairs"
	attrRepairedAt     = "repairedAt"
	attrSequenceNumber = "sequenceNumber" // S
)

// listKey returns the value of the partition key of all that is not confirmed of a consumer.
func listKey(consumer string) string { return "unconfirmed#" + consumer }

// sortKey returns the value of the sort key: by age, 13 digits of milliseconds.
func (u Unconfirmed) sortKey() string {
	return fmt.Sprintf("%013d#%s#%s", u.WrittenAt.UnixMilli(), u.Source, u.ID)
}

func (u Unconfirmed) key() Item {
	return Item{record.AttrPK: text(listKey(u.Consumer)), record.AttrSK: text(u.sortKey())}
}

func (u Unconfirmed) item() Item {
	item := u.key()
	for name, value := range map[string]string{
		record.AttrID: u.ID, record.AttrSource: u.Source, record.AttrType: u.Type,
		record.AttrAggregateType: u.AggregateType, record.AttrAggregateID: u.AggregateID,
	} {
		item[name] = text(value)
	}
	if u.SequenceNumber != "" {
		item[attrSequenceNumber] = text(u.SequenceNumber)
	}
	item[record.AttrVersion] = number(u.Version)
	item[record.AttrWrittenAt] = number(u.WrittenAt.UnixMilli())
	item[record.AttrExpiresAt] = number(u.ExpiresAt.Unix())
	item[attrSince] = number(u.Since.UnixMilli())
	item[attrChecks] = number(int64(u.Checks))
	item[attrNextCheckAt] = number(u.NextCheckAt.UnixMilli())
	if u.Repairs > 0 {
		item[attrRepairs] = number(int64(u.Repairs))
		item[attrRepairedAt] = number(u.RepairedAt.UnixMilli())
	}
	return item
}

func unconfirmedOf(consumer string, item Item) (Unconfirmed, error) {
	event, err := EventOf(item)
	if err != nil {
		return Unconfirmed{}, fmt.Errorf("item %q of the list of consumer %s: %w", scalar(item, record.AttrSK), consumer, err)
	}
	event.SequenceNumber = scalar(item, attrSequenceNumber)
	return Unconfirmed{
		Event: event, Consumer: consumer,
		Since: timeOf(item, attrSince), Checks: int(whole(item, attrChecks)), NextCheckAt: timeOf(item, attrNextCheckAt),
		Repairs: int(whole(item, attrRepairs)), RepairedAt: timeOf(item, attrRepairedAt),
		ExpiresAt: time.Unix(whole(item, record.AttrExpiresAt), 0),
	}, nil
}

var (
	notThere   = "attribute_not_exists(" + record.AttrPK + ")"
	stillThere = "attribute_exists(" + record.AttrPK + ")"
	// repairedAsRead also holds for an item that was never repaired.
	repairedAsRead = stillThere + " AND (attribute_not_exists(" + attrRepairs + ") OR " + attrRepairs + " = :repairs)"
)

// Note puts an event on the list. One that is there stays as it is.
func (l List) Note(ctx context.Context, u Unconfirmed) error {
	_, err := l.put(ctx, u, &dynamodb.PutItemInput{ConditionExpression: &notThere})
	return err
}

// NoteCheck notes a look in vain, unless the event has left the list or was repaired meanwhile.
func (l List) NoteCheck(ctx context.Context, u Unconfirmed, nextCheckAt time.Time) error {
	before := u.Repairs
	u.Checks, u.NextCheckAt = u.Checks+1, nextCheckAt
	_, err := l.putAsRead(ctx, u, before)
	return err
}

// lookAfterRepair is when the auditor looks for the effect of an event that was sent again.
const lookAfterRepair = time.Minute

// NoteRepair notes that the event is about to be sent again, and reports whether the caller is to do so: it is not where the
// event has left the list, or somebody else sends it. The auditor looks for its effect soon: an alarm waits for that.
func (l List) NoteRepair(ctx context.Context, u Unconfirmed, at time.Time) (bool, error) {
	before := u.Repairs
	u.Repairs, u.RepairedAt = u.Repairs+1, at
	if soon := at.Add(lookAfterRepair); soon.Before(u.NextCheckAt) {
		u.NextCheckAt = soon
	}
	return l.putAsRead(ctx, u, before)
}

func (l List) putAsRead(ctx context.Context, u Unconfirmed, repairs int) (bool, error) {
	return l.put(ctx, u, &dynamodb.PutItemInput{
		ConditionExpression:       &repairedAsRead,
		ExpressionAttributeValues: Item{":repairs": number(int64(repairs))},
	})
}

// put reports whether the condition held.
func (l List) put(ctx context.Context, u Unconfirmed, in *dynamodb.PutItemInput) (bool, error) {
	in.TableName, in.Item = &l.Table, u.item()
	_, err := l.Client.PutItem(ctx, in)
	var failed *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &failed):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("note that event %s has no effect at consumer %s: %w", u.ID, u.Consumer, err)
	}
	return true, nil
}

// Remove takes an event off the list.
func (l List) Remove(ctx context.Context, u Unconfirmed) error {
	if _, err := l.Client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &l.Table, Key: u.key()}); err != nil {
		return fmt.Errorf("take event %s off the list of consumer %s: %w", u.ID, u.Consumer, err)
	}
	return nil
}

// Of returns what is not confirmed of a consumer, the oldest event first. It ends after the first error.
func (l List) Of(ctx context.Context, consumer string) iter.Seq2[Unconfirmed, error] {
	return func(yield func(Unconfirmed, error) bool) {
		for after := ""; ; {
			page, next, err := l.Page(ctx, consumer, after, 0)
			if err != nil {
				yield(Unconfirmed{}, err)
				return
			}
			for _, u := range page {
				if !yield(u, nil) {
					return
				}
			}
			if after = next; next == "" {
				return
			}
		}
	}
}

// Page returns some of what is not confirmed of a consumer, the oldest event first: what comes behind the place, which is
// empty for the beginning. next is the place of the page's end, empty for that of the list. The limit is that of one query:
// 1 MB, or so many items where limit is above 0.
func (l List) Page(ctx context.Context, consumer, after string, limit int32) (page []Unconfirmed, next string, err error) {
	in := &dynamodb.QueryInput{
		TableName:                 &l.Table,
		KeyConditionExpression:    aws.String("#pk = :consumer"),
		ExpressionAttributeNames:  map[string]string{"#pk": record.AttrPK},
		ExpressionAttributeValues: Item{":consumer": text(listKey(consumer))},
	}
	if limit > 0 {
		in.Limit = &limit
	}
	if after != "" {
		in.ExclusiveStartKey = Item{record.AttrPK: text(listKey(consumer)), record.AttrSK: text(after)}
	}
	out, err := l.Client.Query(ctx, in)
	if err != nil {
		return nil, "", fmt.Errorf("read what is not confirmed of consumer %s: %w", consumer, err)
	}
	for _, item := range out.Items {
		u, err := unconfirmedOf(consumer, item)
		if err != nil {
			return nil, "", err
		}
		page = append(page, u)
	}
	return page, scalar(out.LastEvaluatedKey, record.AttrSK), nil
}
