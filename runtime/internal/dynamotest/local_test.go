package dynamotest_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/tables"
	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
)

// The tables of every test, in the model and in DynamoDB Local.
const (
	outboxTable = "outbox"
	inboxTable  = "inbox"
	ordersTable = "orders"
)

var keys = map[string][]string{outboxTable: {"pk", "sk"}, inboxTable: {"pk"}, ordersTable: {"orderId"}}

// database is what the model and DynamoDB Local have in common.
type database interface {
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// onBoth runs a test on the model and on DynamoDB Local: what holds for one must hold for the other.
func onBoth(t *testing.T, test func(t *testing.T, db database)) {
	t.Run("model", func(t *testing.T) { test(t, dynamotest.New(keys)) })
	t.Run("DynamoDB Local", func(t *testing.T) { test(t, dynamoDBLocal(t)) })
}

var local struct {
	once    sync.Once
	cloud   *cloud.Cloud
	service *tables.Service
	err     error
}

// dynamoDBLocal is a client of DynamoDB Local, started once for all tests. Tests use keys of their own.
func dynamoDBLocal(t testing.TB) *dynamodb.Client {
	t.Helper()
	if testing.Short() {
		t.Skip("DynamoDB Local takes seconds to start")
	}
	local.once.Do(func() { local.err = startLocal() })
	if local.err != nil {
		t.Fatal(local.err)
	}
	return local.cloud.DynamoDB()
}

func startLocal() (err error) {
	ctx := context.Background()
	local.cloud = cloud.New("eu-central-1")
	dir, err := os.MkdirTemp("", "dynamotest")
	if err != nil {
		return err
	}
	if local.service, err = tables.Start(ctx, tables.Config{Cloud: local.cloud, Dir: dir}); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	localDir = dir
	for table, attributes := range keys {
		if _, err := local.cloud.DynamoDB().CreateTable(ctx, definition(table, attributes)); err != nil {
			return err
		}
	}
	return nil
}

var localDir string

func TestMain(m *testing.M) {
	code := m.Run()
	if local.service != nil {
		local.service.Close()
	}
	if err := os.RemoveAll(localDir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

func definition(table string, attributes []string) *dynamodb.CreateTableInput {
	in := &dynamodb.CreateTableInput{TableName: &table, BillingMode: types.BillingModePayPerRequest}
	for i, name := range attributes {
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: aws.String(name), AttributeType: types.ScalarAttributeTypeS})
		in.KeySchema = append(in.KeySchema, types.KeySchemaElement{AttributeName: aws.String(name), KeyType: []types.KeyType{types.KeyTypeHash, types.KeyTypeRange}[i]})
	}
	return in
}

func s(value string) types.AttributeValue { return &types.AttributeValueMemberS{Value: value} }

func n(value string) types.AttributeValue { return &types.AttributeValueMemberN{Value: value} }

// id is a key, or a request token, for this run of this test alone: tables and tokens outlive it.
func id(t testing.TB, name string) string {
	run, _ := runs.LoadOrStore(t, uuid.NewString()[:8])
	return run.(string) + "/" + name
}

var runs sync.Map // of a test's T to what makes its ids unique

func stringOf(item dynamotest.Item, name string) string {
	switch v := item[name].(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}

func read(t testing.TB, db database, orderID string) dynamotest.Item {
	t.Helper()
	out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: aws.String(ordersTable), Key: dynamotest.Item{"orderId": s(orderID)}, ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Item
}

func write(t testing.TB, db database, token string, items ...types.TransactWriteItem) error {
	t.Helper()
	in := &dynamodb.TransactWriteItemsInput{TransactItems: items}
	if token != "" {
		in.ClientRequestToken = &token
	}
	_, err := db.TransactWriteItems(t.Context(), in)
	return err
}

func put(orderID, condition string) types.TransactWriteItem {
	p := &types.Put{TableName: aws.String(ordersTable), Item: dynamotest.Item{
		"orderId": s(orderID), "n": n("1"),
		"parts": &types.AttributeValueMemberL{Value: []types.AttributeValue{s("a"), n("1")}}, "doc": &types.AttributeValueMemberM{Value: dynamotest.Item{"a": s("1")}},
	}}
	if condition != "" {
		p.ConditionExpression = &condition
	}
	return types.TransactWriteItem{Put: p}
}

func increment(orderID string) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{
		TableName: aws.String(ordersTable), Key: dynamotest.Item{"orderId": s(orderID)},
		UpdateExpression: aws.String("SET n = n + :one"), ExpressionAttributeValues: dynamotest.Item{":one": n("1")},
	}}
}

// codes are a cancellation's, or nil for any other error.
func codes(err error) []string {
	var canceled *types.TransactionCanceledException
	if !errors.As(err, &canceled) {
		return nil
	}
	var found []string
	for _, r := range canceled.CancellationReasons {
		found = append(found, aws.ToString(r.Code))
	}
	return found
}

func TestTokenOfACommittedTransactionIsAnsweredWithSuccess(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		o, token := id(t, "o"), id(t, "replay")
		if err := write(t, db, "", put(o, "")); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := write(t, db, token, increment(o)); err != nil {
				t.Fatal(err)
			}
		}
		if got := stringOf(read(t, db, o), "n"); got != "2" {
			t.Errorf("n = %s after one transaction sent three times, want 2", got)
		}
	})
}

