package audittest

import (
	"context"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A condition is what an expression is evaluated on.
type condition struct {
	old    Item // nil: there is none
	names  map[string]string
	values Item
}

// holds evaluates an expression of terms with AND and OR, and parentheses around a part that AND joins. That is all that the
// inbox and the audit write.
func (c condition) holds(expression string) bool {
	if expression == "" {
		return true
	}
	if whole, rest, ok := strings.Cut(expression, " AND ("); ok {
		return c.holds(whole) && c.holds(strings.TrimSuffix(rest, ")"))
	}
	for _, alternative := range strings.Split(expression, " OR ") {
		all := true
		for _, term := range strings.Split(alternative, " AND ") {
			all = all && c.term(term)
		}
		if all {
			return true
		}
	}
	return false
}

func (c condition) term(term string) bool {
	name, isFunction := strings.CutSuffix(term, ")")
	if isFunction {
		if name, ok := strings.CutPrefix(name, "attribute_not_exists("); ok {
			return c.old[c.name(name)] == nil
		}
		if name, ok := strings.CutPrefix(name, "attribute_exists("); ok {
			return c.old[c.name(name)] != nil
		}
		panic("audittest: condition: " + term)
	}
	parts := strings.Fields(term)
	if len(parts) != 3 {
		panic("audittest: condition: " + term)
	}
	attribute := c.old[c.name(parts[0])]
	if attribute == nil {
		return false
	}
	order := compare(Text(c.old, c.name(parts[0])), Text(c.values, parts[2]), attribute)
	switch parts[1] {
	case "=":
		return order == 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	panic("audittest: condition: " + term)
}

func (c condition) name(word string) string {
	if name, ok := c.names[word]; ok {
		return name
	}
	return word
}

// compare compares two numbers or two strings.
func compare(a, b string, kind types.AttributeValue) int {
	if _, isNumber := kind.(*types.AttributeValueMemberN); !isNumber {
		return strings.Compare(a, b)
	}
	x, _ := strconv.ParseInt(a, 10, 64)
	y, _ := strconv.ParseInt(b, 10, 64)
	return int(max(-1, min(1, x-y)))
}

// TransactWriteItems puts all items, or none where a condition does not hold: what the inbox and the outbox write.
func (t *Tables) TransactWriteItems(_ context.Context, in *dynamodb.TransactWriteItemsInput, _ ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	reasons := make([]types.CancellationReason, len(in.TransactItems))
	canceled := false
	err := t.do("TransactWriteItems", func() {
		for i, action := range in.TransactItems {
			put := action.Put
			old := t.items[*put.TableName][key(put.Item)]
			reasons[i].Code = aws.String("None")
			if !(condition{old, put.ExpressionAttributeNames, put.ExpressionAttributeValues}).holds(aws.ToString(put.ConditionExpression)) {
				canceled = true
				reasons[i] = types.CancellationReason{Code: aws.String("ConditionalCheckFailed"), Item: old}
			}
		}
		for _, action := range in.TransactItems {
			if !canceled {
				t.put(*action.Put.TableName, action.Put.Item)
			}
		}
	})
	if err == nil && canceled {
		err = &types.TransactionCanceledException{CancellationReasons: reasons}
	}
	return &dynamodb.TransactWriteItemsOutput{}, err
}
