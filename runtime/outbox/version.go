package outbox

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// The placeholders that tie a write to its events' versions. The application's own must differ.
const (
	versionName = "#outboxVersion"
	versionFrom = ":outboxVersionFrom"
	versionTo   = ":outboxVersionTo"
)

// PutVersioned adds a Put action and the events it makes happen, and numbers them from
// the item's own version attribute: the put goes through only while the stored item still has the version
// current, the events get current+1, current+2 and so on, and the item the last of them. A current of 0
// means that the item is not there yet, or has no version.
//
// When another writer was first, Commit returns ErrConditionFailed: read the item again and decide anew.
func (tx *Tx) PutVersioned(put types.Put, attribute string, current int64, events ...Event) {
	next := tx.appendFrom(current, events)
	put.Item = maps.Clone(put.Item)
	if put.Item == nil {
		put.Item = map[string]types.AttributeValue{}
	}
	put.Item[attribute] = number(next)
	put.ConditionExpression = versionCondition(put.ConditionExpression, current)
	put.ExpressionAttributeNames = with(put.ExpressionAttributeNames, versionName, attribute)
	if current > 0 {
		put.ExpressionAttributeValues = with(put.ExpressionAttributeValues, versionFrom, number(current))
	}
	tx.Put(put)
}

// UpdateVersioned is PutVersioned for an Update action. It adds the new version to the update's SET
// clause, so the update expression itself must not mention the attribute.
func (tx *Tx) UpdateVersioned(update types.Update, attribute string, current int64, events ...Event) {
	next := tx.appendFrom(current, events)
	update.UpdateExpression = aws.String(setVersion(aws.ToString(update.UpdateExpression)))
	update.ConditionExpression = versionCondition(update.ConditionExpression, current)
	update.ExpressionAttributeNames = with(update.ExpressionAttributeNames, versionName, attribute)
	update.ExpressionAttributeValues = with(update.ExpressionAttributeValues, versionTo, number(next))
	if current > 0 {
		update.ExpressionAttributeValues[versionFrom] = number(current)
	}
	tx.Update(update)
}

// appendFrom appends the events with the versions after current and returns the last of them.
func (tx *Tx) appendFrom(current int64, events []Event) int64 {
	if current < 0 {
		tx.refuse("current version is %d, it is 0 for a new item and positive otherwise", current)
	}
	if len(events) == 0 {
		tx.refuse("a versioned write needs at least one event")
	}
	for _, event := range events {
		current++
		event.Version = current
		tx.addEvent(event, false)
	}
	return current
}

// versionCondition adds the version's condition to the caller's.
func versionCondition(condition *string, current int64) *string {
	expression := versionName + " = " + versionFrom
	if current <= 0 {
		expression = "attribute_not_exists(" + versionName + ")"
	}
	if condition != nil && *condition != "" {
		expression = "(" + *condition + ") AND " + expression
	}
	return &expression
}

// setClause finds the keyword SET of an update expression. SET is a reserved word, so as a name it can
// only stand in a placeholder, after # or :.
// Source: DynamoDB developer guide, "Reserved words in DynamoDB".
var setClause = regexp.MustCompile(`(?i)(^|[^#:\w])SET\s`)

// setVersion adds the version to the SET clause, of which there can be only one.
func setVersion(expression string) string {
	const assignment = versionName + " = " + versionTo
	if at := setClause.FindStringIndex(expression); at != nil {
		return expression[:at[1]] + assignment + ", " + expression[at[1]:]
	}
	if expression != "" {
		expression += " "
	}
	return expression + "SET " + assignment
}

// with returns a copy of the map, which belongs to the caller, with one entry more.
func with[V any](m map[string]V, key string, value V) map[string]V {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]V{}
	}
	m[key] = value
	return m
}

// counter is the item that numbers the events of one aggregate: its key in the outbox table, the version
// it held when it was read, and the version the transaction advances it to.
type counter struct {
	aggregate string
	from, to  int64
}

// counterKey is the sort key of a counter. Its item carries no recordType, so the pipe passes it by, and
// no expiry: numbering must never start again.
const counterKey = "version"

// numberEvents numbers the events that AppendNext added, from the aggregates' current versions.
func (tx *Tx) numberEvents(current func(aggregate string) (int64, error)) error {
	tx.counters = tx.counters[:0]
	for i, a := range tx.actions {
		if !a.numbered {
			continue
		}
		c, err := tx.counterOf(record.PartitionKey(a.event.AggregateType, a.event.AggregateID), current)
		if err != nil {
			return fmt.Errorf("action[%d]: %w", i, err)
		}
		c.to++
		a.event.Version = c.to
	}
	return nil
}

// counterOf returns the transaction's counter of the aggregate, read when it is met first.
func (tx *Tx) counterOf(aggregate string, current func(string) (int64, error)) (*counter, error) {
	for i := range tx.counters {
		if tx.counters[i].aggregate == aggregate {
			return &tx.counters[i], nil
		}
	}
	version, err := current(aggregate)
	if err != nil {
		return nil, err
	}
	tx.counters = append(tx.counters, counter{aggregate: aggregate, from: version, to: version})
	return &tx.counters[len(tx.counters)-1], nil
}

// readCounter reads without strong consistency, at half the price: a stale version loses the race, and
// the refusal brings the true one.
func (tx *Tx) readCounter(ctx context.Context, aggregate string) (int64, error) {
	reader, ok := tx.outbox.client.(ItemReader)
	if !ok {
		return 0, nil // already among the transaction's problems
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	out, err := reader.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &tx.outbox.config.Table,
		Key: map[string]types.AttributeValue{
			record.AttrPK: &types.AttributeValueMemberS{Value: aggregate},
			record.AttrSK: &types.AttributeValueMemberS{Value: counterKey},
		},
	})
	if err != nil {
		if isThrottle(err) {
			err = fmt.Errorf("%w: %w", ErrThrottled, err)
		}
		return 0, fmt.Errorf("read the counter of %s: %w", aggregate, err)
	}
	return versionOf(out.Item)
}

// advance returns the action that moves the counter, on the condition that it is where it was read, and that
// brings the stored item along when it is not.
func (c counter) advance(table string) types.TransactWriteItem {
	put := &types.Put{
		TableName: &table,
		Item: map[string]types.AttributeValue{
			record.AttrPK:      &types.AttributeValueMemberS{Value: c.aggregate},
			record.AttrSK:      &types.AttributeValueMemberS{Value: counterKey},
			record.AttrVersion: number(c.to),
		},
		ConditionExpression:                 versionCondition(nil, c.from),
		ExpressionAttributeNames:            map[string]string{versionName: record.AttrVersion},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if c.from > 0 {
		put.ExpressionAttributeValues = map[string]types.AttributeValue{versionFrom: number(c.from)}
	}
	return types.TransactWriteItem{Put: put}
}

// versionOf returns the version of a counter item; an item that is not there counts from 0.
func versionOf(item map[string]types.AttributeValue) (int64, error) {
	if len(item) == 0 {
		return 0, nil
	}
	n, ok := item[record.AttrVersion].(*types.AttributeValueMemberN)
	if !ok {
		return 0, fmt.Errorf("the counter item %v has no number in %q", item[record.AttrPK], record.AttrVersion)
	}
	return strconv.ParseInt(n.Value, 10, 64)
}

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}
