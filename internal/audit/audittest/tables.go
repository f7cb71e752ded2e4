// Package audittest provides stand-ins for DynamoDB, SQS and SSM that count what is asked of them. They do what the audit uses, by
// the clock of the test, and panic at anything else: expressions that they do not know are tested with DynamoDB Local.
package audittest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// An Item is an item of a table.
type Item = map[string]types.AttributeValue

// Calls decides about each request before it is answered, and after: a test lets requests fail, and counts them.
type Calls struct {
	mu     sync.Mutex
	counts map[string]int
	// Before returns the error of a request, which then has no effect. After returns the error with which a request is answered
	// that had one. Both may be nil.
	Before, After func(name string) error
	// Takes is how long each request takes.
	Takes time.Duration
}

// Count returns how many requests of a name were made.
func (c *Calls) Count(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[name]
}

// do makes a request.
func (c *Calls) do(name string, request func()) error {
	time.Sleep(c.Takes)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[name]++
	if c.Before != nil {
		if err := c.Before(name); err != nil {
			return err
		}
	}
	request()
	if c.After != nil {
		return c.After(name)
	}
	return nil
}

// Tables are tables in memory, each with the partition key "pk" and, where items have one, the sort key "sk".
type Tables struct {
	*Calls
	items map[string]map[string]Item // by table and key

	// ReadUnits and WriteUnits are what the requests cost, by DynamoDB's rules for reads that are eventually consistent or not.
	ReadUnits, WriteUnits float64
	// Gone is a table that does not exist.
	Gone string
	// Unprocessed makes BatchGetItem leave the keys behind the first so many for another time.
	Unprocessed int
}

// NewTables returns tables that are empty.
func NewTables(calls *Calls) *Tables {
	return &Tables{Calls: calls, items: map[string]map[string]Item{}}
}

// Put puts an item without a request.
func (t *Tables) Put(table string, item Item) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.put(table, item)
}

func (t *Tables) put(table string, item Item) {
	if t.items[table] == nil {
		t.items[table] = map[string]Item{}
	}
	t.items[table][key(item)] = item
}

// Delete deletes an item without a request.
func (t *Tables) Delete(table string, item Item) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.items[table], key(item))
}

// Items returns the items of a table whose partition key begins with the prefix, by their keys.
func (t *Tables) Items(table, prefix string) []Item {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sorted(table, func(item Item) bool { return strings.HasPrefix(Text(item, "pk"), prefix) })
}

