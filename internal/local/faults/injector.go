package faults

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
)

// How long the faults last that last for a while.
const (
	holdFor = time.Second     // a connection before it is cut
	stopFor = 2 * time.Second // a shard that gives nothing, a target that takes nothing
	slowFor = 1500 * time.Millisecond
)

// Injector decides where faults happen. Its methods may be called from many goroutines.
type Injector struct {
	plan    Plan
	sink    func(console.Fault)
	enabled map[Point]bool
	names   *names
	healed  chan struct{} // closed when no fault happens any more

	mu    sync.Mutex
	asked map[string]int // by point and key
	steps []int          // how often each step of the script was asked for
	fired map[string]int // by point
}

// New is an Injector for a plan that Load has checked. The sink takes each fault as it happens.
func New(plan *Plan, sink func(console.Fault)) *Injector {
	i := &Injector{
		plan: *plan, sink: sink, enabled: map[Point]bool{}, names: newNames(), healed: make(chan struct{}),
		asked: map[string]int{}, steps: make([]int, len(plan.Script)), fired: map[string]int{},
	}
	for point, rate := range plan.Rates {
		if rate > 0 {
			i.enable(point)
		}
	}
	for _, step := range plan.Script {
		i.enable(step.Point)
	}
	return i
}

func (i *Injector) enable(p Point) {
	i.enabled[p] = true
	i.fired[string(p)] = 0
}

// Heal ends all faults. It says false when they have ended before.
func (i *Injector) Heal() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.isHealed() {
		return false
	}
	close(i.healed)
	return true
}

// Until is when the plan heals by itself, and whether it does.
func (i *Injector) Until() (time.Time, bool) { return i.plan.Until.Time, !i.plan.Until.IsZero() }

// Fired is how often each point of the plan has fired. A point that is in the plan and never fired has 0.
func (i *Injector) Fired() map[string]int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return maps.Clone(i.fired)
}

func (i *Injector) isHealed() bool {
	select {
	case <-i.healed:
		return true
	default:
		return false
	}
}

// subject is what a fault would happen to.
type subject struct {
	key    string   // the same in every run
	events []string // the events in it, by the name that is the same in every run
	ids    []string // their ids in this run
}

// at is the subject at a resource.
func (s subject) at(resource string) subject {
	if s.key == "" {
		s.key = resource
	} else {
		s.key += " @ " + resource
	}
	return s
}

// is says whether a step of a script means the subject.
func (s subject) is(key string) bool {
	return key == "" || key == s.key || slices.Contains(s.events, key) || slices.Contains(s.ids, key)
}

// fires says whether the fault happens now, and reports it if so.
func (i *Injector) fires(p Point, s subject) bool { return i.decide(p, s, s.ids) }

// anyFires asks for each of the subjects and says whether the fault happens to one of them, and so to all.
func (i *Injector) anyFires(p Point, subjects []subject) bool {
	var all []string
	for _, s := range subjects {
		all = append(all, s.ids...)
	}
	fires := false
	for _, s := range subjects {
		fires = i.decide(p, s, all) || fires
	}
	return fires
}

// decide says whether the fault happens to the subject. If so it hits all the events with these ids.
func (i *Injector) decide(p Point, s subject, hit []string) bool {
	if !i.enabled[p] || i.isHealed() || i.over() {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	count := string(p) + " " + s.key
	i.asked[count]++
	n := i.asked[count]
	fires := i.hash(string(p), s.key, strconv.Itoa(n)) < i.plan.Rates[p]
	for at, step := range i.plan.Script {
		if step.Point != p || !s.is(step.Key) {
			continue
		}
		i.steps[at]++
		fires = fires || i.steps[at] == max(step.Nth, 1)
	}
	if fires {
		i.fired[string(p)]++
		i.sink(console.Fault{At: time.Now(), Point: string(p), Key: s.key, N: n, EventIDs: hit})
	}
	return fires
}

func (i *Injector) over() bool {
	until, ends := i.Until()
	return ends && !time.Now().Before(until)
}

// pick chooses one of n forms of a fault.
func (i *Injector) pick(p Point, s subject, n int) int {
	return int(i.hash("form", string(p), s.key) * float64(n))
}

// hash maps the seed and the words to a number from 0 up to, but not including, 1.
func (i *Injector) hash(words ...string) float64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %q", i.plan.Seed, words))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / math.Exp2(53)
}

// wait lets d pass, unless ctx is done or the faults are healed before.
func (i *Injector) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-i.healed:
	}
}
