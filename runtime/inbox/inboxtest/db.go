package inboxtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// The names of the inbox and the outbox table, which every DB has.
const (
	InboxTable  = "inbox"
	OutboxTable = "outbox"
)

// A DB is DynamoDB in memory. Its methods may be called from many goroutines. Those that only a test calls panic where the
// test is wrong, for example about a table that is not there.
type DB struct {
	memory *dynamotest.DB
	conn   *dynamotest.Conn
	tables []string

	mu     sync.Mutex
	faults []Fault
}

var _ inbox.DynamoDB = (*DB)(nil)

// NewDB returns a DB without items. It has the tables of the inbox and the outbox, and those that it maps to the names of
// their key attributes. It panics for a table without a key, or with one of the two names that are taken.
func NewDB(keys map[string][]string) *DB {
	all := map[string][]string{InboxTable: {record.AttrPK}, OutboxTable: {record.AttrPK, record.AttrSK}}
	for table, key := range keys {
		if all[table] != nil {
			panic(fmt.Sprintf("inboxtest: the table %s is there already", table))
		}
		if len(key) == 0 {
			panic(fmt.Sprintf("inboxtest: the table %s must have a key", table))
		}
		all[table] = key
	}
	db := &DB{memory: dynamotest.New(all)}
	for table := range all {
		db.tables = append(db.tables, table)
	}
	db.conn = db.memory.Connect(db.next, func() {})
	return db
}

// Put puts an item into a table, in place of the one with its key: what the consumer finds. Its values are those that
// attributevalue.MarshalMap takes.
func (db *DB) Put(table string, item map[string]any) {
	db.mustHave(table)
	marshaled, err := attributevalue.MarshalMap(item)
	if err == nil {
		_, err = db.memory.TransactWriteItems(context.Background(), &dynamodb.TransactWriteItemsInput{
			TransactItems: []types.TransactWriteItem{{Put: &types.Put{TableName: &table, Item: marshaled}}},
		})
	}
	if err != nil {
		panic(fmt.Sprintf("inboxtest: put into %s: %v", table, err))
	}
}

// Items returns the items of a table, ordered by key, as plain values: numbers as float64, as encoding/json has them.
func (db *DB) Items(table string) []map[string]any {
	db.mustHave(table)
	items := []map[string]any{}
	for _, item := range db.memory.Items(table) {
		var plain map[string]any
		if err := attributevalue.UnmarshalMap(item, &plain); err != nil {
			panic(fmt.Sprintf("inboxtest: item of %s: %v", table, err))
		}
		items = append(items, plain)
	}
	return items
}

// Events returns the events that were appended to the outbox, in the order of the transactions, as another consumer
// receives them.
func (db *DB) Events() []record.Event {
	var appended []record.Event
	for _, transaction := range db.memory.Committed() {
		for _, action := range transaction.TransactItems {
			if action.Put != nil && aws.ToString(action.Put.TableName) == OutboxTable {
				appended = append(appended, decode(action.Put.Item))
			}
		}
	}
	return appended
}

func decode(item map[string]types.AttributeValue) record.Event {
	event, err := record.Decode([]byte(encode(item)))
	if err != nil {
		panic(fmt.Sprintf("inboxtest: item of %s: %v", OutboxTable, err))
	}
	return event
}

// encode returns the envelope of an outbox item.
func encode(item map[string]types.AttributeValue) string {
	envelope, err := record.Encode(item)
	if err != nil {
		panic(fmt.Sprintf("inboxtest: %v", err))
	}
	body, err := json.Marshal(envelope)
	if err != nil {
		panic(fmt.Sprintf("inboxtest: %v", err))
	}
	return string(body)
}

func (db *DB) mustHave(table string) {
	if !slices.Contains(db.tables, table) {
		slices.Sort(db.tables)
		panic(fmt.Sprintf("inboxtest: the table must be one of %v, got %q", db.tables, table))
	}
}

// GetItem implements the call of that name.
func (db *DB) GetItem(ctx context.Context, in *dynamodb.GetItemInput, options ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return db.conn.GetItem(ctx, in, options...)
}

// Query implements the call of that name.
func (db *DB) Query(ctx context.Context, in *dynamodb.QueryInput, options ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return db.conn.Query(ctx, in, options...)
}

// TransactWriteItems implements the call of that name. It suffers the faults of [DB.Inject].
func (db *DB) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, options ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	return db.conn.TransactWriteItems(ctx, in, options...)
}