func (t *Tables) sorted(table string, is func(Item) bool) []Item {
	var keys []string
	for k, item := range t.items[table] {
		if is(item) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var found []Item
	for _, k := range keys {
		found = append(found, t.items[table][k])
	}
	return found
}

func key(item Item) string { return Text(item, "pk") + "\x00" + Text(item, "sk") }

// Text returns a string or number of an item.
func Text(item Item, name string) string {
	switch v := item[name].(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}

// size returns about how many bytes an item has.
func size(item Item) int {
	n := 0
	for name := range item {
		n += len(name) + len(Text(item, name))
	}
	return n
}

func (t *Tables) read(bytes int, consistent *bool) {
	units := float64(max(1, (bytes+4095)/4096))
	if !aws.ToBool(consistent) {
		units /= 2
	}
	t.ReadUnits += units
}

// BatchGetItem refuses what DynamoDB refuses: more than 100 keys, and one key twice.
func (t *Tables) BatchGetItem(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}, UnprocessedKeys: map[string]types.KeysAndAttributes{}}
	var refused error
	err := t.do("BatchGetItem", func() {
		n := 0
		for table, request := range in.RequestItems {
			if table == t.Gone {
				refused = &types.ResourceNotFoundException{}
				return
			}
			seen := map[string]bool{}
			for _, k := range request.Keys {
				if n++; seen[key(k)] || n > 100 {
					refused = fmt.Errorf("ValidationException: key %q is there twice or is number %d", key(k), n)
					return
				}
				seen[key(k)] = true
				if t.Unprocessed > 0 && n > t.Unprocessed {
					left := out.UnprocessedKeys[table]
					left.ProjectionExpression, left.ExpressionAttributeNames, left.ConsistentRead = request.ProjectionExpression, request.ExpressionAttributeNames, request.ConsistentRead
					left.Keys = append(left.Keys, k)
					out.UnprocessedKeys[table] = left
					continue
				}
				item, ok := t.items[table][key(k)]
				t.read(size(item), request.ConsistentRead)
				if ok {
					out.Responses[table] = append(out.Responses[table], item)
				}
			}
		}
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetItem returns an item.
func (t *Tables) GetItem(_ context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	out := &dynamodb.GetItemOutput{}
	err := t.do("GetItem", func() {
		out.Item = t.items[*in.TableName][key(in.Key)]
		t.read(size(out.Item), in.ConsistentRead)
	})
	return out, err
}

// Query returns the items of one partition, in the order of their sort keys, up to the limit.
func (t *Tables) Query(_ context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	if *in.KeyConditionExpression != "#pk = :consumer" {
		panic("audittest: Query: " + *in.KeyConditionExpression)
	}
	out := &dynamodb.QueryOutput{}
	err := t.do("Query", func() {
		pk := in.ExpressionAttributeValues[":consumer"].(*types.AttributeValueMemberS).Value
		bytes := 0
		for _, item := range t.sorted(*in.TableName, func(item Item) bool {
			return Text(item, "pk") == pk && (in.ExclusiveStartKey == nil || Text(item, "sk") > Text(in.ExclusiveStartKey, "sk"))
		}) {
			if in.Limit != nil && len(out.Items) == int(*in.Limit) || bytes > 1<<20 {
				last := out.Items[len(out.Items)-1]
				out.LastEvaluatedKey = Item{"pk": last["pk"], "sk": last["sk"]}
				break
			}
			bytes += size(item)
			out.Items = append(out.Items, item)
		}
		t.read(bytes, in.ConsistentRead)
	})
	return out, err
}

// PutItem puts an item where its condition holds.
func (t *Tables) PutItem(_ context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	holds := true
	err := t.do("PutItem", func() {
		old := t.items[*in.TableName][key(in.Item)]
		holds = condition{old, in.ExpressionAttributeNames, in.ExpressionAttributeValues}.holds(aws.ToString(in.ConditionExpression))
		t.WriteUnits += float64((size(in.Item) + 1023) / 1024)
		if holds {
			t.put(*in.TableName, in.Item)
		}
	})
	if err == nil && !holds {
		err = &types.ConditionalCheckFailedException{}
	}
	return &dynamodb.PutItemOutput{}, err
}

// DeleteItem deletes an item.
func (t *Tables) DeleteItem(_ context.Context, in *dynamodb.DeleteItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error) {
	return &dynamodb.DeleteItemOutput{}, t.do("DeleteItem", func() {
		t.WriteUnits += float64(max(1, (size(t.items[*in.TableName][key(in.Key)])+1023)/1024))
		delete(t.items[*in.TableName], key(in.Key))
	})
}

// DescribeTable counts a table's items and bytes.
func (t *Tables) DescribeTable(_ context.Context, in *dynamodb.DescribeTableInput, _ ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error) {
	var items, bytes int64
	err := t.do("DescribeTable", func() {
		for _, item := range t.items[*in.TableName] {
			items++
			bytes += int64(size(item))
		}
	})
	return &dynamodb.DescribeTableOutput{Table: &types.TableDescription{ItemCount: &items, TableSizeBytes: &bytes}}, err
}

// Scan returns the events of one source.
func (t *Tables) Scan(_ context.Context, in *dynamodb.ScanInput, _ ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	if *in.FilterExpression != "#type = :event AND #source = :source" {
		panic("audittest: Scan: " + *in.FilterExpression)
	}
	out := &dynamodb.ScanOutput{}
	err := t.do("Scan", func() {
		bytes := 0
		for _, item := range t.sorted(*in.TableName, func(item Item) bool {
			return in.ExclusiveStartKey == nil || key(item) > key(in.ExclusiveStartKey)
		}) {
			if bytes += size(item); bytes > 1<<20 {
				break
			}
			out.LastEvaluatedKey = Item{"pk": item["pk"], "sk": item["sk"]}
			if Text(item, "recordType") == Text(in.ExpressionAttributeValues, ":event") && Text(item, "source") == Text(in.ExpressionAttributeValues, ":source") {
				out.Items = append(out.Items, item)
			}
		}
		if bytes <= 1<<20 {
			out.LastEvaluatedKey = nil
		}
		t.read(bytes, in.ConsistentRead)
	})
	return out, err
}
