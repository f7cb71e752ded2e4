package dynamotest

import (
	"fmt"
	"maps"
	"math/big"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
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
	changed := maps.Clone(old)
	if changed == nil {
		changed = maps.Clone(a.item)
	}
	return changed, a.set(old, changed)
}

// set applies an update expression of one SET clause of assignments "name = value" or "name = name + value".
func (a action) set(old, changed Item) error {
	assignments, ok := strings.CutPrefix(aws.ToString(a.update), "SET ")
	if !ok {
		return validation("the model knows SET only, not %q", aws.ToString(a.update))
	}
	s := scope{old, a.names, a.values}
	for assignment := range strings.SplitSeq(assignments, ",") {
		target, source, _ := strings.Cut(assignment, "=")
		left, right, sum := strings.Cut(source, "+")
		value := s.operand(strings.TrimSpace(left))
		if sum {
			value = add(value, s.operand(strings.TrimSpace(right)))
		}
		if value == nil {
			return validation("no value for %q", assignment)
		}
		changed[s.name(strings.TrimSpace(target))] = value
	}
	return nil
}

func add(a, b types.AttributeValue) types.AttributeValue {
	x, y := rational(a), rational(b)
	if x == nil || y == nil {
		return nil
	}
	return &types.AttributeValueMemberN{Value: x.Add(x, y).RatString()}
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
	default:
		return fmt.Sprintf("%T:%v", v, v)
	}
}

func validation(format string, args ...any) error {
	return &smithy.GenericAPIError{Code: "ValidationException", Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}
