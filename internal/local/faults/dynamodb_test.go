package faults

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// A store is an endpoint of DynamoDB that counts the requests for data which it executes.
type store struct {
	executed atomic.Int64
	client   *dynamodb.Client
}

func startStore(t *testing.T, i *Injector) *store {
	s := &store{}
	c := cloud.New("eu-west-1")
	server := httptest.NewServer(i.DynamoDB(c)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".DescribeTable") {
			_, _ = io.WriteString(w, `{"Table": {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]}}`)
			return
		}
		var request map[string]any
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Errorf("the request could not be read: %v", err)
		}
		s.executed.Add(1)
		_, _ = io.WriteString(w, `{}`)
	})))
	t.Cleanup(server.Close)
	c.SetEndpoint(cloud.DynamoDB, server.URL)
	s.client = dynamodb.New(c.DynamoDB().Options(), func(o *dynamodb.Options) {
		o.Retryer, o.HTTPClient = aws.NopRetryer{}, server.Client()
	})
	return s
}

func s(text string) types.AttributeValue { return &types.AttributeValueMemberS{Value: text} }

// write sends a transaction as the application does: an order and its event.
func (st *store) write(t *testing.T) error {
	put := func(item map[string]types.AttributeValue) types.TransactWriteItem {
		return types.TransactWriteItem{Put: &types.Put{TableName: aws.String("Table"), Item: item}}
	}
	_, err := st.client.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		put(map[string]types.AttributeValue{"pk": s("o-1"), "sk": s("order"), "createdAt": &types.AttributeValueMemberN{Value: "17"}}),
		put(map[string]types.AttributeValue{
			"pk": s("Order#o-1"), "sk": s("event#o-1-1"), "recordType": s("outbox.event"), "id": s("o-1-1"),
			"aggregateType": s("Order"), "aggregateId": s("o-1"), "version": &types.AttributeValueMemberN{Value: "1"},
		}),
	}})
	return err
}

func codeOf(err error) string {
	var said smithy.APIError
	if errors.As(err, &said) {
		return said.ErrorCode()
	}
	return ""
}

func TestDynamoDB(t *testing.T) {
	for _, c := range []struct {
		point    Point
		executed int64
		codes    []string // nil: no response
	}{
		{DynamoDBThrottle, 0, []string{"ProvisionedThroughputExceededException", "ThrottlingException"}},
		{DynamoDBConflict, 0, []string{"TransactionCanceledException"}},
		{DynamoDBErrorBefore, 0, []string{"InternalServerError"}},
		{DynamoDBErrorAfter, 1, []string{"InternalServerError"}},
		{DynamoDBTimeoutAfter, 1, nil},
	} {
		t.Run(string(c.point), func(t *testing.T) {
			i, fired := injecting(c.point)
			st := startStore(t, i)
			err := st.write(t)
			if err == nil {
				t.Fatal("the write succeeded")
			}
			if code := codeOf(err); c.codes != nil && !slices.Contains(c.codes, code) || c.codes == nil && code != "" {
				t.Errorf("the error is %v, want %v", err, c.codes)
			}
			if got := st.executed.Load(); got != c.executed {
				t.Errorf("executed %d times, want %d", got, c.executed)
			}
			want := []string{string(c.point) + " | TransactWriteItems o-1 order Order#o-1 event#o-1-1 | 1"}
			if got := fired.list(); !slices.Equal(got, want) || !slices.Equal(fired.all()[0].EventIDs, []string{"o-1-1"}) {
				t.Errorf("fired %q %v, want %q", got, fired.all(), want)
			}

			i.Heal()
			if err := st.write(t); err != nil || st.executed.Load() != c.executed+1 {
				t.Errorf("after the heal: %v, executed %d times", err, st.executed.Load())
			}
		})
	}
}

// TestConflictReasons checks that a canceled transaction has one reason for each action, which names the conflict.
func TestConflictReasons(t *testing.T) {
	i, _ := injecting(DynamoDBConflict)
	st := startStore(t, i)
	var canceled *types.TransactionCanceledException
	if err := st.write(t); !errors.As(err, &canceled) {
		t.Fatal(err)
	}
	var codes []string
	for _, r := range canceled.CancellationReasons {
		codes = append(codes, aws.ToString(r.Code))
	}
	if !slices.Equal(codes, []string{"TransactionConflict", "None"}) {
		t.Errorf("reasons %v", codes)
	}
}

func TestSingleItems(t *testing.T) {
	key := map[string]types.AttributeValue{"pk": s("o-1"), "sk": s("order")}
	i, fired := injecting(DynamoDBConflict)
	st := startStore(t, i)
	_, err := st.client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String("Table"), Key: key})
	if code := codeOf(err); code != "TransactionConflictException" {
		t.Errorf("UpdateItem: %v", err)
	}
	if _, err := st.client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("Table"), Key: key}); err != nil {
		t.Errorf("a read has no conflict with one item: %v", err)
	}
	if got := fired.list(); !slices.Equal(got, []string{"dynamodb.conflict | UpdateItem o-1 order | 1"}) {
		t.Errorf("fired %q", got)
	}
}

// TestOnlyData checks that operations which set up tables and read streams have no faults.
func TestOnlyData(t *testing.T) {
	i, fired := injecting(DynamoDBThrottle, DynamoDBErrorBefore)
	st := startStore(t, i)
	if _, err := st.client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("Table")}); err != nil {
		t.Error(err)
	}
	if len(fired.all()) > 0 {
		t.Errorf("fired %q", fired.list())
	}
	_, err := st.client.Query(t.Context(), &dynamodb.QueryInput{
		TableName: aws.String("Table"), KeyConditionExpression: aws.String("pk = :pk"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": s("o-7")},
	})
	if err == nil || !slices.Equal(fired.list(), []string{"dynamodb.throttle | Query o-7 | 1"}) {
		t.Errorf("a query: %v, fired %q", err, fired.list())
	}
}
