package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

var dynamoDBProtocol = protocol{
	requests: (*Authority).tableRequests, targets: []string{"DynamoDB_20120810.", "DynamoDBStreams_20120810."},
	errorType: "com.amazon.coral.service#AccessDeniedException", contentType: "application/x-amz-json-1.0", status: http.StatusBadRequest,
	text: (*Denial).Error,
}

// tableKeys holds the name of the partition key of a table, under "", and of each of its indexes.
type tableKeys map[string]string

// noteTable keeps the partition keys of a table, which dynamodb:LeadingKeys needs.
func (a *Authority) noteTable(r template.Resource, name string) error {
	type schema struct {
		IndexName string
		KeySchema []struct{ AttributeName, KeyType string }
	}
	var p struct {
		schema
		GlobalSecondaryIndexes, LocalSecondaryIndexes []schema
	}
	if err := read(r, &p); err != nil {
		return err
	}
	keys := tableKeys{}
	for _, s := range slices.Concat([]schema{p.schema}, p.GlobalSecondaryIndexes, p.LocalSecondaryIndexes) {
		for _, key := range s.KeySchema {
			if key.KeyType == "HASH" {
				keys[s.IndexName] = key.AttributeName
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tables[name] = keys
	return nil
}

// An attribute is a value as DynamoDB has it: {"S": "text"}.
type attribute map[string]json.RawMessage

// text returns the value of a string, number or binary: the types of keys.
func (v attribute) text() (string, bool) {
	for _, kind := range []string{"S", "N", "B"} {
		var text string
		if json.Unmarshal(v[kind], &text) == nil && v[kind] != nil {
			return text, true
		}
	}
	return "", false
}

// A call holds the parameters of all operations that permissions depend on.
type call struct {
	TableName, IndexName, Select, ReturnValues, ReturnConsumedCapacity string
	Key, Item                                                          map[string]attribute
	AttributesToGet                                                    []string
	ProjectionExpression, KeyConditionExpression, FilterExpression     string
	UpdateExpression, ConditionExpression                              string
	ExpressionAttributeNames                                           map[string]string
	ExpressionAttributeValues                                          map[string]attribute
	KeyConditions                                                      map[string]struct{ AttributeValueList []attribute }
	QueryFilter, ScanFilter, Expected, AttributeUpdates                map[string]json.RawMessage
	Keys                                                               []map[string]attribute
	RequestItems                                                       map[string]json.RawMessage
	TransactItems                                                      []map[string]call
	StreamArn, ShardIterator, ResourceArn                              string
}

// tableRequests returns the requests of a call to DynamoDB or DynamoDB Streams: one for each item of a transaction and
// each table of a batch.
// Source: Service authorization reference, list_amazondynamodb; DynamoDB developer guide, transaction-apis-iam.
func (a *Authority) tableRequests(operation string, body []byte) ([]iam.Request, error) {
	var c call
	if err := decode(body, &c); err != nil {
		return nil, err
	}
	switch operation {
	case "ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction":
		return nil, errors.New("PartiQL is not supported; use the operations on items, or --iam=off")
	case "TransactWriteItems", "TransactGetItems":
		return a.transaction(operation, c)
	case "BatchGetItem", "BatchWriteItem":
		return a.batch(operation, c)
	case "GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan":
		return []iam.Request{a.itemRequest(operation, c)}, nil
	case "DescribeStream", "GetShardIterator":
		return []iam.Request{{Action: "dynamodb:" + operation, Resource: a.inRegion(c.StreamArn)}}, nil
	case "GetRecords":
		return []iam.Request{{Action: "dynamodb:GetRecords", Resource: a.inRegion(streamOf(c.ShardIterator))}}, nil
	}
	resource := "*"
	switch {
	case c.TableName != "" && operation != "ListStreams":
		resource = a.tableARN(c.TableName, c.IndexName)
	case c.ResourceArn != "":
		resource = c.ResourceArn
	}
	return []iam.Request{{Action: "dynamodb:" + operation, Resource: resource}}, nil
}

// iteratorStream matches the ARN of the stream in an iterator, as DynamoDB and DynamoDB Local write it.
var iteratorStream = regexp.MustCompile(`arn:aws:dynamodb:[^|]*`)

func streamOf(iterator string) string {
	if arn := iteratorStream.FindString(iterator); arn != "" {
		return arn
	}
	return "*"
}

// tableARN returns the ARN of a table that is named by its name or ARN, or of its index.
func (a *Authority) tableARN(table, index string) string {
	if !strings.HasPrefix(table, "arn:") {
		table = a.cloud.ARN("dynamodb", "table/"+table)
	}
	if index != "" {
		table += "/index/" + index
	}
	return table
}

func (a *Authority) transaction(operation string, c call) ([]iam.Request, error) {
	actions := map[string]string{"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem", "Get": "GetItem"}
	var requests []iam.Request
	for _, item := range c.TransactItems {
		for name, one := range item {
			action, known := actions[name]
			if !known {
				return nil, fmt.Errorf("%s has an unknown action %q", operation, name)
			}
			request := a.itemRequest(action, one)
			request.Context.Set("dynamodb:EnclosingOperation", operation)
			requests = append(requests, request)
		}
	}
	return requests, nil
}

func (a *Authority) batch(operation string, c call) ([]iam.Request, error) {
	var requests []iam.Request
	for _, table := range slices.Sorted(maps.Keys(c.RequestItems)) {
		var all []call
		if operation == "BatchGetItem" {
			all = make([]call, 1)
			if err := decode(c.RequestItems[table], &all[0]); err != nil {
				return nil, err
			}
		} else {
			var writes []struct{ PutRequest, DeleteRequest call }
			if err := decode(c.RequestItems[table], &writes); err != nil {
				return nil, err
			}
			for _, w := range writes {
				all = append(all, w.PutRequest, w.DeleteRequest)
			}
		}
		request := iam.Request{Action: "dynamodb:" + operation, Resource: a.tableARN(table, ""), Context: iam.Context{}}
		for _, one := range all {
			one.TableName = table
			a.addKeys(request.Context, one)
			addAttributes(request.Context, one)
		}
		requests = append(requests, request)
	}
	return requests, nil
}

// itemRequest returns the request of an operation on items, with the condition keys of DynamoDB.
// Source: DynamoDB developer guide, specifying-conditions, "Condition keys".
func (a *Authority) itemRequest(action string, c call) iam.Request {
	request := iam.Request{Action: "dynamodb:" + action, Resource: a.tableARN(c.TableName, c.IndexName), Context: iam.Context{}}
	a.addKeys(request.Context, c)
	addAttributes(request.Context, c)
	if action == "Query" || action == "Scan" {
		request.Context.Set("dynamodb:Select", c.selection())
	}
	if action == "Scan" {
		request.Context.Set("dynamodb:FullTableScan", "true")
	}
	for key, value := range map[string]string{"dynamodb:ReturnValues": c.ReturnValues, "dynamodb:ReturnConsumedCapacity": c.ReturnConsumedCapacity} {
		if value != "" {
			request.Context.Set(key, value)
		}
	}
	return request
}

// selection returns the Select parameter, or its default.
// Source: DynamoDB API reference, Query, "Select".
func (c call) selection() string {
	switch {
	case c.Select != "":
		return c.Select
	case c.ProjectionExpression != "" || c.AttributesToGet != nil:
		return "SPECIFIC_ATTRIBUTES"
	case c.IndexName != "":
		return "ALL_PROJECTED_ATTRIBUTES"
	}
	return "ALL_ATTRIBUTES"
}

// addKeys adds the partition keys of the items of a call to dynamodb:LeadingKeys.
func (a *Authority) addKeys(context iam.Context, c call) {
	a.mu.RLock()
	name := a.tables[nameOf(c.TableName)][c.IndexName]
	a.mu.RUnlock()
	if name == "" {
		return // a table that the template does not have
	}
	values := []attribute{c.Item[name], c.Key[name], c.queried(name)}
	for _, key := range c.Keys {
		values = append(values, key[name])
	}
	for _, value := range values {
		if text, ok := value.text(); ok {
			add(context, "dynamodb:leadingkeys", text)
		}
	}
}

// queried returns the value that a query asks for of an attribute, or nil.
func (c call) queried(name string) attribute {
	if list := c.KeyConditions[name].AttributeValueList; len(list) == 1 {
		return list[0]
	}
	words := expressionWords(c.KeyConditionExpression)
	for i, word := range words {
		if i+2 < len(words) && c.nameOf(word) == name && words[i+1] == "=" {
			return c.ExpressionAttributeValues[words[i+2]]
		}
	}
	return nil
}
