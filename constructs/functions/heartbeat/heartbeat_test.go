package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/audit/audittest"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

const queueURL = "https://sqs/heartbeat"

type fixture struct {
	*monitor
	calls   audittest.Calls
	tables  *audittest.Tables
	sqs     *audittest.Queues
	metrics bytes.Buffer
}

func newFixture() *fixture {
	f := &fixture{}
	f.tables = audittest.NewTables(&f.calls)
	f.sqs = audittest.NewQueues(&f.calls, time.Now(), queueURL)
	f.monitor = &monitor{
		outbox: outbox.New(f.tables, outbox.Config{Table: "outbox", Source: "orders.heartbeat", Retention: 48 * time.Hour}),
		queues: f.sqs, queue: queueURL, path: "Orders/Outbox", metrics: &f.metrics, logger: slog.New(slog.DiscardHandler),
	}
	return f
}

// arrive puts the events of the outbox table into the queue, as pipe, bus and rule do.
func (f *fixture) arrive(t *testing.T, from int) {
	t.Helper()
	for _, item := range f.tables.Items("outbox", "")[from:] {
		body, err := audit.Place{}.Message(item, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		f.sqs.Put(queueURL, body, nil, nil)
	}
}

// lags returns the values of the metric.
func (f *fixture) lags(t *testing.T) (lags []int64) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(f.metrics.String()), "\n") {
		var doc struct {
			Outbox       string
			HeartbeatLag json.RawMessage
		}
		if line == "" {
			continue
		}
		if err := json.Unmarshal([]byte(line), &doc); err != nil || doc.Outbox != "Orders/Outbox" {
			t.Fatalf("the document is %s (%v)", line, err)
		}
		var several []int64
		if json.Unmarshal(doc.HeartbeatLag, &several) != nil {
			several = make([]int64, 1)
			if err := json.Unmarshal(doc.HeartbeatLag, &several[0]); err != nil {
				t.Fatal(err)
			}
		}
		lags = append(lags, several...)
	}
	return lags
}

func TestTheLagIsFromCommitToArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		if err := f.beat(t.Context()); err != nil {
			t.Fatal(err)
		}
		if lags := f.lags(t); len(lags) > 0 {
			t.Errorf("lags are %d before anything arrived: no metric is what the alarm goes by", lags)
		}
		time.Sleep(3 * time.Second)
		f.arrive(t, 0)
		time.Sleep(57 * time.Second) // that it is received only now is no lag
		if err := f.beat(t.Context()); err != nil {
			t.Fatal(err)
		}
		if lags := f.lags(t); !slices.Equal(lags, []int64{3000}) {
			t.Errorf("lags are %d, want 3000", lags)
		}
		if left := f.sqs.Bodies(queueURL); len(left) > 0 {
			t.Errorf("left in the queue are %q", left)
		}
	})
}

func TestEachHeartbeatIsInAnotherPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		for range 5 {
			if err := f.beat(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		partitions := map[string]bool{}
		for _, item := range f.tables.Items("outbox", "") {
			partitions[audittest.Text(item, record.AttrPK)] = true
			if source := audittest.Text(item, record.AttrSource); source != "orders.heartbeat" {
				t.Errorf("a heartbeat has the source %q", source)
			}
			if at := audittest.Text(item, record.AttrExpiresAt); at != fmt.Sprint(time.Now().Add(48*time.Hour).Unix()) {
				t.Errorf("a heartbeat expires at %s", at)
			}
		}
		if len(partitions) != 5 {
			t.Errorf("5 heartbeats are in %d partitions", len(partitions))
		}
	})
}

// After the way was blocked, each late heartbeat counts, and what is no heartbeat holds up none.
func TestABacklogIsReadToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		for range 35 {
			if err := f.beat(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		f.sqs.Put(queueURL, "nonsense", nil, nil)
		f.arrive(t, 0)
		if err := f.beat(t.Context()); err != nil {
			t.Fatal(err)
		}
		if lags := f.lags(t); len(lags) != 35 || slices.Max(lags) != (35*time.Minute).Milliseconds() {
			t.Errorf("lags are %d", lags)
		}
		if left := f.sqs.Bodies(queueURL); len(left) > 0 {
			t.Errorf("left in the queue are %q", left)
		}
	})
}

// A day of heartbeats, as after an outage: the function commits first, stops before its time is over, and goes on a minute later.
func TestALongBacklogSkipsNoHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		const backlog = 24 * 60
		for range backlog {
			f.sqs.Put(queueURL, "nonsense", nil, nil)
		}
		f.calls.Takes = time.Second
		runs := 0
		for left := backlog; left > 0; left = len(f.sqs.Bodies(queueURL)) {
			runs++
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			if err := f.beat(ctx); err != nil {
				t.Fatal(err)
			}
			cancel()
			if took := time.Since(began); took > 30*time.Second-2*time.Second {
				t.Fatalf("a run took %s of the function's 30s", took)
			}
			if n := len(f.tables.Items("outbox", "")); n != runs {
				t.Fatalf("%d heartbeats were committed in %d runs", n, runs)
			}
			if now := len(f.sqs.Bodies(queueURL)); now >= left {
				t.Fatalf("a run left all %d messages in the queue", now)
			}
		}
		if runs < 2 {
			t.Error("one run did everything: this test shows nothing")
		}
	})
}

func TestTheCommitDoesNotWaitForTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		var calls []string
		f.calls.Before = func(name string) error {
			calls = append(calls, name)
			return nil
		}
		if err := f.beat(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := []string{"TransactWriteItems", "ReceiveMessage"}; !slices.Equal(calls, want) {
			t.Errorf("the requests are %q, want %q", calls, want)
		}
	})
}

func TestWhatCannotBeDeletedIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.sqs.Put(queueURL, "nonsense", nil, nil)
		f.queues = forgetful{f.sqs}
		if err := f.beat(t.Context()); err == nil || !strings.Contains(err.Error(), "1 of 1 stay in the queue: ReceiptHandleIsInvalid") {
			t.Errorf("got %v", err)
		}
	})
}

// forgetful are queues that do not know the receipts that they gave.
type forgetful struct{ *audittest.Queues }

func (f forgetful) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, options ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	for i := range in.Entries {
		in.Entries[i].ReceiptHandle = aws.String("other")
	}
	return f.Queues.DeleteMessageBatch(ctx, in, options...)
}

func TestAQueueThatFailsDoesNotStopTheBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		failure := errors.New("AccessDenied")
		f.calls.Before = func(name string) error {
			if name == "ReceiveMessage" {
				return failure
			}
			return nil
		}
		if err := f.beat(t.Context()); !errors.Is(err, failure) {
			t.Errorf("got %v", err)
		}
		if n := len(f.tables.Items("outbox", "")); n != 1 {
			t.Errorf("%d heartbeats were committed, want 1", n)
		}
	})
}
