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
	// The thread that starts children lives as long as the process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/outboxkit/transactional-outbox/internal/local/process.spawnForever"))
}

// Whatever fails, and wherever the pipe is killed: every record is accepted or named in the dead-letter
// queue, and no stored position ever passes one that is not.
func TestNothingIsLost(t *testing.T) {
	faults := []fault{
		noFault, refuseAll, awayAll, refuseEven, awayOdd, lateAnswer,
		kill, killAfter, readError, noNext, shortPage, queueAway,
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
			w := newWorld(records)
			w.plan = plan
			for _, n := range poison {
				w.poison[fmt.Sprintf("%04d", n)] = true
			}
			for _, n := range hidden {
				w.hidden[fmt.Sprintf("%04d", n)] = true
			}
			w.closed["a"] = true
			w.addShard("b", "a")
			w.add("b", records/2)
			if err = w.drain(settings, 3*time.Hour); err == nil && len(w.missing()) > 0 {
				err = fmt.Errorf("records %v are neither accepted nor in the dead-letter queue", w.missing())
			}
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}

// Records of one item are accepted in their order whatever the number of lanes, as long as the target
// takes batches whole or not at all.
func TestOrderOfOneItem(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		settings := Settings{
			BatchSize:  rapid.IntRange(1, 10).Draw(rt, "batch size"),
			Parallel:   rapid.IntRange(1, 10).Draw(rt, "parallel"),
			MaxRetries: -1,
			Bisect:     rapid.Bool().Draw(rt, "bisect"),
		}
		plan := rapid.SliceOfN(rapid.SampledFrom([]fault{noFault, refuseAll, awayAll, shortPage}), 0, 40).Draw(rt, "plan")
		var w *world
		synctest.Test(t, func(*testing.T) {
			w = newWorld(40)
			w.plan = plan
			if err := w.drain(settings, time.Hour); err != nil {
				rt.Error(err)
			}
		})
		last := map[string]string{}
		for _, sequence := range w.accepted {
			i := slices.IndexFunc(w.stream["a"], func(r Record) bool { return r.SequenceNumber == sequence })
			key := w.stream["a"][i].Key
			if sequence <= last[key] {
				rt.Fatalf("item %s: %s was accepted after %s", key, sequence, last[key])
			}
			last[key] = sequence
		}
		if len(w.accepted) != 40 || w.positions["a"].After != "0040" {
			rt.Fatalf("%d records accepted up to %+v, want 40 and the last", len(w.accepted), w.positions["a"])
		}
	})
}

func run(t *testing.T, w *world, settings Settings, d time.Duration) {
	t.Helper()
	if err := w.live(settings, d); err != nil {
		t.Fatal(err)
	}
}

