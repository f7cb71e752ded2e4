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

// Operations on data, which may fail, as those that set up tables and read streams do not.
var (
	writesOne   = map[string]bool{"PutItem": true, "UpdateItem": true, "DeleteItem": true}
	transaction = map[string]bool{"TransactWriteItems": true, "TransactGetItems": true}
	otherData   = map[string]bool{"GetItem": true, "Query": true, "Scan": true, "BatchGetItem": true, "BatchWriteItem": true}
)

// dynamoDB breaks the endpoint of DynamoDB.
type dynamoDB struct {
	*Injector
	cloud *cloud.Cloud
	next  http.Handler

	mu   sync.Mutex
	keys map[string][]string // the key attributes of a table
}

// DynamoDB puts the faults of DynamoDB in front of its endpoint, which c must know.
func (i *Injector) DynamoDB(c *cloud.Cloud) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return &dynamoDB{Injector: i, cloud: c, next: next, keys: map[string][]string{}}
	}
}

func (d *dynamoDB) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	action, isData := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810.")
	isData = isData && (writesOne[action] || transaction[action] || otherData[action])
	if !isData || d.isHealed() {
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
		execute(d.next, r)
		serverError(w)
	case d.fires(DynamoDBTimeoutAfter, s):
		execute(d.next, r)
		d.cut(r.Context())
	default:
		d.next.ServeHTTP(w, r)
	}
}

// throttle refuses in one of the two ways that DynamoDB has.
func (d *dynamoDB) throttle(w http.ResponseWriter, s subject) {
	if d.pick(DynamoDBThrottle, s, 2) == 0 {
		refuse(w, http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
			"The level of configured provisioned throughput for the table was exceeded.", nil)
		return
	}
	refuse(w, http.StatusBadRequest, "com.amazon.coral.availability#ThrottlingException", "Rate of requests exceeds the allowed throughput.", nil)
}

// conflict refuses what meets a transaction in progress. A transaction is cancelled, for the sake of its
// first item. Source: DynamoDB developer guide, transaction-apis, "Transaction conflict handling".
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
		// The Message of a cancelled transaction has a capital letter, on AWS too.
		delete(answer, "message")
		answer["Message"], answer["CancellationReasons"] = message, reasons
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// itemRequest is what names an item in a request.
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
	_ = json.Unmarshal(body, &request) // DynamoDB says what is wrong with it
	return request
}

// items are the items of a request, in their order.
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

// subject names a request by its action and the keys of its items.
func (d *dynamoDB) subject(ctx context.Context, action string, request dataRequest) subject {
	var s subject
	words := []string{action}
	for _, item := range request.items() {
		d.names.inItem(item.Item) // learn its name, if it is an event
		for _, attributes := range []map[string]any{item.Item, item.Key} {
			e := d.names.mentioned(attributes)
			s.events, s.ids = append(s.events, e.events...), append(s.ids, e.ids...)
		}
		words = append(words, d.nameOf(ctx, item)...)
	}
	s.key = d.names.stable(strings.Join(words, " "))
	return s
}

// nameOf are the values of an item's key, or of a query.
func (d *dynamoDB) nameOf(ctx context.Context, item itemRequest) []string {
	key := item.Key
	if item.Item != nil {
		key = map[string]any{}
		for _, attribute := range d.keyOf(ctx, item.TableName) {
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

// keyOf are the names of a table's key attributes; none when DynamoDB does not say.
func (d *dynamoDB) keyOf(ctx context.Context, table string) []string {
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
