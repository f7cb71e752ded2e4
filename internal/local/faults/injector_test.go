package faults

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
)

func TestMain(m *testing.M) {
	// The thread that starts children lives as long as the process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/outboxkit/transactional-outbox/internal/local/process.spawnForever"))
}

// A faultRecorder keeps what an injector reports.
type faultRecorder struct {
	mu     sync.Mutex
	faults []console.Fault
}

func (r *faultRecorder) add(f console.Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, f)
}

func (r *faultRecorder) all() []console.Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.faults)
}

// list returns "<point> | <key> | <n>" for each fault, sorted.
func (r *faultRecorder) list() []string {
	lines := []string{}
	for _, f := range r.all() {
		lines = append(lines, fmt.Sprintf("%s | %s | %d", f.Point, f.Key, f.N))
	}
	slices.Sort(lines)
	return lines
}

// injecting returns an injector whose points always fire.
func injecting(points ...Point) (*Injector, *faultRecorder) {
	plan := &Plan{Rates: map[Point]float64{}}
	for _, p := range points {
		plan.Rates[p] = 1
	}
	return newInjector(plan)
}

func scripted(steps ...Step) (*Injector, *faultRecorder) { return newInjector(&Plan{Script: steps}) }

func newInjector(plan *Plan) (*Injector, *faultRecorder) {
	r := &faultRecorder{}
	return New(plan, r.add), r
}

func about(key string) subject { return subject{key: key, events: []string{key}, ids: []string{key}} }

// TestReplay checks that the same plan fires at the same points, whoever checks them and in whatever order.
func TestReplay(t *testing.T) {
	run := func(seed uint64, workers int) []string {
		i, fired := newInjector(&Plan{Seed: seed, Rates: map[Point]float64{BusPartial: 0.3, QueueDuplicate: 0.3}})
		keys := make(chan string)
		var asking sync.WaitGroup
		for range workers {
			asking.Go(func() {
				for key := range keys {
					for range 5 {
						i.fires(BusPartial, about(key))
						i.fires(QueueDuplicate, about(key))
					}
				}
			})
		}
		order := make([]int, 200)
		for n := range order {
			order[n] = n
		}
		if workers > 1 {
			slices.Reverse(order)
		}
		for _, n := range order {
			keys <- fmt.Sprint("order-", n)
		}
		close(keys)
		asking.Wait()
		return fired.list()
	}
	first := run(1, 1)
	if again := run(1, 8); !slices.Equal(first, again) {
		t.Errorf("the second run fired differently: %d and %d faults", len(first), len(again))
	}
	if other := run(2, 1); slices.Equal(first, other) {
		t.Error("another seed fired at the same points")
	}
	// 2,000 decisions at 0.3; five standard deviations are 103.
	if n := len(first); n < 497 || n > 703 {
		t.Errorf("%d of 2,000 fired, want about 600", n)
	}
}

func TestRates(t *testing.T) {
	i, fired := newInjector(&Plan{Rates: map[Point]float64{BusPartial: 1, BusDuplicate: 0}})
	for n := range 100 {
		if !i.fires(BusPartial, about(fmt.Sprint(n))) {
			t.Error("a rate of 1 did not fire")
		}
		if i.fires(BusDuplicate, about(fmt.Sprint(n))) || i.fires(PipeRestart, about(fmt.Sprint(n))) {
			t.Error("a rate of 0, or none, fired")
		}
	}
	if got := i.Fired(); len(got) != 1 || got["bus.partial"] != 100 {
		t.Errorf("fired %v", got)
	}
	f := fired.faults[0]
	if f.Point != "bus.partial" || f.Key != "0" || f.N != 1 || f.At.IsZero() || !slices.Equal(f.EventIDs, []string{"0"}) {
		t.Errorf("reported %+v", f)
	}
}

func TestScript(t *testing.T) {
	whole := subject{key: "Order#1@2 @ Queue", events: []string{"Order#1@2"}, ids: []string{"id-2"}}
	for name, c := range map[string]struct {
		step Step
		ask  []subject
		want []bool
	}{
		"nth for a key":    {Step{BusDuplicate, "a", 2}, []subject{about("a"), about("b"), about("a"), about("a")}, []bool{false, false, true, false}},
		"nth for any":      {Step{BusDuplicate, "", 2}, []subject{about("a"), about("b"), about("c")}, []bool{false, true, false}},
		"first by default": {Step{Point: BusDuplicate}, []subject{about("a"), about("a")}, []bool{true, false}},
		"a whole key":      {Step{Point: BusDuplicate, Key: "Order#1@2 @ Queue"}, []subject{about("a"), whole}, []bool{false, true}},
		"an event":         {Step{Point: BusDuplicate, Key: "Order#1@2"}, []subject{about("a"), whole}, []bool{false, true}},
		"an event's id":    {Step{Point: BusDuplicate, Key: "id-2"}, []subject{about("a"), whole}, []bool{false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			i, _ := scripted(c.step)
			for n, s := range c.ask {
				if got := i.fires(BusDuplicate, s); got != c.want[n] {
					t.Errorf("ask %d: %t, want %t", n, got, c.want[n])
				}
			}
		})
	}
}