// check runs the test in virtual time.
func check(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

func TestRetries(t *testing.T) {
	check(t, "a record is sent once and then as often as it may be retried", func(t *testing.T) {
		w := newWorld(1)
		w.poison["0001"] = true
		run(t, w, Settings{BatchSize: 10, MaxRetries: 3}, time.Hour)
		if len(w.calls) != 4 {
			t.Errorf("sent %d times, want 4", len(w.calls))
		}
		if len(w.rejected) != 1 || w.rejected[0].Condition != RetryAttemptsExhausted {
			t.Errorf("rejected: %+v", w.rejected)
		}
		if got := w.outcomes(hop.DeadLetter); len(got) != 1 || got[0].EventIDs[0] != "event-1" {
			t.Errorf("hops: %+v", got)
		}
	})
	check(t, "internal errors do not count", func(t *testing.T) {
		w := newWorld(1)
		w.plan = slices.Repeat([]fault{awayAll}, 50)
		run(t, w, Settings{BatchSize: 10, MaxRetries: 1, Bisect: true}, time.Hour)
		if len(w.calls) != 51 || len(w.accepted) != 1 {
			t.Errorf("sent %d times, accepted %v; want 51 times, accepted at last", len(w.calls), w.accepted)
		}
	})
	check(t, "internal errors end with the age", func(t *testing.T) {
		w := newWorld(1)
		w.plan = slices.Repeat([]fault{awayAll}, 5000)
		run(t, w, Settings{BatchSize: 10, MaxRetries: 1, MaxAge: time.Minute}, time.Hour)
		if len(w.rejected) != 1 || w.rejected[0].Condition != RecordAgeExceeded {
			t.Errorf("rejected: %+v", w.rejected)
		}
		if took := w.callTimes[len(w.callTimes)-1].Sub(w.callTimes[0]); took > time.Minute {
			t.Errorf("still tried after %v", took)
		}
	})
	check(t, "without limits a record is tried until the stream would lose it", func(t *testing.T) {
		w := newWorld(1)
		w.poison["0001"] = true
		if err := w.drain(Settings{BatchSize: 1, MaxRetries: -1}, 2*Retention); err != nil {
			t.Fatal(err)
		}
		tried := w.callTimes[len(w.callTimes)-1].Sub(w.callTimes[0])
		if tried < Retention-time.Minute || tried > Retention || len(w.rejected) != 1 {
			t.Errorf("tried for %v, rejected %+v", tried, w.rejected)
		}
	})
	check(t, "the waits grow up to ten seconds", func(t *testing.T) {
		w := newWorld(1)
		w.poison["0001"] = true
		run(t, w, Settings{BatchSize: 1, MaxRetries: 20}, time.Hour)
		for i := 1; i < len(w.callTimes); i++ {
			most := min(retryLast, retryFirst<<(i-1))
			if wait := w.callTimes[i].Sub(w.callTimes[i-1]); wait < most/2 || wait > most {
				t.Errorf("wait %d is %v, want %v to %v", i, wait, most/2, most)
			}
		}
	})
	check(t, "only what failed is sent again", func(t *testing.T) {
		w := newWorld(4)
		w.plan = []fault{refuseEven}
		run(t, w, Settings{BatchSize: 10, MaxRetries: 5}, time.Minute)
		want := [][]string{{"0001", "0002", "0003", "0004"}, {"0001", "0003"}}
		if !slices.EqualFunc(w.calls, want, slices.Equal) {
			t.Errorf("calls %v, want %v", w.calls, want)
		}
	})
	check(t, "a dead-letter queue that is away holds the position", func(t *testing.T) {
		w := newWorld(2)
		w.poison["0001"] = true
		w.plan = []fault{refuseAll, queueAway, queueAway, queueAway}
		run(t, w, Settings{BatchSize: 1}, time.Hour)
		if len(w.rejected) != 1 || len(w.missing()) != 0 {
			t.Errorf("rejected %+v, missing %v", w.rejected, w.missing())
		}
	})
	check(t, "without a dead-letter queue the record is dropped and the next one goes on", func(t *testing.T) {
		w := newWorld(2)
		w.poison["0001"] = true
		ctx, cancel := contextFor(time.Minute)
		defer cancel()
		w.life = cancel
		p := w.pipe(Settings{BatchSize: 1}, &seams{world: w})
		p.DeadLetter = nil
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if got := w.outcomes(hop.Dropped); len(got) != 1 || !slices.Equal(w.accepted, []string{"0002"}) {
			t.Errorf("dropped %+v, accepted %v", got, w.accepted)
		}
	})
}

func TestBisect(t *testing.T) {
	check(t, "halves until the poison record is alone, without counting", func(t *testing.T) {
		w := newWorld(8)
		w.plan = []fault{refuseAll, refuseAll, refuseAll}
		w.poison["0001"] = true
		run(t, w, Settings{BatchSize: 8, MaxRetries: 0, Bisect: true}, time.Hour)
		want := [][]string{
			{"0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008"},
			{"0001", "0002", "0003", "0004"},
			{"0001", "0002"},
			{"0001"},
			{"0002"},
			{"0003", "0004"},
			{"0005", "0006", "0007", "0008"},
		}
		if !slices.EqualFunc(w.calls, want, slices.Equal) {
			t.Errorf("calls %v, want %v", w.calls, want)
		}
		if len(w.rejected) != 1 || len(w.rejected[0].Records) != 1 || w.rejected[0].Records[0].SequenceNumber != "0001" {
			t.Errorf("rejected %+v", w.rejected)
		}
	})
	check(t, "events that are too large together pass in smaller requests, one that is too large alone fails alone", func(t *testing.T) {
		w := newWorld(10)
		w.most = 2
		w.poison["0004"] = true
		run(t, w, Settings{BatchSize: 10, MaxRetries: 0, Bisect: true}, time.Hour)
		if len(w.rejected) != 1 || len(w.rejected[0].Records) != 1 || w.rejected[0].Records[0].SequenceNumber != "0004" {
			t.Errorf("rejected %+v", w.rejected)
		}
		if len(w.accepted) != 9 || !slices.IsSorted(w.accepted) {
			t.Errorf("accepted %v", w.accepted)
		}
	})
	check(t, "without it a batch goes to the dead-letter queue as one", func(t *testing.T) {
		w := newWorld(3)
		w.plan = []fault{refuseAll, refuseAll}
		run(t, w, Settings{BatchSize: 8, MaxRetries: 1}, time.Hour)
		if len(w.rejected) != 1 || len(w.rejected[0].Records) != 3 {
			t.Errorf("rejected %+v", w.rejected)
		}
	})
}

func TestPositions(t *testing.T) {
	check(t, "filtered records advance the position", func(t *testing.T) {
		w := newWorld(3)
		w.hidden = map[string]bool{"0001": true, "0002": true, "0003": true}
		run(t, w, Settings{BatchSize: 10, Window: time.Minute}, time.Second)
		if w.positions["a"].After != "0003" || len(w.calls) != 0 {
			t.Errorf("position %+v, calls %v", w.positions["a"], w.calls)
		}
	})
	check(t, "parents come before children", func(t *testing.T) {
		w := newWorld(5)
		w.addShard("b", "a")
		w.add("b", 5)
		w.closed["a"] = true
		w.poison["0001"] = true
		run(t, w, Settings{BatchSize: 2, MaxRetries: 5}, time.Minute)
		if !slices.IsSorted(w.accepted) || len(w.accepted) != 9 {
			t.Errorf("accepted %v", w.accepted)
		}
		if !w.positions["a"].Ended || w.positions["b"].Ended {
			t.Errorf("positions %+v", w.positions)
		}
	})
	check(t, "a lost cursor and a failed read cost no duplicate", func(t *testing.T) {
		w := newWorld(6)
		w.plan = []fault{shortPage, noNext, shortPage, readError, readError, readError, noNext}
		run(t, w, Settings{BatchSize: 10}, time.Minute)
		if want := []string{"0001", "0002", "0003", "0004", "0005", "0006"}; !slices.Equal(w.accepted, want) {
			t.Errorf("accepted %v, want each once", w.accepted)
		}
		if len(w.outcomes(hop.Retry)) != 1 {
			t.Errorf("hops %+v, want one for three failed reads in a row", w.hops)
		}
	})
	check(t, "LATEST skips what was there, and nothing that came after, however often it is killed", func(t *testing.T) {
		w := newWorld(3)
		w.before = map[string]bool{"0001": true, "0002": true, "0003": true}
		settings := Settings{BatchSize: 10, Latest: true}
		run(t, w, settings, time.Second)
		w.add("a", 1)
		w.plan = []fault{kill}
		run(t, w, settings, time.Second)
		if !slices.Equal(w.accepted, []string{"0004"}) {
			t.Errorf("accepted %v, want 0004", w.accepted)
		}
	})
	check(t, "a position that is gone goes on with the oldest record and says so", func(t *testing.T) {
		w := newWorld(3)
		w.positions = map[string]Position{"a": {After: "0000"}}
		run(t, w, Settings{BatchSize: 10}, time.Second)
		if len(w.accepted) != 3 || len(w.outcomes(hop.Retry)) != 1 {
			t.Errorf("accepted %v, hops %+v", w.accepted, w.hops)
		}
	})
}

func TestBatches(t *testing.T) {
	check(t, "a window waits for a full batch", func(t *testing.T) {
		w := newWorld(3)
		began := time.Now()
		go func() {
			time.Sleep(2 * time.Second)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.add("a", 3)
		}()
		run(t, w, Settings{BatchSize: 5, Window: 10 * time.Second}, time.Minute)
		if took := w.callTimes[0].Sub(began); len(w.calls[0]) != 5 || took < 2*time.Second || took > 3*time.Second {
			t.Errorf("first batch %v after %v", w.calls[0], took)
		}
	})
	check(t, "a window ends", func(t *testing.T) {
		w := newWorld(3)
		began := time.Now()
		run(t, w, Settings{BatchSize: 5, Window: 10 * time.Second}, time.Minute)
		if took := w.callTimes[0].Sub(began); len(w.calls[0]) != 3 || took != 10*time.Second {
			t.Errorf("first batch %v after %v", w.calls[0], took)
		}
	})
	check(t, "without a window a record passes within 100 ms", func(t *testing.T) {
		w := newWorld(0)
		var added time.Time
		go func() {
			time.Sleep(5*time.Minute + 33*time.Millisecond)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.add("a", 1)
			added = time.Now()
		}()
		run(t, w, Settings{BatchSize: 5}, 10*time.Minute)
		if took := w.callTimes[0].Sub(added); took > idleMax {
			t.Errorf("took %v", took)
		}
		if latency := w.outcomes(hop.OK)[0].Latency; latency > idleMax {
			t.Errorf("reported latency %v", latency)
		}
	})
}

func contextFor(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}
