package outbox

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// Limits of one transaction. Sizes are in bytes.
// Source: DynamoDB developer guide, "Service, account, and table quotas in Amazon DynamoDB".
const (
	MaxActions         = 100
	MaxTransactionSize = 4 << 20
	MaxItemSize        = 400 << 10
)

// MaxEnvelopeSize is the largest event, in bytes, as a consumer's queue receives it. Parts of the way take
// more since 2026; this is what all of them take.
// Source: EventBridge user guide, "Calculating PutEvents event entry size"; SQS developer guide, "Quotas".
const MaxEnvelopeSize = 256 << 10

// checkLimits reports everything that DynamoDB would refuse and that can be known before asking it. The
// size an update leaves behind cannot, nor whether two puts to a table of unknown key meet.
func checkLimits(items []types.TransactWriteItem, outboxTable string) []error {
	var problems []error
	if len(items) > MaxActions {
		problems = append(problems, fmt.Errorf("%w: transaction has %d actions, at most %d are allowed", ErrTooLarge, len(items), MaxActions))
	}
	total := 0
	for i := range items {
		kind, table := describe(items[i])
		if table == "" {
			problems = append(problems, fmt.Errorf("action[%d] (%s): no table name", i, kind))
		}
		size, largest := sizes(items[i])
		total += size
		if largest > MaxItemSize {
			problems = append(problems, fmt.Errorf("%w: action[%d] (%s on %q): item has %d bytes, at most %d are allowed",
				ErrTooLarge, i, kind, table, largest, MaxItemSize))
		}
		for j := range i {
			if sameItem(&items[i], &items[j], outboxTable) {
				problems = append(problems, fmt.Errorf("action[%d] and action[%d] are for the same item of %q, only one action an item is allowed", j, i, table))
			}
		}
	}
	if total > MaxTransactionSize {
		problems = append(problems, fmt.Errorf("%w: transaction's items have %d bytes, at most %d are allowed", ErrTooLarge, total, MaxTransactionSize))
	}
	return problems
}

// sizes returns the least size of the action's item, and the size to compare with an item's limit: for an
// update that of its largest value, which the item must hold.
func sizes(item types.TransactWriteItem) (least, largest int) {
	switch {
	case item.Put != nil:
		n := itemSize(item.Put.Item)
		return n, n
	case item.Update != nil:
		for _, v := range item.Update.ExpressionAttributeValues {
			largest = max(largest, valueSize(v))
		}
	}
	key, _ := keyOf(&item)
	return itemSize(key), largest
}

// keyOf returns the action's key, or the whole item of a Put, whose key attributes are not known.
func keyOf(item *types.TransactWriteItem) (attributes map[string]types.AttributeValue, isPut bool) {
	switch {
	case item.Put != nil:
		return item.Put.Item, true
	case item.Update != nil:
		return item.Update.Key, false
	case item.Delete != nil:
		return item.Delete.Key, false
	case item.ConditionCheck != nil:
		return item.ConditionCheck.Key, false
	}
	return nil, false
}

// sameItem reports whether two actions are known to be for one item.
func sameItem(a, b *types.TransactWriteItem, outboxTable string) bool {
	_, table := describe(*a)
	if _, other := describe(*b); table != other {
		return false
	}
	inA, putA := keyOf(a)
	inB, putB := keyOf(b)
	switch {
	case putA && putB && table != outboxTable:
		return false
	case putA && putB:
		return sameValue(inA[record.AttrPK], inB[record.AttrPK]) && sameValue(inA[record.AttrSK], inB[record.AttrSK])
	case putA:
		return contains(inA, inB)
	default:
		return contains(inB, inA)
	}
}

// contains reports whether the item has the key.
func contains(item, key map[string]types.AttributeValue) bool {
	for name, value := range key {
		if !sameValue(item[name], value) {
			return false
		}
	}
	return len(key) > 0
}

// sameValue compares the types that a key can have.
func sameValue(a, b types.AttributeValue) bool {
	switch a := a.(type) {
	case *types.AttributeValueMemberS:
		b, ok := b.(*types.AttributeValueMemberS)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberN:
		b, ok := b.(*types.AttributeValueMemberN)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberB:
		b, ok := b.(*types.AttributeValueMemberB)
		return ok && string(a.Value) == string(b.Value)
	}
	return false
}