// Even when the transaction's own condition would no longer hold.
func TestReplayDoesNotLookAtConditions(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		o := id(t, "o")
		for range 2 {
			if err := write(t, db, id(t, "once"), put(o, "attribute_not_exists(orderId)")); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestTokenOfACancelledTransactionIsNotRemembered(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		o, token := id(t, "o"), id(t, "cancelled")
		needsOrder := put(o, "attribute_exists(orderId)")
		if err := write(t, db, token, needsOrder); !slices.Equal(codes(err), []string{"ConditionalCheckFailed"}) {
			t.Fatalf("got %v", err)
		}
		if err := write(t, db, "", put(o, "")); err != nil {
			t.Fatal(err)
		}
		if err := write(t, db, token, needsOrder); err != nil {
			t.Errorf("the same request, now that its condition holds: %v", err)
		}
	})
}

func TestTokenForOtherParametersIsAMismatch(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		token := id(t, "mismatch")
		if err := write(t, db, token, put(id(t, "o"), "")); err != nil {
			t.Fatal(err)
		}
		var mismatch *types.IdempotentParameterMismatchException
		if err := write(t, db, token, put(id(t, "other"), "")); !errors.As(err, &mismatch) {
			t.Errorf("got %v, want IdempotentParameterMismatchException", err)
		}
	})
}

func TestReasonsAreInTheOrderOfTheActions(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		there, missing := id(t, "there"), id(t, "missing")
		if err := write(t, db, "", put(there, "")); err != nil {
			t.Fatal(err)
		}
		err := write(t, db, "",
			put(id(t, "new"), ""),
			put(there, "attribute_not_exists(orderId)"),
			types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: aws.String(ordersTable), Key: dynamotest.Item{"orderId": s(missing)}, ConditionExpression: aws.String("attribute_exists(orderId)")}},
		)
		if want := []string{"None", "ConditionalCheckFailed", "ConditionalCheckFailed"}; !slices.Equal(codes(err), want) {
			t.Errorf("reasons %v, want %v (%v)", codes(err), want, err)
		}
		if item := read(t, db, id(t, "new")); item != nil {
			t.Errorf("a cancelled transaction wrote %v", item)
		}
	})
}

func TestOldItemComesWhenAskedFor(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		o := id(t, "o")
		if err := write(t, db, "", put(o, "")); err != nil {
			t.Fatal(err)
		}
		silent, telling := put(o, "attribute_not_exists(orderId)"), put(o, "attribute_not_exists(orderId)")
		telling.Put.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
		absent := put(id(t, "absent"), "attribute_exists(orderId)")
		absent.Put.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
		for _, tt := range []struct {
			item types.TransactWriteItem
			want string
		}{{silent, ""}, {telling, "1"}, {absent, ""}} {
			var canceled *types.TransactionCanceledException
			if err := write(t, db, "", tt.item); !errors.As(err, &canceled) {
				t.Fatalf("got %v", err)
			}
			if got := stringOf(canceled.CancellationReasons[0].Item, "n"); got != tt.want {
				t.Errorf("old item's n is %q, want %q", got, tt.want)
			}
		}
	})
}

func TestOneActionAnItem(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		if err := write(t, db, "", put(id(t, "o"), ""), put(id(t, "o"), "")); err == nil || codes(err) != nil {
			t.Errorf("got %v, want a validation error", err)
		}
	})
}

func TestConditionsAndUpdates(t *testing.T) {
	tests := map[string]struct {
		condition string
		want      bool
	}{
		"exists":                  {"attribute_exists(n)", true},
		"not exists":              {"attribute_not_exists(n)", false},
		"equal numbers":           {"n = :one", true},
		"missing is not equal":    {"m = :one", false},
		"missing is not less":     {"m < :one", false},
		"less":                    {"n < :two", true},
		"not less than itself":    {"n < :one", false},
		"or":                      {"attribute_not_exists(orderId) OR n < :two", true},
		"and binds before or":     {"n = :one OR n = :two AND n = :two", true},
		"parentheses":             {"(n = :one OR n = :two) AND n = :two", false},
		"not":                     {"NOT n = :two", true},
		"missing or not yet over": {"attribute_not_exists(orderId) OR m < :two", false},
		"between":                 {"n BETWEEN :one AND :two", true},
		"missing is not between":  {"m BETWEEN :one AND :two", false},
		"between and more":        {"n BETWEEN :one AND :two AND n = :two", false},
		"in":                      {"n IN (:two, :one)", true},
		"missing is not in":       {"m IN (:two, :one)", false},
		"begins with":             {"begins_with(orderId, :prefix)", true},
		"a number begins nothing": {"begins_with(n, :prefix)", false},
		"texts in order":          {"orderId > :prefix", true},
		"a text and a number":     {"orderId > :one", false},
		"missing is unequal":      {"m <> :one", true},
		"lists are equal":         {"parts = :list", true},
		"maps are unequal":        {"doc = :doc", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, db database) {
				o := id(t, "o")
				if err := write(t, db, "", put(o, "")); err != nil {
					t.Fatal(err)
				}
				item := increment(o)
				item.Update.ConditionExpression = &tt.condition
				item.Update.UpdateExpression = aws.String("SET n = n + :one, seen = :two")
				values := item.Update.ExpressionAttributeValues
				values[":two"] = n("2")
				if strings.Contains(tt.condition, ":prefix") {
					values[":prefix"] = s(o[:3])
				}
				if strings.Contains(tt.condition, ":list") {
					values[":list"] = &types.AttributeValueMemberL{Value: []types.AttributeValue{s("a"), n("1.0")}}
				}
				if strings.Contains(tt.condition, ":doc") {
					values[":doc"] = &types.AttributeValueMemberM{Value: dynamotest.Item{"a": s("2")}}
				}
				err := write(t, db, "", item)
				if holds := err == nil; holds != tt.want {
					t.Fatalf("condition holds: %v, want %v (%v)", holds, tt.want, err)
				}
				want := "1"
				if tt.want {
					want = "2"
				}
				if got := stringOf(read(t, db, o), "n"); got != want {
					t.Errorf("n = %s, want %s", got, want)
				}
			})
		})
	}
}
