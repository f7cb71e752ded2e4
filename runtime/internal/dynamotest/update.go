package dynamotest

import (
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// update returns the item after an update: SET of values, sums, differences and if_not_exists, REMOVE, and ADD of numbers.
// Source: DynamoDB developer guide, Expressions.UpdateExpressions.
func (a action) updated(old Item) (Item, error) {
	u := &updater{parser: newParser(aws.ToString(a.update), scope{old, a.names, a.values}), item: maps.Clone(old)}
	if u.item == nil {
		u.item = maps.Clone(a.item)
	}
	clauses := map[string]func(){"SET": u.set, "REMOVE": u.remove, "ADD": u.add}
	for more := true; more && !u.wrong; {
		more = false
		for keyword, clause := range clauses {
			if u.accept(keyword) {
				clause()
				for u.accept(",") {
					clause()
				}
				more = true
			}
		}
	}
	if u.wrong || u.next() != "" {
		return nil, validation("the model does not know the update %q, or an attribute in it has no value", aws.ToString(a.update))
	}
	return u.item, nil
}

// An updater changes an item. Its parser reads the item as it was.
type updater struct {
	*parser
	item Item
}

// set reads "name = value", "name = value + value" or "name = value - value".
func (u *updater) set() {
	name := u.scope.name(u.next())
	u.expect("=")
	value := u.value()
	switch {
	case u.accept("+"):
		value = sum(value, u.value(), false)
	case u.accept("-"):
		value = sum(value, u.value(), true)
	}
	u.put(name, value)
}

// remove reads "name".
func (u *updater) remove() { delete(u.item, u.scope.name(u.next())) }

// add reads "name value". A number that is not there counts as 0.
func (u *updater) add() {
	name := u.scope.name(u.next())
	value := u.value()
	if old := u.scope.item[name]; old != nil {
		value = sum(old, value, false)
	}
	if rational(value) == nil {
		u.wrong = true // sets are not known
	}
	u.put(name, value)
}

func (u *updater) put(name string, value types.AttributeValue) {
	if name == "" || value == nil {
		u.wrong = true
		return
	}
	u.item[name] = value
}

// value reads an operand, or "if_not_exists(name, operand)".
func (u *updater) value() types.AttributeValue {
	if !u.accept("if_not_exists") {
		return u.scope.operand(u.next())
	}
	u.expect("(")
	name := u.scope.name(u.next())
	u.expect(",")
	fallback := u.scope.operand(u.next())
	u.expect(")")
	if old, ok := u.scope.item[name]; ok {
		return old
	}
	return fallback
}

// sum returns a + b, or a - b, or nil where one is no number.
func sum(a, b types.AttributeValue, minus bool) types.AttributeValue {
	x, y := rational(a), rational(b)
	if x == nil || y == nil {
		return nil
	}
	if minus {
		y.Neg(y)
	}
	return numberOf(x.Add(x, y))
}
