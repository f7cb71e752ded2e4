package eventsource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/streams"
)

// A fakeStream is a stream of one shard, a place for checkpoints and a destination of failures, in memory.
type fakeStream struct {
	mu          sync.Mutex
	records     []streams.Record
	checkpoints map[string]streams.Checkpoint
	messages    []failureRecord
	refusals    int // of the destination, that are still to come
	hops        []hop.Hop
	calls       []string // "1 2 3": the records of each invocation
	at          []time.Duration
	ends        bool // the shard is closed
}

func (f *fakeStream) Shards(context.Context) ([]streams.Shard, error) {
	return []streams.Shard{{ID: "shard"}}, nil
}

func (f *fakeStream) Open(_ context.Context, _, after string) (string, error) {
	return "after " + after, nil
}

func (f *fakeStream) Read(_ context.Context, _, cursor string) (streams.Page, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	after := strings.TrimPrefix(cursor, "after ")
	at := slices.IndexFunc(f.records, func(r streams.Record) bool { return r.SequenceNumber == after }) + 1
	page := streams.Page{Records: slices.Clone(f.records[at:]), Next: cursor}
	page.End = f.ends && len(page.Records) == 0
	if n := len(page.Records); n > 0 {
		page.Next = "after " + page.Records[n-1].SequenceNumber
	}
	return page, nil
}

func (f *fakeStream) Load() (map[string]streams.Checkpoint, error) { return f.checkpoints, nil }

func (f *fakeStream) Save(checkpoints map[string]streams.Checkpoint) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.checkpoints == nil {
		f.checkpoints = map[string]streams.Checkpoint{}
	}
	for shard, c := range checkpoints {
		f.checkpoints[shard] = c
	}
	return nil
}

func (f *fakeStream) send(_ context.Context, message string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refusals > 0 {
		f.refusals--
		return errors.New("refused")
	}
	var record failureRecord
	if err := json.Unmarshal([]byte(message), &record); err != nil {
		return err
	}
	f.messages = append(f.messages, record)
	return nil
}

// deliver runs a mapping of ten records, "1" to "10", for an hour, in virtual time. answer receives the sequence
// numbers of an invocation.
func deliver(t *testing.T, d Description, answer func(numbers []string) (string, error)) *fakeStream {
	f := &fakeStream{}
	for i := range 10 {
		number := fmt.Sprint(i + 1)
		f.records = append(f.records, streams.Record{
			SequenceNumber: number, Arrival: time.Now(), Key: number, Size: 100,
			Event: map[string]any{"eventName": "INSERT", "dynamodb": map[string]any{"SequenceNumber": number}},
		})
	}
	f.run(t, d, answer)
	return f
}

