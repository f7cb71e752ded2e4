package dynamotest

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// action is the part that the four kinds have in common.
type action struct {
	kind      string
	table     *string
	item      Item // the whole item of a Put, else the key
	condition *string
	update    *string
	names     map[string]string
	values    Item
	wantsOld  bool
}

func actionOf(item types.TransactWriteItem) (action, error) {
	all := types.ReturnValuesOnConditionCheckFailureAllOld
	switch {
	case item.Put != nil:
		p := item.Put
		return action{"Put", p.TableName, p.Item, p.ConditionExpression, nil, p.ExpressionAttributeNames, p.ExpressionAttributeValues, p.ReturnValuesOnConditionCheckFailure == all}, nil
	case item.Update != nil:
		u := item.Update
		return action{"Update", u.TableName, u.Key, u.ConditionExpression, u.UpdateExpression, u.ExpressionAttributeNames, u.ExpressionAttributeValues, u.ReturnValuesOnConditionCheckFailure == all}, nil
	case item.Delete != nil:
		d := item.Delete
		return action{"Delete", d.TableName, d.Key, d.ConditionExpression, nil, d.ExpressionAttributeNames, d.ExpressionAttributeValues, d.ReturnValuesOnConditionCheckFailure == all}, nil
	case item.ConditionCheck != nil:
		c := item.ConditionCheck
		return action{"ConditionCheck", c.TableName, c.Key, c.ConditionExpression, nil, c.ExpressionAttributeNames, c.ExpressionAttributeValues, c.ReturnValuesOnConditionCheckFailure == all}, nil
	}
	return action{}, validation("an action is empty")
}

// apply returns the item after the action, nil when it is deleted.
func (a action) apply(old Item) (Item, error) {
	switch a.kind {
	case "Put":
		return maps.Clone(a.item), nil
	case "Delete":
		return nil, nil
	case "ConditionCheck":
		return old, nil
	}
	return a.updated(old)
}

func rational(v types.AttributeValue) *big.Rat {
	n, ok := v.(*types.AttributeValueMemberN)
	if !ok {
		return nil
	}
	r, _ := new(big.Rat).SetString(n.Value)
	return r
}

// text returns a form in which equal values are equal.
func text(v types.AttributeValue) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case *types.AttributeValueMemberS:
		return "S:" + v.Value
	case *types.AttributeValueMemberN:
		if r := rational(v); r != nil {
			return "N:" + r.RatString()
		}
		return "N:" + v.Value
	case *types.AttributeValueMemberL:
		return "L:" + joined(v.Value, text)
	case *types.AttributeValueMemberM:
		return "M:" + render(v.Value)
	case *types.AttributeValueMemberSS:
		return "SS:" + joined(slices.Sorted(slices.Values(v.Value)), strconv.Quote)
	default:
		return fmt.Sprintf("%T:%v", v, v)
	}
}

// joined returns the texts of several values as one.
func joined[T any](values []T, text func(T) string) string {
	var all []string
	for _, value := range values {
		all = append(all, text(value))
	}
	return fmt.Sprintf("%q", all)
}

// numberOf returns a number as DynamoDB has it: a decimal.
func numberOf(r *big.Rat) types.AttributeValue {
	if r.IsInt() {
		return &types.AttributeValueMemberN{Value: r.RatString()}
	}
	const digits = 38 // Source: DynamoDB developer guide, HowItWorks.NamingRulesDataTypes.
	return &types.AttributeValueMemberN{Value: strings.TrimRight(r.FloatString(digits), "0")}
}

func validation(format string, args ...any) error {
	return &smithy.GenericAPIError{Code: "ValidationException", Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}