// TestBatch checks that a fault which fires for one message and hits its batch names all events of the batch.
func TestBatch(t *testing.T) {
	i, fired := scripted(Step{Point: FunctionKillBefore, Key: "b"})
	if !i.anyFires(FunctionKillBefore, []subject{about("a"), about("b"), about("c")}) {
		t.Fatal("it did not fire")
	}
	if f := fired.faults[0]; len(fired.faults) != 1 || f.Key != "b" || !slices.Equal(f.EventIDs, []string{"a", "b", "c"}) {
		t.Errorf("reported %+v", fired.faults)
	}
	// Each message is checked, whatever the decision on those before it.
	i, fired = injecting(FunctionKillBefore)
	i.anyFires(FunctionKillBefore, []subject{about("a"), about("b")})
	if got := fired.list(); !slices.Equal(got, []string{"function.kill-before | a | 1", "function.kill-before | b | 1"}) {
		t.Errorf("fired %q", got)
	}
}

func TestHeal(t *testing.T) {
	i, fired := injecting(BusPartial)
	if !i.Heal() || i.Heal() {
		t.Error("only the first Heal heals")
	}
	if i.fires(BusPartial, about("a")) || len(fired.faults) != 0 {
		t.Error("a healed fault fired")
	}
	if got := i.Fired(); got["bus.partial"] != 0 || len(got) != 1 {
		t.Errorf("fired %v, want bus.partial 0 times", got)
	}
}

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, _ := newInjector(&Plan{Rates: map[Point]float64{BusPartial: 1}, Until: Time{time.Now().Add(time.Minute)}})
		time.Sleep(time.Minute - time.Nanosecond)
		if !i.fires(BusPartial, about("a")) {
			t.Error("it ended too early")
		}
		time.Sleep(time.Nanosecond)
		if i.fires(BusPartial, about("a")) {
			t.Error("it did not end")
		}
	})
}

func TestNames(t *testing.T) {
	const id, other = "0198f5a2-7b1c-7c3d-9e4f-0123456789ab", "0198f5a2-7b1c-7c3d-9e4f-0123456789ac"
	n := newEventNames()
	key := func(body string) string { return n.inBody(body).key }
	if got := key(`{"detail": {"id": "o-1-1", "aggregateType": "Order", "aggregateId": "o-1", "version": 1}}`); got != "o-1-1" {
		t.Errorf("an id that stays is the name; got %q", got)
	}
	if got := n.replaceUnstableIDs("event#two#" + id); got != "event#two#*" {
		t.Errorf("an event that was never seen: %q", got)
	}
	s := n.inBody(`{"detail": {"id": "` + id + `", "aggregateType": "Order", "aggregateId": "o-1", "version": "2"}}`)
	if s.key != "Order#o-1@2" || !slices.Equal(s.ids, []string{id}) {
		t.Errorf("a UUIDv7: %+v", s)
	}
	if got := n.replaceUnstableIDs("event#two#" + id + " " + other); got != "event#two#Order#o-1@2 *" {
		t.Errorf("got %q", got)
	}
	item := map[string]any{}
	for name, text := range map[string]string{"recordType": "outbox.event", "id": other, "aggregateType": "Shipment", "aggregateId": "s-1"} {
		item[name] = map[string]any{"S": text}
	}
	item["version"] = map[string]any{"N": "1"}
	if got := n.inItem(item).key; got != "Shipment#s-1@1" {
		t.Errorf("an item: %q", got)
	}
	marker := map[string]any{"pk": map[string]any{"S": "event#two#o-1-1"}, "eventId": map[string]any{"S": id}, "note": map[string]any{"S": "else"}}
	if got := n.mentionedEvents(marker); !slices.Equal(got.ids, []string{id, "o-1-1"}) || !slices.Equal(got.events, []string{"Order#o-1@2", "o-1-1"}) {
		t.Errorf("a marker mentions %+v", got)
	}
	for _, body := range []string{"", "x", "{}", `{"detail": 1}`, `{"detail": {"id": 5}}`} {
		if got := key(body); got != "" {
			t.Errorf("%s is named %q", body, got)
		}
	}
	if got := about("e").at("Queue").key + ", " + (subject{}).at("Queue").key; got != "e @ Queue, Queue" {
		t.Errorf("got %q", got)
	}
}
