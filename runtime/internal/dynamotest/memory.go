// Package dynamotest models DynamoDB's transactions in memory, for tests: what TransactWriteItems
// and GetItem promise, and the faults that a client must expect of them. What the model assumes is
// checked against DynamoDB Local in this package's tests. Package inboxtest makes it public, as far as a consumer's tests need it.
package dynamotest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Item is a stored item.
type Item = map[string]types.AttributeValue

// DB holds tables. Its methods may be called concurrently; each call is atomic.
type DB struct {
	mu     sync.Mutex
	keys   map[string][]string        // key attributes by table
	tables map[string]map[string]Item // items by table and key
	tokens map[string]string          // parameters of the committed transactions by token
	log    []*dynamodb.TransactWriteItemsInput
}

// New returns a database without items. It maps each table's name to its key attributes.
func New(keys map[string][]string) *DB {
	db := &DB{keys: keys, tables: map[string]map[string]Item{}, tokens: map[string]string{}}
	for table := range keys {
		db.tables[table] = map[string]Item{}
	}
	return db
}

// Items returns the items of a table, ordered by key.
func (db *DB) Items(table string) []Item {
	db.mu.Lock()
	defer db.mu.Unlock()
	var items []Item
	for _, key := range slices.Sorted(maps.Keys(db.tables[table])) {
		items = append(items, maps.Clone(db.tables[table][key]))
	}
	return items
}

// Committed returns the transactions that took effect, in order.
func (db *DB) Committed() []*dynamodb.TransactWriteItemsInput {
	db.mu.Lock()
	defer db.mu.Unlock()
	return slices.Clone(db.log)
}

// GetItem implements the call of that name, always consistently.
func (db *DB) GetItem(_ context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	table, err := db.table(in.TableName)
	if err != nil {
		return nil, err
	}
	item, ok := table[db.key(*in.TableName, in.Key)]
	if !ok {
		return &dynamodb.GetItemOutput{}, nil
	}
	projected, err := project(item, aws.ToString(in.ProjectionExpression), in.ExpressionAttributeNames)
	return &dynamodb.GetItemOutput{Item: projected}, err
}

// Query implements the call of that name, always consistently, in one page and in the order of the keys as texts. Indexes,
// pages and the other direction are refused.
func (db *DB) Query(_ context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	table, err := db.table(in.TableName)
	if err != nil {
		return nil, err
	}
	if in.IndexName != nil || in.Limit != nil || in.ExclusiveStartKey != nil || in.ScanIndexForward != nil && !*in.ScanIndexForward {
		return nil, validation("the model knows neither IndexName, Limit, ExclusiveStartKey nor ScanIndexForward false")
	}
	out := &dynamodb.QueryOutput{}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		item := table[key]
		scope := scope{item, in.ExpressionAttributeNames, in.ExpressionAttributeValues}
		matches := true
		for _, expression := range []*string{in.KeyConditionExpression, in.FilterExpression} {
			holds, err := evaluate(aws.ToString(expression), scope)
			if err != nil {
				return nil, err
			}
			matches = matches && holds
		}
		if !matches {
			continue
		}
		projected, err := project(item, aws.ToString(in.ProjectionExpression), in.ExpressionAttributeNames)
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, projected)
	}
	return out, nil
}

// project returns the attributes of an item that a projection names, all where there is none.
func project(item Item, projection string, names map[string]string) (Item, error) {
	if projection == "" {
		return maps.Clone(item), nil
	}
	p := newParser(projection, scope{names: names})
	projected := Item{}
	for more := true; more; more = p.accept(",") {
		name := p.scope.name(p.next())
		if value, ok := item[name]; ok {
			projected[name] = value
		}
	}
	if p.wrong || p.next() != "" {
		return nil, validation("the model does not know the projection %q", projection)
	}
	return projected, nil
}

// TransactWriteItems implements the call of that name.
func (db *DB) TransactWriteItems(_ context.Context, in *dynamodb.TransactWriteItemsInput, _ ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	token, parameters := aws.ToString(in.ClientRequestToken), parametersOf(in)
	if earlier, ok := db.tokens[token]; ok && token != "" {
		if earlier != parameters {
			return nil, &types.IdempotentParameterMismatchException{Message: aws.String("token reused")}
		}
		return &dynamodb.TransactWriteItemsOutput{}, nil
	}
	writes, err := db.plan(in.TransactItems)
	if err != nil {
		return nil, err
	}
	for _, write := range writes {
		write()
	}
	db.tokens[token] = parameters
	db.log = append(db.log, in)
	return &dynamodb.TransactWriteItemsOutput{}, nil
}

// plan evaluates every condition and returns what to do when all of them hold.
func (db *DB) plan(items []types.TransactWriteItem) ([]func(), error) {
	if len(items) == 0 || len(items) > 100 {
		return nil, validation("between 1 and 100 actions are needed, not %d", len(items))
	}
	var writes []func()
	seen := map[string]bool{}
	reasons := make([]types.CancellationReason, len(items))
	failed := false
	for i, item := range items {
		a, err := actionOf(item)
		if err != nil {
			return nil, err
		}
		table, err := db.table(a.table)
		if err != nil {
			return nil, err
		}
		key := db.key(*a.table, a.item)
		if seen[*a.table+key] {
			return nil, validation("Transaction request cannot include multiple operations on one item")
		}
		seen[*a.table+key] = true

		old := table[key]
		reasons[i].Code = aws.String("None")
		holds, err := evaluate(aws.ToString(a.condition), scope{old, a.names, a.values})
		if err != nil {
			return nil, err
		}
		if !holds {
			failed = true
			reasons[i] = types.CancellationReason{Code: aws.String("ConditionalCheckFailed"), Message: aws.String("The conditional request failed")}
			if a.wantsOld {
				reasons[i].Item = maps.Clone(old)
			}
			continue
		}
		changed, err := a.apply(old)
		if err != nil {
			return nil, err
		}
		writes = append(writes, func() {
			if changed == nil {
				delete(table, key)
			} else {
				table[key] = changed
			}
		})
	}
	if failed {
		return nil, Canceled(reasons...)
	}
	return writes, nil
}

func (db *DB) table(name *string) (map[string]Item, error) {
	table, ok := db.tables[aws.ToString(name)]
	if !ok {
		return nil, &types.ResourceNotFoundException{Message: aws.String("no table " + aws.ToString(name))}
	}
	return table, nil
}

func (db *DB) key(table string, item Item) string {
	var b strings.Builder
	for _, name := range db.keys[table] {
		fmt.Fprintf(&b, "%s|", text(item[name]))
	}
	return b.String()
}

// parametersOf returns a text that is equal for equal requests. JSON-like formatting of maps is ordered by key.
func parametersOf(in *dynamodb.TransactWriteItemsInput) string {
	var b strings.Builder
	for _, item := range in.TransactItems {
		if a, err := actionOf(item); err == nil {
			fmt.Fprintf(&b, "%s %s %s %s %s %v %s;", a.kind, *a.table, render(a.item), aws.ToString(a.condition), aws.ToString(a.update), a.names, render(a.values))
		}
	}
	return b.String()
}

func render(item Item) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(item)) {
		fmt.Fprintf(&b, "%s=%q,", name, text(item[name]))
	}
	return b.String()
}

// Canceled returns the error of a transaction that was canceled for these reasons.
func Canceled(reasons ...types.CancellationReason) error {
	return &types.TransactionCanceledException{Message: aws.String("Transaction cancelled"), CancellationReasons: reasons}
}