func (f *fakeStream) run(t *testing.T, d Description, answer func(numbers []string) (string, error)) {
	started := time.Now()
	m := f.mapping(d, func(_ context.Context, arn string, payload []byte) ([]byte, error) {
		var event struct {
			Records []struct {
				DynamoDB struct{ SequenceNumber string }
			}
		}
		if err := json.Unmarshal(payload, &event); err != nil || arn != "function" {
			t.Errorf("%s, payload %s: %v", arn, payload, err)
		}
		var numbers []string
		for _, r := range event.Records {
			numbers = append(numbers, r.DynamoDB.SequenceNumber)
		}
		f.mu.Lock()
		f.calls, f.at = append(f.calls, strings.Join(numbers, " ")), append(f.at, time.Since(started))
		f.mu.Unlock()
		response, err := answer(numbers)
		return []byte(response), err
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if err := m.run(ctx); err != nil {
		t.Error(err)
	}
}

// mapping returns a mapping of the stream.
func (f *fakeStream) mapping(d Description, invoke func(ctx context.Context, arn string, payload []byte) ([]byte, error)) *streamMapping {
	d.LogicalID, d.FunctionARN, d.ParallelizationFactor = "Mapping", "function", max(1, d.ParallelizationFactor)
	d.StartingPosition, d.BatchSize = "TRIM_HORIZON", max(d.BatchSize, 1)
	return &streamMapping{
		Description: d, stream: f, checkpoints: f, failures: f, invoke: invoke,
		sink: func(h hop.Hop) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.hops = append(f.hops, h)
		},
	}
}

// given returns the messages of the destination as "condition first-last invocations".
func (f *fakeStream) given() (all []string) {
	for _, m := range f.messages {
		all = append(all, fmt.Sprintf("%s %s-%s %d", m.RequestContext.Condition, m.Batch.Start, m.Batch.End, m.RequestContext.Invocations))
	}
	return all
}

// poison fails as a whole when the invocation has one of the records.
func poison(bad ...string) func([]string) (string, error) {
	return func(numbers []string) (string, error) {
		for _, n := range numbers {
			if slices.Contains(bad, n) {
				return "", errors.New("poison")
			}
		}
		return "", nil
	}
}

// naming names the bad records in its response.
func naming(bad ...string) func([]string) (string, error) {
	return func(numbers []string) (string, error) {
		var items []string
		for _, n := range numbers {
			if slices.Contains(bad, n) {
				items = append(items, `{"itemIdentifier":"`+n+`"}`)
			}
		}
		slices.Reverse(items) // the lowest number counts, not the first item
		return `{"batchItemFailures":[` + strings.Join(items, ",") + `]}`, nil
	}
}

func TestStreamRetries(t *testing.T) {
	const all = "1 2 3 4 5 6 7 8 9 10"
	always := func(response string) func([]string) (string, error) {
		return func([]string) (string, error) { return response, nil }
	}
	cases := map[string]struct {
		mapping Description
		answer  func([]string) (string, error)
		calls   []string
		given   []string
	}{
		"success": {Description{BatchSize: 100}, poison(), []string{all}, nil},
		"batches": {Description{BatchSize: 4}, poison(), []string{"1 2 3 4", "5 6 7 8", "9 10"}, nil},
		"a batch fails as a whole": {
			Description{BatchSize: 5, MaximumRetryAttempts: 1, OnFailure: "queue"},
			poison("2"),
			[]string{"1 2 3 4 5", "1 2 3 4 5", "6 7 8 9 10"},
			[]string{"RetryAttemptsExhausted 1-5 2"},
		},
		"no retry": {Description{BatchSize: 5, OnFailure: "queue"}, poison("7"), []string{"1 2 3 4 5", "6 7 8 9 10"}, []string{"RetryAttemptsExhausted 6-10 1"}},
		"bisect does not count": {
			Description{BatchSize: 10, BisectBatchOnFunctionError: true, OnFailure: "queue"},
			poison("4"),
			[]string{all, "1 2 3 4 5", "1 2", "3 4 5", "3", "4 5", "4", "5", "6 7 8 9 10"},
			[]string{"RetryAttemptsExhausted 4-4 5"},
		},
		"the lowest number is the checkpoint": {
			Description{BatchSize: 10, ReportBatchItemFailures: true, MaximumRetryAttempts: 1, OnFailure: "queue"},
			naming("4", "8"),
			[]string{all, "4 5 6 7 8 9 10"},
			[]string{"RetryAttemptsExhausted 4-10 2"},
		},
		"bisected at the number": {
			Description{BatchSize: 10, ReportBatchItemFailures: true, BisectBatchOnFunctionError: true, OnFailure: "queue"},
			naming("9"),
			[]string{all, "9 10", "9", "10"},
			[]string{"RetryAttemptsExhausted 9-9 3"},
		},
		"the response counts only when it is reported": {Description{BatchSize: 10}, naming("4"), []string{all}, nil},
		"empty response":           {Description{BatchSize: 10, ReportBatchItemFailures: true}, always(""), []string{all}, nil},
		"null":                     {Description{BatchSize: 10, ReportBatchItemFailures: true}, always("null"), []string{all}, nil},
		"empty list":               {Description{BatchSize: 10, ReportBatchItemFailures: true}, always(`{"batchItemFailures":[]}`), []string{all}, nil},
		"null list":                {Description{BatchSize: 10, ReportBatchItemFailures: true}, always(`{"batchItemFailures":null}`), []string{all}, nil},
		"empty identifier":         {Description{BatchSize: 10, ReportBatchItemFailures: true}, always(`{"batchItemFailures":[{"itemIdentifier":""}]}`), []string{all}, nil},
		"null identifier":          {Description{BatchSize: 10, ReportBatchItemFailures: true}, always(`{"batchItemFailures":[{"itemIdentifier":null}]}`), []string{all}, nil},
		"wrong key":                {Description{BatchSize: 10, ReportBatchItemFailures: true}, always(`{"batchItemFailures":[{"ItemIdentifier":"3"}]}`), []string{all}, nil},
		"number of no record":      {Description{BatchSize: 10, ReportBatchItemFailures: true}, always(`{"batchItemFailures":[{"itemIdentifier":"11"}]}`), []string{all}, nil},
		"without a destination":    {Description{BatchSize: 10}, poison("1"), []string{all}, nil},
		"the destination recovers": {Description{BatchSize: 10, OnFailure: "queue"}, poison("1"), []string{all}, []string{"RetryAttemptsExhausted 1-10 1"}},
	}
	failsWhole := []string{"empty identifier", "null identifier", "wrong key", "number of no record", "without a destination"}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := deliver(t, c.mapping, c.answer)
				expect(t, "calls", f.calls, c.calls)
				expect(t, "dead-letter messages", f.given(), c.given)
				if last := f.hops[len(f.hops)-1]; slices.Contains(failsWhole, name) != (last.Outcome == hop.Dropped) || last.Stage != hop.Stream {
					t.Errorf("the last hop is %+v", last)
				}
				if got := f.checkpoints["shard"].After; got != "10" {
					t.Errorf("the checkpoint is %q, want 10", got)
				}
			})
		})
	}
}

func TestStreamRecordAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := Description{BatchSize: 10, MaximumRetryAttempts: -1, MaximumRecordAge: time.Minute, OnFailure: "queue"}
		f := deliver(t, d, poison("3"))
		if n := len(f.calls); n < 8 || f.at[n-1] > time.Minute+time.Second || len(f.messages) != 1 {
			t.Fatalf("%d calls until %v, messages %v", n, f.at[n-1], f.given())
		}
		m := f.messages[0]
		if m.RequestContext.Condition != recordAgeExceeded || m.Batch.Size != 10 || m.RequestContext.Invocations != len(f.calls) {
			t.Errorf("message %+v", m)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStream{records: []streams.Record{{SequenceNumber: "1", Arrival: time.Now().Add(-streams.Retention - time.Second)}}}
		f.run(t, Description{MaximumRetryAttempts: -1, MaximumRecordAge: -time.Second, OnFailure: "queue"}, poison())
		if len(f.calls) > 0 || len(f.messages) != 1 || f.messages[0].ResponseContext != nil {
			t.Errorf("calls %v, messages %+v: the stream has such a record no longer", f.calls, f.messages)
		}
	})
}

// The destination is tried until it accepts: what was given up is named there before the checkpoint passes it.
func TestStreamDestinationIsTriedUntilItAccepts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStream{refusals: 5, records: []streams.Record{{SequenceNumber: "1", Arrival: time.Now()}}}
		f.run(t, Description{OnFailure: "queue"}, poison(""))
		f.refusals = 0
		expect(t, "messages", f.given(), []string{"RetryAttemptsExhausted 1-1 1"})
		retries := 0
		for _, h := range f.hops {
			if h.Outcome == hop.Retry && h.Target == "queue" {
				retries++
			}
		}
		expect(t, "hops of refusals", retries, 5)
	})
}

func TestStreamWindowFillsABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := deliver(t, Description{BatchSize: 100, Window: 30 * time.Second}, poison())
		if len(f.calls) != 1 || f.at[0] < 30*time.Second || f.at[0] > 31*time.Second {
			t.Errorf("calls %v at %v", f.calls, f.at)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := deliver(t, Description{BatchSize: 5, Window: 30 * time.Second}, poison())
		if len(f.calls) != 2 || f.at[0] > time.Second {
			t.Errorf("calls %v at %v: the batch was full", f.calls, f.at)
		}
	})
}

