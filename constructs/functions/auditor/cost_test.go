package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// Prices on demand in us-east-1, in USD. Sources: aws.amazon.com/dynamodb/pricing/on-demand, aws.amazon.com/sqs/pricing,
// aws.amazon.com/lambda/pricing (arm64), aws.amazon.com/cloudwatch/pricing.
const (
	readUnit      = 0.125 / 1e6
	writeUnit     = 0.625 / 1e6
	sqsRequest    = 0.40 / 1e6
	aCall         = 0.20 / 1e6
	gbSecond      = 0.0000133334
	logsGB        = 0.50
	aMonth        = 30 * 24 * 60 // runs of the schedule
	functionGB    = 0.25
	secondsARun   = 0.1  // of an idle run; measured on this machine it is a few milliseconds besides the requests
	secondsABatch = 0.25 // of a batch of 1000
	platformLogs  = 350  // bytes that Lambda logs for an invocation
)

// handledBy writes the receipts of an event at both consumers.
func (f *fixture) handledBy(event record.Event) {
	e := audit.Event{ID: event.ID, Source: event.Source, AggregateType: event.AggregateType, AggregateID: event.AggregateID, Version: event.Version}
	f.tables.Put(inboxTable, markerOf(e))
	position := markerOf(e)
	position[record.AttrPK] = textValue(record.PositionKey(history, e.Source, e.AggregateType, e.AggregateID))
	position[record.AttrEventID] = textValue(e.ID)
	f.tables.Put(inboxTable, position)
}

// TestAuditOfTenThousandEventsIsCheap counts the requests of 10,000 events of 5,000 aggregates with two consumers, one of
// them ordered, and prices a million of them.
func TestAuditOfTenThousandEventsIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events, aggregates, million = 10_000, 5_000, 1_000_000
		f := newFixture(t)
		a := f.auditor()
		var records []json.RawMessage
		for i := range events {
			event, rec := f.commit(fmt.Sprintf("0199f3c2-7a41-7c11-9d1e-%012d", i%aggregates))
			f.handledBy(event)
			if records = append(records, rec); len(records) == 1000 {
				f.mustStream(a, records...)
				records = nil
			}
		}
		if f.tables.ReadUnits > 0 {
			t.Errorf("a batch of the stream reads tables: %.1f read units", f.tables.ReadUnits)
		}
		time.Sleep(14 * time.Minute)
		f.minutes(a, 1)
		f.expectMetric(shipping, audit.MetricConfirmed, events)
		f.expectMetric(history, audit.MetricConfirmed, events)
		f.expectListed()
		reads, writes, requests := f.tables.ReadUnits, f.tables.WriteUnits, float64(f.queues.Requests64KB)
		logs := float64(len(f.metrics.String()))

		// A run in which nothing is due.
		f.tables.ReadUnits, f.queues.Requests64KB = 0, 0
		f.metrics.b.Reset()
		f.minutes(a, 1)
		idleReads, idleRequests, idleLogs := f.tables.ReadUnits, float64(f.queues.Requests64KB), float64(len(f.metrics.String()))

		const times = million / events
		batches := float64(million / 1000)
		perMillion := map[string]float64{
			"read units":  reads * times * readUnit,
			"write units": writes * times * writeUnit,
			"queue":       requests * times * sqsRequest,
			"functions":   batches * 2 * (aCall + secondsABatch*functionGB*gbSecond),
			"logs":        (logs*times + batches*platformLogs) / 1e9 * logsGB,
		}
		monthly := map[string]float64{
			"read units": aMonth * idleReads * readUnit,
			"queue":      aMonth * idleRequests * sqsRequest,
			"functions":  aMonth * (aCall + secondsARun*functionGB*gbSecond),
			"logs":       aMonth * (idleLogs + platformLogs) / 1e9 * logsGB,
		}
		fixed, moving := sum(monthly), sum(perMillion)
		t.Logf("10,000 events: %.0f read units, %.0f write units, %.0f SQS requests, %.0f bytes of metrics", reads, writes, requests, logs)
		t.Logf("an idle run: %.1f read units, %.0f SQS requests, %.0f bytes of metrics", idleReads, idleRequests, idleLogs)
		t.Logf("a million events: %.4f USD %v", moving, perMillion)
		t.Logf("a month of runs: %.4f USD %v", fixed, monthly)
		if moving+fixed >= 0.50 {
			t.Errorf("a million events in a month cost %.3f USD, want less than 0.50", moving+fixed)
		}
		if writes > 0 {
			t.Errorf("%.0f write units were used for events that went well", writes)
		}
		// Half a unit for each marker and each position; one for each aggregate that went on, and one for each look when the
		// consumer joined.
		if most := events/2 + events/2 + aggregates + events/1000.0 + 10; reads > float64(most) {
			t.Errorf("%.0f read units were used, want %.0f at most", reads, float64(most))
		}
	})
}

