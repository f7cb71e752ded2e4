package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// The operations on data. Faults hit these; they spare the operations that set up tables and read streams.
var (
	writesOne   = map[string]bool{"PutItem": true, "UpdateItem": true, "DeleteItem": true}
	transaction = map[string]bool{"TransactWriteItems": true, "TransactGetItems": true}
	otherData   = map[string]bool{"GetItem": true, "Query": true, "Scan": true, "BatchGetItem": true, "BatchWriteItem": true}
)

// A dynamoDB injects faults in front of the endpoint of DynamoDB.
type dynamoDB struct {
	*Injector
	cloud *cloud.Cloud
	next  http.Handler

	mu   sync.Mutex
	keys map[string][]string // the names of the key attributes, by table
}

// DynamoDB returns a function that injects the faults of DynamoDB in front of its endpoint, which c must have.
func (i *Injector) DynamoDB(c *cloud.Cloud) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return &dynamoDB{Injector: i, cloud: c, next: next, keys: map[string][]string{}}
	}
}

func (d *dynamoDB) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	action, isData := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810.")
	isData = isData && (writesOne[action] || transaction[action] || otherData[action])
	if !isData || d.isIdle() {
		d.next.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client went away
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	request := parseRequest(body)
	s := d.subject(r.Context(), action, request)
	switch {
	case d.fires(DynamoDBThrottle, s):
		d.throttle(w, s)
	case (writesOne[action] || transaction[action]) && d.fires(DynamoDBConflict, s):
		conflict(w, action, len(request.TransactItems))
	case d.fires(DynamoDBErrorBefore, s):
		serverError(w)
	case d.fires(DynamoDBErrorAfter, s):
		runToEnd(d.next, r)
		serverError(w)
	case d.fires(DynamoDBTimeoutAfter, s):
		runToEnd(d.next, r)
		d.dropConnection(r.Context())
	default:
		d.next.ServeHTTP(w, r)
	}
}

// throttle refuses the request with one of the two errors that DynamoDB has for it.
func (d *dynamoDB) throttle(w http.ResponseWriter, s subject) {
	if d.pick(DynamoDBThrottle, s, 2) == 0 {
		refuse(w, http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
			"The level of configured provisioned throughput for the table was exceeded.", nil)
		return
	}
	refuse(w, http.StatusBadRequest, "com.amazon.coral.availability#ThrottlingException", "Rate of requests exceeds the allowed throughput.", nil)
}

// conflict refuses the request as if a transaction in progress had changed an item. A transaction is canceled,
// with its first item as the reason. Source: DynamoDB developer guide, transaction-apis, "Transaction conflict handling".
func conflict(w http.ResponseWriter, action string, items int) {
	if !transaction[action] {
		refuse(w, http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#TransactionConflictException", "Transaction is ongoing for the item", nil)
		return
	}
	reasons := make([]map[string]string, items)
	codes := make([]string, items)
	for i := range reasons {
		codes[i] = "None"
		if i == 0 {
			codes[i] = "TransactionConflict"
		}
		reasons[i] = map[string]string{"Code": codes[i]}
	}
	message := fmt.Sprintf("Transaction cancelled, please refer cancellation reasons for specific reasons [%s]", strings.Join(codes, ", "))
	refuse(w, http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", message, reasons)
}

func serverError(w http.ResponseWriter) {
	refuse(w, http.StatusInternalServerError, "com.amazonaws.dynamodb.v20120810#InternalServerError", "The request processing has failed because of an unknown error.", nil)
}

func refuse(w http.ResponseWriter, status int, kind, message string, reasons []map[string]string) {
	answer := map[string]any{"__type": kind, "message": message}
	if reasons != nil {
		// The Message of a canceled transaction has a capital letter, on AWS too.
		delete(answer, "message")
		answer["Message"], answer["CancellationReasons"] = message, reasons
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// An itemRequest holds the fields of a request that name an item.
type itemRequest struct {
	TableName                 string
	Item                      map[string]any
	Key                       map[string]any
	ExpressionAttributeValues map[string]any
}

type dataRequest struct {
	itemRequest
	TransactItems []map[string]itemRequest
}

func parseRequest(body []byte) dataRequest {
	var request dataRequest
	_ = json.Unmarshal(body, &request) // DynamoDB reports what is wrong with it
	return request
}

// items returns the items of a request, in their order.
func (r dataRequest) items() []itemRequest {
	if len(r.TransactItems) == 0 {
		return []itemRequest{r.itemRequest}
	}
	var items []itemRequest
	for _, action := range r.TransactItems {
		for _, item := range action {
			items = append(items, item)
		}
	}
	return items
}

// subject returns the subject of a request, named by its action and the keys of its items.
func (d *dynamoDB) subject(ctx context.Context, action string, request dataRequest) subject {
	var s subject
	words := []string{action}
	for _, item := range request.items() {
		d.names.inItem(item.Item) // stores its name if it is an event
		for _, attributes := range []map[string]any{item.Item, item.Key} {
			e := d.names.mentionedEvents(attributes)
			s.events, s.ids = append(s.events, e.events...), append(s.ids, e.ids...)
		}
		words = append(words, d.keyValues(ctx, item)...)
	}
	s.key = d.names.replaceUnstableIDs(strings.Join(words, " "))
	return s
}

// keyValues returns the values of an item's key, or of a query's expression.
func (d *dynamoDB) keyValues(ctx context.Context, item itemRequest) []string {
	key := item.Key
	if item.Item != nil {
		key = map[string]any{}
		for _, attribute := range d.keyAttributes(ctx, item.TableName) {
			key[attribute] = item.Item[attribute]
		}
	}
	if key == nil {
		key = item.ExpressionAttributeValues
	}
	var words []string
	for _, attribute := range slices.Sorted(maps.Keys(key)) {
		value, _ := key[attribute].(map[string]any)
		for _, content := range value {
			words = append(words, fmt.Sprint(content))
		}
	}
	return words
}

// keyAttributes returns the names of a table's key attributes, or nil when DynamoDB does not describe the table.
func (d *dynamoDB) keyAttributes(ctx context.Context, table string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if known := d.keys[table]; known != nil || table == "" {
		return known
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	out, err := d.cloud.DynamoDB().DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
	if err != nil {
		return nil
	}
	for _, element := range out.Table.KeySchema {
		d.keys[table] = append(d.keys[table], aws.ToString(element.AttributeName))
	}
	return d.keys[table]
}