// Records of one item keep their order, and several batches of a shard are under way at the same time.
func TestStreamParallelBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := deliver(t, Description{BatchSize: 10, ParallelizationFactor: 10}, func([]string) (string, error) {
			time.Sleep(time.Minute)
			return "", nil
		})
		if len(f.calls) < 3 {
			t.Fatalf("calls %v", f.calls)
		}
		for _, at := range f.at {
			if at >= time.Minute {
				t.Errorf("a batch waited for another one: %v", f.at)
			}
		}
	})
}

func TestStreamDefaultsAndOverrides(t *testing.T) {
	describe := func(change map[string]any) (Description, error) {
		s := New(Config{Cloud: localCloud()})
		properties := map[string]any{"EventSourceArn": streamARN, "FunctionName": "auditor", "StartingPosition": "LATEST"}
		for name, value := range change {
			properties[name] = value
		}
		_, err := s.provision(t.Context(), resource(properties))
		if err != nil {
			return Description{}, err
		}
		d := s.List()[0]
		d.LastModified = time.Time{}
		return d, nil
	}
	want := Description{
		UUID: "m", LogicalID: "Mapping", ARN: "arn:aws:lambda:eu-west-1:000000000000:event-source-mapping:m",
		FunctionARN: "arn:aws:lambda:eu-west-1:000000000000:function:auditor", SourceARN: streamARN, State: Enabled,
		LastProcessingResult: "No records processed", BatchSize: 100, StartingPosition: "LATEST", ParallelizationFactor: 1,
		MaximumRetryAttempts: -1, MaximumRecordAge: -time.Second,
	}
	got, err := describe(nil)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	got, err = describe(map[string]any{
		"StartingPosition": "TRIM_HORIZON", "BatchSize": 10_000, "MaximumBatchingWindowInSeconds": 60, "ParallelizationFactor": 10,
		"MaximumRetryAttempts": 10, "MaximumRecordAgeInSeconds": 82_800, "BisectBatchOnFunctionError": true, "Enabled": false,
		"FunctionResponseTypes": []any{"ReportBatchItemFailures"}, "DestinationConfig": map[string]any{"OnFailure": map[string]any{"Destination": orders}},
		"FilterCriteria": map[string]any{"Filters": []any{map[string]any{"Pattern": `{"eventName":["INSERT"]}`}}},
	})
	want.StartingPosition, want.BatchSize, want.Window, want.ParallelizationFactor = "TRIM_HORIZON", 10_000, time.Minute, 10
	want.MaximumRetryAttempts, want.MaximumRecordAge, want.BisectBatchOnFunctionError, want.State = 10, 23*time.Hour, true, Disabled
	want.ReportBatchItemFailures, want.OnFailure, want.Filters = true, orders, []string{`{"eventName":["INSERT"]}`}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}

	for name, value := range map[string]any{
		"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1, "BatchSize": 10_001, "MaximumBatchingWindowInSeconds": 301,
		"ParallelizationFactor": 11, "MaximumRetryAttempts": -2, "MaximumRecordAgeInSeconds": 59, "TumblingWindowInSeconds": 901,
		"ProvisionedPollerConfig": map[string]any{"MinimumPollers": 2},
		"ScalingConfig":           map[string]any{"MaximumConcurrency": 2},
		"DestinationConfig":       map[string]any{"OnFailure": map[string]any{"Destination": "arn:aws:sns:eu-west-1:000000000000:topic"}},
	} {
		if _, err := describe(map[string]any{name: value}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s %v: error %v", name, value, err)
		}
	}
	if _, err := describe(map[string]any{"TumblingWindowInSeconds": 30, "ParallelizationFactor": 2}); err == nil || !strings.Contains(err.Error(), "ParallelizationFactor must be 1") {
		t.Errorf("parallel batches of a window: error %v", err)
	}
	if d, err := describe(map[string]any{"TumblingWindowInSeconds": "900"}); err != nil || d.TumblingWindow != 15*time.Minute {
		t.Errorf("the longest window: %v, %v", d.TumblingWindow, err)
	}
	if _, err := provisioned(t, map[string]any{"BisectBatchOnFunctionError": true}); err == nil || !strings.Contains(err.Error(), "BisectBatchOnFunctionError") {
		t.Errorf("a queue with a property of streams: %v", err)
	}
}