func sum(parts map[string]float64) (all float64) {
	for _, part := range parts {
		all += part
	}
	return all
}

// cpuAMinute is the processor time that the function has in a minute: with 1,769 MB it has one vCPU, and with 256 MB as much less.
// Source: Lambda developer guide, configuration-memory.
const cpuAMinute = time.Minute * 256 / 1769

// underRace reports whether this is a build with the race detector, under which everything takes several times as long.
var underRace bool

// TestTenThousandEventsAMinuteFit: the function has 256 MB, of which the Go runtime's limit is 230 MiB. It notes 10,000 events
// and looks for the effects of 10,000 others within a minute of its share of a processor, 100 of which are missing. The time is
// the processor's, so that a machine that is busy otherwise changes little; that of making HTTP requests comes on top.
func TestTenThousandEventsAMinuteFit(t *testing.T) {
	f := newFixture(t)
	a := f.auditor()
	const events, missing = 10_000, 100
	var batches [][]byte
	for i := range 10 {
		var records []json.RawMessage
		for n := range events / 10 {
			f.sequence++
			event, rec := f.commit(fmt.Sprintf("0199f3c2-7a41-7c11-9d1e-%012d", f.sequence))
			if i*events/10+n >= missing {
				f.handledBy(event)
			}
			records = append(records, rec)
		}
		batches = append(batches, f.marshal(map[string]any{"Records": records}))
	}
	f.change(func(d *description.Outbox) { d.Audit.ConfirmWithinSeconds = "0" })
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(230 << 20))
	base := heapNow()
	peak := peakOf(func() {
		began := cpuTime(t)
		for _, batch := range batches {
			if _, err := a.handle(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
		}
		noted := cpuTime(t) - began
		if _, err := a.handle(t.Context(), json.RawMessage(scheduled)); err != nil {
			t.Fatal(err)
		}
		took := cpuTime(t) - began
		t.Logf("10,000 events of %d KB in all: noted in %s of processor time, looked for in %s", len(batches[0])*10/1000, noted, took-noted)
		if took > cpuAMinute/2 && !underRace {
			t.Errorf("it took %s of processor time, want half of the %s that the function has in a minute at most", took, cpuAMinute)
		}
	})
	for _, consumer := range []string{shipping, history} {
		f.expectMetric(consumer, audit.MetricConfirmed, events-missing)
		f.expectMetric(consumer, audit.MetricUnconfirmed, missing)
	}
	t.Logf("heap: %d MB at most, besides %d MB of the test's own tables and batches", (peak-base)>>20, base>>20)
	if peak-base > 200<<20 {
		t.Errorf("the heap grew by %d MB", (peak-base)>>20)
	}
}

func heapNow() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// peakOf returns the largest heap while something runs, looked at each 5 milliseconds.
func peakOf(run func()) uint64 {
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				peak <- most
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	}()
	run()
	close(stop)
	return <-peak
}
