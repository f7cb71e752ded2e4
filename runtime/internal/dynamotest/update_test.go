package dynamotest_test

import (
	"maps"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
)

// TestUpdates compares the clauses of an update. The item has n = 1; an order that is not there has nothing.
func TestUpdates(t *testing.T) {
	two := dynamotest.Item{":two": n("2")}
	for name, c := range map[string]struct {
		update string
		values dynamotest.Item
		absent bool              // there is no item before
		want   map[string]string // of the attributes n and m; nil where the update is refused
	}{
		"set":                            {"SET m = :two", two, false, map[string]string{"n": "1", "m": "2"}},
		"set from another attribute":     {"SET m = n, n = :two", two, false, map[string]string{"n": "2", "m": "1"}},
		"sum":                            {"SET n = n + :two", two, false, map[string]string{"n": "3"}},
		"difference":                     {"SET n = n - :two", two, false, map[string]string{"n": "-1"}},
		"fraction":                       {"SET n = n + :half", dynamotest.Item{":half": n("0.5")}, false, map[string]string{"n": "1.5"}},
		"sum of what is not there":       {"SET n = m + :two", two, false, nil},
		"what is not there":              {"SET n = m", nil, false, nil},
		"if it does not exist":           {"SET m = if_not_exists(m, :two), n = if_not_exists(n, :two)", two, false, map[string]string{"n": "1", "m": "2"}},
		"counter":                        {"SET n = if_not_exists(n, :zero) + :two", dynamotest.Item{":two": n("2"), ":zero": n("0")}, true, map[string]string{"n": "2"}},
		"remove":                         {"REMOVE n, m", nil, false, map[string]string{}},
		"set and remove":                 {"SET m = n REMOVE n", nil, false, map[string]string{"m": "1"}},
		"remove and set":                 {"REMOVE n SET m = n", nil, false, map[string]string{"m": "1"}},
		"add":                            {"ADD n :two, m :two", two, false, map[string]string{"n": "3", "m": "2"}},
		"add where there is no item":     {"ADD n :two", two, true, map[string]string{"n": "2"}},
		"small letters":                  {"set m = :two", two, false, map[string]string{"n": "1", "m": "2"}},
		"remove where there is no item":  {"REMOVE n", nil, true, map[string]string{}},
		"an expression that is none":     {"PUT n = :two", two, false, nil},
		"an expression with no end":      {"SET n = ", nil, false, nil},
		"an expression with a value too": {"SET n = :two :two", two, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, db database) {
				o := id(t, "o")
				if !c.absent {
					if err := write(t, db, "", put(o, "")); err != nil {
						t.Fatal(err)
					}
				}
				err := write(t, db, "", types.TransactWriteItem{Update: &types.Update{
					TableName: aws.String(ordersTable), Key: dynamotest.Item{"orderId": s(o)}, UpdateExpression: &c.update, ExpressionAttributeValues: c.values,
				}})
				if c.want == nil {
					if err == nil {
						t.Error("the update is accepted")
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				got, item := map[string]string{}, read(t, db, o)
				for _, attribute := range []string{"n", "m"} {
					if item[attribute] != nil {
						got[attribute] = stringOf(item, attribute)
					}
				}
				if !maps.Equal(got, c.want) || stringOf(item, "orderId") != o {
					t.Errorf("the item is %v, want %v", got, c.want)
				}
			})
		})
	}
}

// TestProjections compares what a read returns.
func TestProjections(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		o := id(t, "o")
		if err := write(t, db, "", put(o, "")); err != nil {
			t.Fatal(err)
		}
		key, names := dynamotest.Item{"orderId": s(o)}, map[string]string{"#n": "n"}
		got, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(ordersTable), Key: key, ProjectionExpression: aws.String("#n, nothing"), ExpressionAttributeNames: names})
		if err != nil || len(got.Item) != 1 || stringOf(got.Item, "n") != "1" {
			t.Errorf("GetItem returns %v, %v", got, err)
		}
		missing, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(ordersTable), Key: dynamotest.Item{"orderId": s(o + "x")}, ProjectionExpression: aws.String("orderId")})
		if err != nil || missing.Item != nil {
			t.Errorf("GetItem of nothing returns %v, %v", missing, err)
		}
		all, err := db.Query(t.Context(), &dynamodb.QueryInput{
			TableName: aws.String(ordersTable), KeyConditionExpression: aws.String("orderId = :o"), ProjectionExpression: aws.String("orderId"),
			ExpressionAttributeValues: dynamotest.Item{":o": s(o)},
		})
		if err != nil || len(all.Items) != 1 || len(all.Items[0]) != 1 {
			t.Errorf("Query returns %v, %v", all, err)
		}
	})
}

func TestTheModelRefusesReadsThatItDoesNotKnow(t *testing.T) {
	db := dynamotest.New(keys)
	if err := write(t, db, "", put("o", "")); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*dynamodb.QueryInput){
		"an index":            func(in *dynamodb.QueryInput) { in.IndexName = aws.String("byCustomer") },
		"a page":              func(in *dynamodb.QueryInput) { in.Limit = aws.Int32(1) },
		"the next page":       func(in *dynamodb.QueryInput) { in.ExclusiveStartKey = dynamotest.Item{"orderId": s("o")} },
		"the other direction": func(in *dynamodb.QueryInput) { in.ScanIndexForward = aws.Bool(false) },
		"a nested attribute":  func(in *dynamodb.QueryInput) { in.ProjectionExpression = aws.String("doc.a") },
	} {
		in := &dynamodb.QueryInput{
			TableName: aws.String(ordersTable), KeyConditionExpression: aws.String("orderId = :o"), ExpressionAttributeValues: dynamotest.Item{":o": s("o")},
		}
		change(in)
		if out, err := db.Query(t.Context(), in); err == nil {
			t.Errorf("%s: it returns %v", name, out.Items)
		}
	}
}

// What the model does not know it refuses: the other side of a guess would be a test that shows nothing.
func TestTheModelDoesNotGuess(t *testing.T) {
	for name, c := range map[string]struct{ update, condition string }{
		"a nested attribute":              {"SET doc.a = :v", ""},
		"an element of a list":            {"SET l[0] = :v", ""},
		"a function of lists":             {"SET l = list_append(l, :v)", ""},
		"elements of a set":               {"DELETE tags :v", ""},
		"a set that grows":                {"ADD tags :set", ""},
		"a condition on something nested": {"SET n = :v", "doc.a = :v"},
		"the size of an attribute":        {"SET n = :v", "size(n) > :v"},
		"a type":                          {"SET n = :v", "attribute_type(n, :v)"},
		"what a text contains":            {"SET n = :v", "contains(orderId, :v)"},
	} {
		t.Run(name, func(t *testing.T) {
			update := &types.Update{
				TableName: aws.String(ordersTable), Key: dynamotest.Item{"orderId": s("o")}, UpdateExpression: &c.update,
				ExpressionAttributeValues: dynamotest.Item{":v": n("1"), ":set": &types.AttributeValueMemberSS{Value: []string{"x"}}},
			}
			if c.condition != "" {
				update.ConditionExpression = &c.condition
			}
			db := dynamotest.New(keys)
			if err := write(t, db, "", types.TransactWriteItem{Update: update}); err == nil {
				t.Errorf("it is accepted, and the item is %v", read(t, db, "o"))
			}
		})
	}
}
