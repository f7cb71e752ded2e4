package pipes

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

func TestMain(m *testing.M) {
	// The thread that starts child processes lives as long as the test process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/outboxkit/transactional-outbox/internal/local/process.spawnForever"))
}

// TestNothingIsLost checks that, whatever fails and wherever the pipe is killed, every record is accepted or named in
// the dead-letter queue, and that no stored checkpoint ever passes one that is not.
func TestNothingIsLost(t *testing.T) {
	faults := []fault{
		noFault, refuseAll, internalAll, refuseEven, internalOdd, lateAnswer,
		kill, killAfter, readError, noNext, shortPage, queueUnavailable,
	}
	rapid.Check(t, func(rt *rapid.T) {
		settings := Settings{
			BatchSize:  rapid.IntRange(1, 10).Draw(rt, "batch size"),
			Parallel:   rapid.IntRange(1, 4).Draw(rt, "parallel"),
			Window:     rapid.SampledFrom([]time.Duration{0, 0, time.Second}).Draw(rt, "window"),
			MaxRetries: rapid.IntRange(-1, 3).Draw(rt, "retries"),
			MaxAge:     rapid.SampledFrom([]time.Duration{time.Minute, time.Hour}).Draw(rt, "age"),
			Bisect:     rapid.Bool().Draw(rt, "bisect"),
		}
		records := rapid.IntRange(1, 30).Draw(rt, "records")
		plan := rapid.SliceOfN(rapid.SampledFrom(faults), 0, 60).Draw(rt, "plan")
		poison := rapid.SliceOfN(rapid.IntRange(1, records), 0, 3).Draw(rt, "poison")
		hidden := rapid.SliceOfN(rapid.IntRange(1, records), 0, 3).Draw(rt, "hidden")
		var err error
		synctest.Test(t, func(*testing.T) {
			f := newFixture(records)
			f.plan = plan
			for _, n := range poison {
				f.poison[fmt.Sprintf("%04d", n)] = true
			}
			for _, n := range hidden {
				f.filtered[fmt.Sprintf("%04d", n)] = true
			}
			f.closed["a"] = true
			f.addShard("b", "a")
			f.add("b", records/2)
			if err = f.drain(settings, 3*time.Hour); err == nil && len(f.missing()) > 0 {
				err = fmt.Errorf("records %v are neither accepted nor in the dead-letter queue", f.missing())
			}
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}

// TestOrderOfOneItem checks that records of one item are accepted in their order, whatever the number of lanes, as long
// as the target accepts a batch as a whole or not at all.
func TestOrderOfOneItem(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		settings := Settings{
			BatchSize:  rapid.IntRange(1, 10).Draw(rt, "batch size"),
			Parallel:   rapid.IntRange(1, 10).Draw(rt, "parallel"),
			MaxRetries: -1,
			Bisect:     rapid.Bool().Draw(rt, "bisect"),
		}
		plan := rapid.SliceOfN(rapid.SampledFrom([]fault{noFault, refuseAll, internalAll, shortPage}), 0, 40).Draw(rt, "plan")
		var f *fixture
		synctest.Test(t, func(*testing.T) {
			f = newFixture(40)
			f.plan = plan
			if err := f.drain(settings, time.Hour); err != nil {
				rt.Error(err)
			}
		})
		last := map[string]string{}
		for _, sequence := range f.accepted {
			i := slices.IndexFunc(f.stream["a"], func(r Record) bool { return r.SequenceNumber == sequence })
			key := f.stream["a"][i].Key
			if sequence <= last[key] {
				rt.Fatalf("item %s: %s was accepted after %s", key, sequence, last[key])
			}
			last[key] = sequence
		}
		if len(f.accepted) != 40 || f.checkpoints["a"].After != "0040" {
			rt.Fatalf("%d records accepted up to %+v, want 40 and the last", len(f.accepted), f.checkpoints["a"])
		}
	})
}

func run(t *testing.T, f *fixture, settings Settings, d time.Duration) {
	t.Helper()
	if err := f.live(settings, d); err != nil {
		t.Fatal(err)
	}
}

// check runs the test in virtual time.
func check(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

func TestRetries(t *testing.T) {
	check(t, "a record is sent once, and then as often as MaxRetries allows", func(t *testing.T) {
		f := newFixture(1)
		f.poison["0001"] = true
		run(t, f, Settings{BatchSize: 10, MaxRetries: 3}, time.Hour)
		if len(f.calls) != 4 {
			t.Errorf("sent %d times, want 4", len(f.calls))
		}
		if len(f.rejected) != 1 || f.rejected[0].Condition != RetryAttemptsExhausted {
			t.Errorf("rejected: %+v", f.rejected)
		}
		if got := f.outcomes(hop.DeadLetter); len(got) != 1 || got[0].EventIDs[0] != "event-1" {
			t.Errorf("hops: %+v", got)
		}
	})
	check(t, "internal errors do not count", func(t *testing.T) {
		f := newFixture(1)
		f.plan = slices.Repeat([]fault{internalAll}, 50)
		run(t, f, Settings{BatchSize: 10, MaxRetries: 1, Bisect: true}, time.Hour)
		if len(f.calls) != 51 || len(f.accepted) != 1 {
			t.Errorf("sent %d times, accepted %v; want 51 times, accepted at last", len(f.calls), f.accepted)
		}
	})
	check(t, "internal errors end with the age", func(t *testing.T) {
		f := newFixture(1)
		f.plan = slices.Repeat([]fault{internalAll}, 5000)
		run(t, f, Settings{BatchSize: 10, MaxRetries: 1, MaxAge: time.Minute}, time.Hour)
		if len(f.rejected) != 1 || f.rejected[0].Condition != RecordAgeExceeded {
			t.Errorf("rejected: %+v", f.rejected)
		}
		if took := f.callTimes[len(f.callTimes)-1].Sub(f.callTimes[0]); took > time.Minute {
			t.Errorf("still retried after %v", took)
		}
	})
	check(t, "without limits a record is retried until the stream would lose it", func(t *testing.T) {
		f := newFixture(1)
		f.poison["0001"] = true
		if err := f.drain(Settings{BatchSize: 1, MaxRetries: -1}, 2*Retention); err != nil {
			t.Fatal(err)
		}
		tried := f.callTimes[len(f.callTimes)-1].Sub(f.callTimes[0])
		if tried < Retention-time.Minute || tried > Retention || len(f.rejected) != 1 {
			t.Errorf("retried for %v, rejected %+v", tried, f.rejected)
		}
	})
	check(t, "the waits grow up to ten seconds", func(t *testing.T) {
		f := newFixture(1)
		f.poison["0001"] = true
		run(t, f, Settings{BatchSize: 1, MaxRetries: 20}, time.Hour)
		for i := 1; i < len(f.callTimes); i++ {
			most := min(retryLast, 100*time.Millisecond<<(i-1))
			if wait := f.callTimes[i].Sub(f.callTimes[i-1]); wait < most/2 || wait > most {
				t.Errorf("wait %d is %v, want %v to %v", i, wait, most/2, most)
			}
		}
	})
	check(t, "only what failed is sent again", func(t *testing.T) {
		f := newFixture(4)
		f.plan = []fault{refuseEven}
		run(t, f, Settings{BatchSize: 10, MaxRetries: 5}, time.Minute)
		want := [][]string{{"0001", "0002", "0003", "0004"}, {"0001", "0003"}}
		if !slices.EqualFunc(f.calls, want, slices.Equal) {
			t.Errorf("calls %v, want %v", f.calls, want)
		}
	})
	check(t, "an unavailable dead-letter queue holds the checkpoint", func(t *testing.T) {
		f := newFixture(2)
		f.poison["0001"] = true
		f.plan = []fault{refuseAll, queueUnavailable, queueUnavailable, queueUnavailable}
		run(t, f, Settings{BatchSize: 1}, time.Hour)
		if len(f.rejected) != 1 || len(f.missing()) != 0 {
			t.Errorf("rejected %+v, missing %v", f.rejected, f.missing())
		}
	})
	check(t, "without a dead-letter queue the record is dropped and the next one is delivered", func(t *testing.T) {
		f := newFixture(2)
		f.poison["0001"] = true
		ctx, cancel := contextFor(time.Minute)
		defer cancel()
		f.endLife = cancel
		p := f.pipe(Settings{BatchSize: 1}, &fakes{fixture: f})
		p.DeadLetter = nil
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if got := f.outcomes(hop.Dropped); len(got) != 1 || !slices.Equal(f.accepted, []string{"0002"}) {
			t.Errorf("dropped %+v, accepted %v", got, f.accepted)
		}
	})
}

func TestBisect(t *testing.T) {
	check(t, "halves until the poison record is alone, without counting", func(t *testing.T) {
		f := newFixture(8)
		f.plan = []fault{refuseAll, refuseAll, refuseAll}
		f.poison["0001"] = true
		run(t, f, Settings{BatchSize: 8, MaxRetries: 0, Bisect: true}, time.Hour)
		want := [][]string{
			{"0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008"},
			{"0001", "0002", "0003", "0004"},
			{"0001", "0002"},
			{"0001"},
			{"0002"},
			{"0003", "0004"},
			{"0005", "0006", "0007", "0008"},
		}
		if !slices.EqualFunc(f.calls, want, slices.Equal) {
			t.Errorf("calls %v, want %v", f.calls, want)
		}
		if len(f.rejected) != 1 || len(f.rejected[0].Records) != 1 || f.rejected[0].Records[0].SequenceNumber != "0001" {
			t.Errorf("rejected %+v", f.rejected)
		}
	})
	check(t, "events that are too large together pass in smaller requests, one that is too large alone fails alone", func(t *testing.T) {
		f := newFixture(10)
		f.most = 2
		f.poison["0004"] = true
		run(t, f, Settings{BatchSize: 10, MaxRetries: 0, Bisect: true}, time.Hour)
		if len(f.rejected) != 1 || len(f.rejected[0].Records) != 1 || f.rejected[0].Records[0].SequenceNumber != "0004" {
			t.Errorf("rejected %+v", f.rejected)
		}
		if len(f.accepted) != 9 || !slices.IsSorted(f.accepted) {
			t.Errorf("accepted %v", f.accepted)
		}
	})
	check(t, "without it a batch goes to the dead-letter queue as one", func(t *testing.T) {
		f := newFixture(3)
		f.plan = []fault{refuseAll, refuseAll}
		run(t, f, Settings{BatchSize: 8, MaxRetries: 1}, time.Hour)
		if len(f.rejected) != 1 || len(f.rejected[0].Records) != 3 {
			t.Errorf("rejected %+v", f.rejected)
		}
	})
}

func TestCheckpointsAdvance(t *testing.T) {
	check(t, "filtered records advance the checkpoint", func(t *testing.T) {
		f := newFixture(3)
		f.filtered = map[string]bool{"0001": true, "0002": true, "0003": true}
		run(t, f, Settings{BatchSize: 10, Window: time.Minute}, time.Second)
		if f.checkpoints["a"].After != "0003" || len(f.calls) != 0 {
			t.Errorf("checkpoint %+v, calls %v", f.checkpoints["a"], f.calls)
		}
	})
	check(t, "parents come before children", func(t *testing.T) {
		f := newFixture(5)
		f.addShard("b", "a")
		f.add("b", 5)
		f.closed["a"] = true
		f.poison["0001"] = true
		run(t, f, Settings{BatchSize: 2, MaxRetries: 5}, time.Minute)
		if !slices.IsSorted(f.accepted) || len(f.accepted) != 9 {
			t.Errorf("accepted %v", f.accepted)
		}
		if !f.checkpoints["a"].Ended || f.checkpoints["b"].Ended {
			t.Errorf("checkpoints %+v", f.checkpoints)
		}
	})
	check(t, "a lost cursor and a failed read cost no duplicate", func(t *testing.T) {
		f := newFixture(6)
		f.plan = []fault{shortPage, noNext, shortPage, readError, readError, readError, noNext}
		run(t, f, Settings{BatchSize: 10}, time.Minute)
		if want := []string{"0001", "0002", "0003", "0004", "0005", "0006"}; !slices.Equal(f.accepted, want) {
			t.Errorf("accepted %v, want each once", f.accepted)
		}
		if len(f.outcomes(hop.Retry)) != 1 {
			t.Errorf("hops %+v, want one for three failed reads in a row", f.hops)
		}
	})
	check(t, "LATEST skips what was there, and nothing that came after, however often it is killed", func(t *testing.T) {
		f := newFixture(3)
		f.beforeLatest = map[string]bool{"0001": true, "0002": true, "0003": true}
		settings := Settings{BatchSize: 10, Latest: true}
		run(t, f, settings, time.Second)
		f.add("a", 1)
		f.plan = []fault{kill}
		run(t, f, settings, time.Second)
		if !slices.Equal(f.accepted, []string{"0004"}) {
			t.Errorf("accepted %v, want 0004", f.accepted)
		}
	})
	check(t, "a pipe whose checkpoint is trimmed continues with the oldest record and reports it", func(t *testing.T) {
		f := newFixture(3)
		f.checkpoints = map[string]Checkpoint{"a": {After: "0000"}}
		run(t, f, Settings{BatchSize: 10}, time.Second)
		if len(f.accepted) != 3 || len(f.outcomes(hop.Retry)) != 1 {
			t.Errorf("accepted %v, hops %+v", f.accepted, f.hops)
		}
	})
}

func TestBatches(t *testing.T) {
	check(t, "a window waits for a full batch", func(t *testing.T) {
		f := newFixture(3)
		began := time.Now()
		go func() {
			time.Sleep(2 * time.Second)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.add("a", 3)
		}()
		run(t, f, Settings{BatchSize: 5, Window: 10 * time.Second}, time.Minute)
		if took := f.callTimes[0].Sub(began); len(f.calls[0]) != 5 || took < 2*time.Second || took > 3*time.Second {
			t.Errorf("first batch %v after %v", f.calls[0], took)
		}
	})
	check(t, "a window ends", func(t *testing.T) {
		f := newFixture(3)
		began := time.Now()
		run(t, f, Settings{BatchSize: 5, Window: 10 * time.Second}, time.Minute)
		if took := f.callTimes[0].Sub(began); len(f.calls[0]) != 3 || took != 10*time.Second {
			t.Errorf("first batch %v after %v", f.calls[0], took)
		}
	})
	check(t, "without a window a record passes within 100 ms", func(t *testing.T) {
		f := newFixture(0)
		var added time.Time
		go func() {
			time.Sleep(5*time.Minute + 33*time.Millisecond)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.add("a", 1)
			added = time.Now()
		}()
		run(t, f, Settings{BatchSize: 5}, 10*time.Minute)
		if took := f.callTimes[0].Sub(added); took > maxIdle {
			t.Errorf("took %v", took)
		}
		if latency := f.outcomes(hop.OK)[0].Latency; latency > maxIdle {
			t.Errorf("reported latency %v", latency)
		}
	})
}

// maxIdle is the longest pause of a reader between two reads.
const maxIdle = 100 * time.Millisecond

func contextFor(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}
