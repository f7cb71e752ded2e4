package eventsource_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.etcd.io/bbolt"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/eventsource"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/queues"
	"github.com/outboxkit/transactional-outbox/internal/local/tables"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A tableWithFunctions is a table of DynamoDB Local with event source mappings from its stream.
type tableWithFunctions struct {
	t      *testing.T
	cloud  *cloud.Cloud
	table  template.Attributes
	dbPath string

	mu       sync.Mutex
	received map[string][]string // by function: the keys of the records
	payloads []string
	failing  string // this key fails every invocation that has it
	hops     []hop.Hop
	came     chan struct{}
}

func newTable(t *testing.T) *tableWithFunctions {
	t.Helper()
	s := &tableWithFunctions{
		t: t, cloud: cloud.New("eu-west-1"), dbPath: filepath.Join(t.TempDir(), "local.db"),
		received: map[string][]string{}, came: make(chan struct{}, 1000),
	}
	host, err := tables.Start(t.Context(), tables.Config{Cloud: s.cloud, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	s.table = provision(t, host.Provisions()["AWS::DynamoDB::Table"], template.Resource{PhysicalName: "Outbox", Properties: map[string]any{
		"AttributeDefinitions": []any{map[string]any{"AttributeName": "pk", "AttributeType": "S"}},
		"KeySchema":            []any{map[string]any{"AttributeName": "pk", "KeyType": "HASH"}},
		"StreamSpecification":  map[string]any{"StreamViewType": "NEW_IMAGE"},
	}})
	return s
}

// run runs a mapping for each function on the database until stop is called.
func (s *tableWithFunctions) run(db string, change map[string]any, functions ...string) (m *eventsource.Service, stop func()) {
	s.t.Helper()
	opened, err := bbolt.Open(db, 0o600, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	m = eventsource.New(eventsource.Config{Cloud: s.cloud, DB: opened, Invoke: s.invoke, Sink: func(h hop.Hop) {
		s.mu.Lock()
		s.hops = append(s.hops, h)
		s.mu.Unlock()
		s.came <- struct{}{}
	}})
	for _, f := range functions {
		properties := map[string]any{"EventSourceArn": s.table.GetAtt["StreamArn"], "FunctionName": f, "StartingPosition": "TRIM_HORIZON"}
		for name, value := range change {
			properties[name] = value
		}
		provision(s.t, m.Provisions()["AWS::Lambda::EventSourceMapping"], template.Resource{LogicalID: f, PhysicalName: f + "-uuid", Properties: properties})
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	return m, func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
		opened.Close()
	}
}

func (s *tableWithFunctions) invoke(_ context.Context, arn string, payload []byte) ([]byte, error) {
	var event struct {
		Records []struct {
			DynamoDB struct {
				Keys struct{ PK struct{ S string } }
			}
		}
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		s.t.Errorf("payload %s: %v", payload, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	for _, r := range event.Records {
		keys = append(keys, r.DynamoDB.Keys.PK.S)
	}
	if slices.Contains(keys, s.failing) {
		return nil, errors.New("poison")
	}
	name := arn[strings.LastIndex(arn, ":")+1:]
	s.received[name], s.payloads = append(s.received[name], keys...), append(s.payloads, string(payload))
	return nil, nil
}

func (s *tableWithFunctions) put(keys ...string) {
	s.t.Helper()
	for _, key := range keys {
		_, err := s.cloud.DynamoDB().PutItem(s.t.Context(), &dynamodb.PutItemInput{TableName: &s.table.Ref, Item: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: key}, "n": &types.AttributeValueMemberN{Value: "7"},
		}})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// await waits until each function has received as many records.
func (s *tableWithFunctions) await(n int, functions ...string) {
	s.t.Helper()
	timeout := time.After(time.Minute)
	for {
		s.mu.Lock()
		done := !slices.ContainsFunc(functions, func(f string) bool { return len(s.received[f]) < n })
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-s.came:
		case <-timeout:
			s.t.Fatalf("received %v, want %d for each of %v; hops %+v", s.received, n, functions, s.hops)
		}
	}
}

// Two functions read one stream at the same time, and a second run continues where the first was.
func TestTwoFunctionsOnOneStream(t *testing.T) {
	s := newTable(t)
	_, stop := s.run(s.dbPath, nil, "auditor", "search")
	s.put("1", "2", "3")
	s.await(3, "auditor", "search")
	stop()
	s.put("4")
	_, stop = s.run(s.dbPath, nil, "auditor", "search")
	s.await(4, "auditor", "search")
	stop()
	for name, keys := range s.received {
		if !slices.Equal(keys, []string{"1", "2", "3", "4"}) {
			t.Errorf("%s received %v, want each once and in order", name, keys)
		}
	}
	var event struct{ Records []map[string]any }
	if err := json.Unmarshal([]byte(s.payloads[0]), &event); err != nil {
		t.Fatal(err)
	}
	r := event.Records[0]
	change, _ := r["dynamodb"].(map[string]any)
	if r["eventName"] != "INSERT" || r["eventSource"] != "aws:dynamodb" || r["eventSourceARN"] != s.table.GetAtt["StreamArn"] ||
		r["awsRegion"] != "eu-west-1" || r["eventID"] == "" || change["StreamViewType"] != "NEW_IMAGE" ||
		fmt.Sprint(change["NewImage"]) != "map[n:map[N:7] pk:map[S:1]]" {
		t.Errorf("record %v", r)
	}
}

// The database as a kill -9 leaves it has the checkpoint of what the function has handled, and of nothing else.
func TestCheckpointAfterSuccessOnly(t *testing.T) {
	s := newTable(t)
	s.failing = "bad"
	_, stop := s.run(s.dbPath, nil, "auditor")
	s.put("1")
	s.await(1, "auditor")
	s.put("bad")
	for failed := false; !failed; {
		<-s.came
		s.mu.Lock()
		failed = s.hops[len(s.hops)-1].Outcome == hop.Retry
		s.mu.Unlock()
	}
	killed := filepath.Join(t.TempDir(), "killed.db")
	content, err := os.ReadFile(s.dbPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(killed, content, 0o600); err != nil {
		t.Fatal(err)
	}
	stop()
	s.failing = ""
	_, stop = s.run(killed, nil, "auditor")
	s.await(2, "auditor")
	stop()
	if got := s.received["auditor"]; !slices.Equal(got, []string{"1", "bad"}) {
		t.Errorf("received %v, want each once", got)
	}
}

func TestDisabledMappingOfAStream(t *testing.T) {
	s := newTable(t)
	m, stop := s.run(s.dbPath, nil, "auditor")
	s.put("1")
	s.await(1, "auditor")
	if err := m.SetEnabled(t.Context(), "auditor-uuid", false); err != nil {
		t.Fatal(err)
	}
	s.put("2")
	stop()
	m, stop = s.run(s.dbPath, nil, "auditor")
	if d, err := m.Describe("auditor-uuid"); err != nil || d.State != eventsource.Disabled {
		t.Errorf("in the next run: %+v, %v", d, err)
	}
	time.Sleep(500 * time.Millisecond) // many reads of a mapping that runs
	s.mu.Lock()
	if got := s.received["auditor"]; len(got) != 1 {
		t.Errorf("received %v while it was disabled", got)
	}
	s.mu.Unlock()
	if err := m.SetEnabled(t.Context(), "auditor-uuid", true); err != nil {
		t.Fatal(err)
	}
	s.await(2, "auditor")
	stop()
	if err := m.SetEnabled(t.Context(), "x", true); !errors.Is(err, eventsource.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// The poison record ends in the destination, and only the filter's records reach the function.
func TestFailuresAndFilterOfAStream(t *testing.T) {
	s := newTable(t)
	q, err := queues.Start(t.Context(), queues.Config{Cloud: s.cloud, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	made := provision(t, q.Provisions()["AWS::SQS::Queue"], template.Resource{PhysicalName: "Failures"})
	s.failing = "order-bad"
	s.put("order-1", "other", "order-bad", "order-2")
	_, stop := s.run(s.dbPath, map[string]any{
		"MaximumRetryAttempts": 1, "BisectBatchOnFunctionError": true,
		"DestinationConfig": map[string]any{"OnFailure": map[string]any{"Destination": made.GetAtt["Arn"]}},
		"FilterCriteria":    map[string]any{"Filters": []any{map[string]any{"Pattern": `{"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"order-"}]}}}}`}}},
	}, "auditor")
	s.await(2, "auditor")
	out, err := s.cloud.SQS().ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &made.Ref, WaitTimeSeconds: 20})
	stop()
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("%v, %v", out, err)
	}
	if got := s.received["auditor"]; !slices.Equal(got, []string{"order-1", "order-2"}) {
		t.Errorf("received %v", got)
	}
	var got struct {
		RequestContext struct {
			RequestID, FunctionARN, Condition string
			ApproximateInvokeCount            int
		}
		ResponseContext struct {
			StatusCode                     int
			ExecutedVersion, FunctionError string
		}
		Version, Timestamp string
		DDBStreamBatchInfo struct {
			ShardID, StartSequenceNumber, EndSequenceNumber, StreamARN      string
			ApproximateArrivalOfFirstRecord, ApproximateArrivalOfLastRecord string
			BatchSize                                                       int
		}
	}
	body := aws.ToString(out.Messages[0].Body)
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	info := got.DDBStreamBatchInfo
	if got.RequestContext.Condition != "RetryAttemptsExhausted" || got.RequestContext.FunctionARN != "arn:aws:lambda:eu-west-1:000000000000:function:auditor" ||
		got.RequestContext.RequestID == "" || got.RequestContext.ApproximateInvokeCount < 2 || got.ResponseContext.StatusCode != http.StatusOK ||
		got.ResponseContext.ExecutedVersion != "$LATEST" || got.ResponseContext.FunctionError != "Unhandled" || got.Version != "1.0" || got.Timestamp == "" ||
		info.StreamARN != s.table.GetAtt["StreamArn"] || info.BatchSize != 1 || info.StartSequenceNumber == "" ||
		info.StartSequenceNumber != info.EndSequenceNumber || info.ShardID == "" || info.ApproximateArrivalOfFirstRecord == "" || info.ApproximateArrivalOfLastRecord == "" {
		t.Errorf("message %s", body)
	}
}

// What AWS refuses to create does not start.
func TestPrepareRefuses(t *testing.T) {
	c := cloud.New("eu-west-1")
	q, err := queues.Start(t.Context(), queues.Config{Cloud: c, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	made := provision(t, q.Provisions()["AWS::SQS::Queue"], template.Resource{PhysicalName: "Orders", Properties: map[string]any{"VisibilityTimeout": 29}})
	prepare := func(queue, function string) error {
		m := eventsource.New(eventsource.Config{Cloud: c, Timeout: func(arn string) (time.Duration, bool) {
			return map[string]time.Duration{"slow": 30 * time.Second, "quick": 29 * time.Second}[arn[strings.LastIndex(arn, ":")+1:]], !strings.HasSuffix(arn, ":none")
		}})
		provision(t, m.Provisions()["AWS::Lambda::EventSourceMapping"], template.Resource{LogicalID: "Mapping", Properties: map[string]any{"EventSourceArn": queue, "FunctionName": function}})
		return m.Prepare(t.Context())
	}
	for name, c := range map[string]struct{ queue, function, want string }{
		"visibility": {made.GetAtt["Arn"], "slow", "must be at least the function's timeout of 30s, got 29s"},
		"queue":      {made.GetAtt["Arn"] + "x", "quick", "EventSourceArn must name a queue that exists"},
		"function":   {made.GetAtt["Arn"], "none", "FunctionName must be a function of the stack"},
	} {
		if err := prepare(c.queue, c.function); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	if err := prepare(made.GetAtt["Arn"], "quick"); err != nil {
		t.Error(err)
	}
}

// A mapping of a stream needs the stream and the queue for failures.
func TestPrepareOfAStream(t *testing.T) {
	s := newTable(t)
	q, err := queues.Start(t.Context(), queues.Config{Cloud: s.cloud, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	queue := provision(t, q.Provisions()["AWS::SQS::Queue"], template.Resource{PhysicalName: "Failures"}).GetAtt["Arn"]
	stream := s.table.GetAtt["StreamArn"]
	for name, c := range map[string]struct{ stream, queue, want string }{
		"both":      {stream, queue, ""},
		"no stream": {strings.Replace(stream, "table/Outbox", "table/Elsewhere", 1), queue, "EventSourceArn must name a stream that exists"},
		"no queue":  {stream, queue + "x", "DestinationConfig: OnFailure: Destination must name a queue that exists"},
	} {
		db, err := bbolt.Open(filepath.Join(t.TempDir(), "local.db"), 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := eventsource.New(eventsource.Config{Cloud: s.cloud, DB: db})
		provision(t, m.Provisions()["AWS::Lambda::EventSourceMapping"], template.Resource{LogicalID: "Mapping", Properties: map[string]any{
			"EventSourceArn": c.stream, "FunctionName": "f", "StartingPosition": "LATEST",
			"DestinationConfig": map[string]any{"OnFailure": map[string]any{"Destination": c.queue}},
		}})
		err = m.Prepare(t.Context())
		db.Close()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}
