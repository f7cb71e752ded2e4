package pipes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"go.etcd.io/bbolt"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/streams"
	"github.com/outboxkit/transactional-outbox/internal/local/tables"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A tableToBus is DynamoDB Local with an outbox table, and a fake of the other services.
type tableToBus struct {
	t      testing.TB
	cloud  *cloud.Cloud
	tables *tables.Service
	aws    *fakeAWS
	db     *bbolt.DB
	table  template.Attributes
	pipes  *Service // of the last run
	trim   bool     // what comes while a pipe is stopped leaves the stream

	mu   sync.Mutex
	hops []hop.Hop
}

func newTableToBus(t testing.TB) *tableToBus {
	t.Helper()
	s := &tableToBus{t: t, cloud: cloud.New("eu-central-1"), db: openDB(t)}
	var err error
	s.tables, err = tables.Start(t.Context(), tables.Config{Cloud: s.cloud, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.tables.Close)
	s.aws = startFakeAWS(t, s.cloud)
	s.table, err = s.tables.Provisions()["AWS::DynamoDB::Table"](t.Context(), template.Resource{
		PhysicalName: "Dev-Outbox",
		Properties: map[string]any{
			"AttributeDefinitions":    []any{map[string]any{"AttributeName": "pk", "AttributeType": "S"}},
			"KeySchema":               []any{map[string]any{"AttributeName": "pk", "KeyType": "HASH"}},
			"StreamSpecification":     map[string]any{"StreamViewType": "NEW_AND_OLD_IMAGES"},
			"TimeToLiveSpecification": map[string]any{"AttributeName": "expiresAt", "Enabled": true},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs the pipe until stop is called.
func (s *tableToBus) run(patch string) (stop func()) {
	s.t.Helper()
	service := New(Config{Cloud: s.cloud, DB: s.db, TrimStopped: s.trim, Sink: func(h hop.Hop) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hops = append(s.hops, h)
		s.aws.notify()
	}})
	s.pipes = service
	resource := pipeResource(s.t, patch)
	resource.Properties["Source"] = s.table.GetAtt["StreamArn"]
	if _, err := service.Provisions()["AWS::Pipes::Pipe"](s.t.Context(), resource); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- service.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	}
}

// delivered returns the number of records that the target has accepted.
func (s *tableToBus) delivered() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hops {
		if h.Outcome == hop.OK {
			n += h.Count
		}
	}
	return n
}

func (s *tableToBus) put(id string, more map[string]types.AttributeValue) {
	s.t.Helper()
	item := outboxItem(id)
	for name, value := range more {
		if item[name] = value; value == nil {
			delete(item, name)
		}
	}
	_, err := s.cloud.DynamoDB().PutItem(s.t.Context(), &dynamodb.PutItemInput{TableName: &s.table.Ref, Item: item})
	if err != nil {
		s.t.Fatal(err)
	}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// ids returns the ids of the events that the bus accepted.
func (s *tableToBus) ids() (ids []string) {
	for _, e := range s.aws.events {
		var detail struct{ ID string }
		if err := json.Unmarshal([]byte(e.Detail), &detail); err != nil {
			s.t.Errorf("detail %s: %v", e.Detail, err)
		}
		ids = append(ids, detail.ID)
	}
	return ids
}

func TestFromTableToBus(t *testing.T) {
	s := newTableToBus(t)
	stop := s.run(`{}`)
	s.put("1", nil)
	s.put("business", map[string]types.AttributeValue{"recordType": text("order")})
	s.put("1", map[string]types.AttributeValue{"note": text("changed")})
	_, err := s.cloud.DynamoDB().DeleteItem(t.Context(), &dynamodb.DeleteItemInput{
		TableName: &s.table.Ref, Key: map[string]types.AttributeValue{"pk": text("Order#1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.put("2", nil)
	s.aws.await(t, "both events", func() bool { return s.delivered() == 2 })
	stop()

	want := entry{
		EventBusName: "arn:aws:events:eu-central-1:000000000000:event-bus/orders",
		Source:       "orders", DetailType: "OrderCreated",
		Detail: `{"id": "1", "data": {"S":"{\"note\":\"\\\"it's\\\"\"}"}}`,
	}
	if got := s.aws.events[0]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	var sent []string
	for _, h := range s.hops {
		if h.Stage != hop.Pipe || h.Resource != "OutboxPipe" || h.Outcome != hop.OK || h.Latency <= 0 || h.Latency > 5*time.Second {
			t.Errorf("hop %+v", h)
		}
		sent = append(sent, h.EventIDs...)
	}
	if !slices.Equal(sent, []string{"1", "2"}) {
		t.Errorf("hops for %v, want 1 and 2", sent)
	}

	// A second run continues after the last record.
	s.put("3", nil)
	stop = s.run(`{}`)
	s.aws.await(t, "the third event", func() bool { return s.delivered() == 3 })
	stop()
	if got := s.ids(); !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("events %v, want each once", got)
	}
}

func TestPoisonRecord(t *testing.T) {
	s := newTableToBus(t)
	for i := range 6 {
		more := map[string]types.AttributeValue{}
		if i == 2 {
			more["type"] = nil // the dynamic path does not exist
		}
		s.put(fmt.Sprint(i), more)
	}
	s.aws.refuse = func(e entry) string {
		if strings.Contains(e.Detail, `"id": "4"`) {
			return "MalformedDetail"
		}
		return ""
	}
	stop := s.run(`{"SourceParameters": {"DynamoDBStreamParameters": {"MaximumRetryAttempts": 1}}}`)
	s.aws.await(t, "two dead-letter messages", func() bool { return len(s.aws.messages) >= 2 && len(s.aws.events) >= 4 })
	stop()
	if got := s.ids(); !slices.Equal(got, []string{"0", "1", "3", "5"}) {
		t.Errorf("events %v, want all but 2 and 4", got)
	}
	var got struct {
		Context struct {
			PartnerResourceArn, Condition string
		}
		Version, Timestamp string
		DDBStreamBatchInfo struct {
			ShardID, StartSequenceNumber, EndSequenceNumber, StreamArn      string
			ApproximateArrivalOfFirstRecord, ApproximateArrivalOfLastRecord string
			BatchSize                                                       int
		}
	}
	if err := json.Unmarshal([]byte(s.aws.messages[0]), &got); err != nil {
		t.Fatal(err)
	}
	info := got.DDBStreamBatchInfo
	if got.Context.PartnerResourceArn != "arn:aws:pipes:eu-central-1:000000000000:pipe/Dev-OutboxPipe" ||
		got.Context.Condition != "RetryAttemptsExhausted" || got.Version != "1.0" || got.Timestamp == "" ||
		info.BatchSize != 1 || info.StartSequenceNumber != info.EndSequenceNumber || info.StreamArn != s.table.GetAtt["StreamArn"] ||
		info.ApproximateArrivalOfFirstRecord == "" || info.ApproximateArrivalOfLastRecord == "" {
		t.Errorf("dead-letter message %s", s.aws.messages[0])
	}

	// The message has what it takes to read the record back while the stream has it.
	stream := streams.New(s.cloud.Streams(), info.StreamArn, "eu-central-1")
	cursor, err := stream.Open(t.Context(), info.ShardID, "")
	if err != nil {
		t.Fatal(err)
	}
	page, err := stream.Read(t.Context(), info.ShardID, cursor)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(page.Records, func(r Record) bool { return r.SequenceNumber == info.StartSequenceNumber })
	if i < 0 || page.Records[i].ID != "2" {
		t.Errorf("record %d of %+v, want the one with id 2", i, page.Records)
	}
}

func TestServerErrorsAreRetriedWithoutCounting(t *testing.T) {
	s := newTableToBus(t)
	s.aws.status = []int{500, 503, 429, 500}
	s.put("1", nil)
	stop := s.run(`{"SourceParameters": {"DynamoDBStreamParameters": {"MaximumRetryAttempts": 0}}}`)
	s.aws.await(t, "the event", func() bool { return len(s.aws.events) == 1 || len(s.aws.messages) > 0 })
	stop()
	if len(s.aws.messages) > 0 {
		t.Errorf("given up: %v", s.aws.messages)
	}
}

func TestQueueAsTarget(t *testing.T) {
	s := newTableToBus(t)
	for _, id := range []string{"1", "refuse", "3"} {
		s.put(id, nil)
	}
	stop := s.run(`{
		"Target": "arn:aws:sqs:eu-central-1:000000000000:orders.fifo",
		"SourceParameters": {"DynamoDBStreamParameters": {"MaximumRetryAttempts": 0}},
		"TargetParameters": {"InputTemplate": "<$.dynamodb.NewImage.id.S>", "SqsQueueParameters": {"MessageGroupId": "$.dynamodb.Keys.pk.S"}}
	}`)
	s.aws.await(t, "two messages and a dead-letter message", func() bool { return len(s.aws.messages) >= 3 })
	stop()
	if s.aws.messages[0] != "Order#1 1" || s.aws.messages[1] != "Order#3 3" || !strings.Contains(s.aws.messages[2], "DDBStreamBatchInfo") {
		t.Errorf("messages %v", s.aws.messages)
	}
}

func TestDynamoDBLocalDies(t *testing.T) {
	s := newTableToBus(t)
	ctx, cancel := context.WithCancel(t.Context())
	supervised := make(chan error)
	go func() { supervised <- s.tables.Run(ctx) }()
	stop := s.run(`{}`)
	s.put("1", nil)
	s.aws.await(t, "the first event", func() bool { return s.delivered() == 1 })
	if err := syscall.Kill(s.tables.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := s.cloud.DynamoDB().ListTables(t.Context(), &dynamodb.ListTablesInput{}); err == nil {
			break
		}
	}
	s.put("2", nil)
	s.aws.await(t, "the second event", func() bool { return len(s.aws.events) >= 2 })
	stop()
	cancel()
	if err := <-supervised; err != nil {
		t.Error(err)
	}
	if got := s.ids(); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("events %v, want each once", got)
	}
}

// DynamoDB Local deletes expired items about every ten seconds.
func TestExpiredItem(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for DynamoDB Local to delete an expired item")
	}
	s := newTableToBus(t)
	s.put("1", map[string]types.AttributeValue{"expiresAt": &types.AttributeValueMemberN{Value: fmt.Sprint(time.Now().Add(-time.Hour).Unix())}})
	// This is AWS's own pattern for the deletion of expired items.
	stop := s.run(`{
		"SourceParameters": {"FilterCriteria": {"Filters": [{"Pattern": "{\"eventName\":[\"REMOVE\"],\"userIdentity\":{\"type\":[\"Service\"],\"principalId\":[\"dynamodb.amazonaws.com\"]}}"}]}},
		"TargetParameters": {"EventBridgeEventBusParameters": {"DetailType": "Expired", "Source": "orders"}, "InputTemplate": "{\"id\":<$.dynamodb.OldImage.id.S>}"}
	}`)
	s.aws.await(t, "the expired item", func() bool { return len(s.aws.events) > 0 })
	stop()
	if got := s.ids(); !slices.Equal(got, []string{"1"}) {
		t.Errorf("events %v", got)
	}
}

// BenchmarkPipe moves 2,000 records, which wait in one shard of DynamoDB Local, to a bus and stores every checkpoint on
// disk.
func BenchmarkPipe(b *testing.B) {
	const records = 2000
	for b.Loop() {
		b.StopTimer()
		s := newTableToBus(b)
		s.fill(records)
		b.StartTimer()
		stop := s.run(`{}`)
		s.aws.await(b, "all events", func() bool { return s.delivered() == records })
		b.StopTimer()
		stop()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N*records)/b.Elapsed().Seconds(), "records/s")
}

func (s *tableToBus) fill(n int) {
	s.t.Helper()
	for from := 0; from < n; from += 25 {
		var batch []types.WriteRequest
		for i := from; i < from+25; i++ {
			batch = append(batch, types.WriteRequest{PutRequest: &types.PutRequest{Item: outboxItem(fmt.Sprint(i))}})
		}
		_, err := s.cloud.DynamoDB().BatchWriteItem(s.t.Context(), &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{s.table.Ref: batch},
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

func outboxItem(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"pk": text("Order#" + id), "recordType": text("outbox.event"), "id": text(id),
		"type": text("OrderCreated"), "source": text("orders"), "data": text(`{"note":"\"it's\""}`),
	}
}
