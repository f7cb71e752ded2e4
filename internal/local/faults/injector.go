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
	"sync/atomic"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
)

// The durations of the faults that last for a while.
const (
	holdFor = time.Second             // of a connection before it is closed
	stopFor = 2 * time.Second         // of a shard without records, and of a target that refuses everything
	slowFor = 1500 * time.Millisecond // added to a slow start
)

// An Injector decides where faults happen. Its methods may be called from many goroutines.
type Injector struct {
	seed   uint64
	trims  bool
	report func(console.Fault)
	names  *eventNames
	active atomic.Bool // a fault may happen

	mu      sync.Mutex
	rates   map[Point]float64
	script  []scriptStep
	until   time.Time      // when the faults end by themselves; zero: with the run
	healed  chan struct{}  // closed once all faults have ended, and replaced when others begin
	enabled map[Point]bool // points at which a fault may happen
	checks  map[string]int // number of checks, by point and key
	fired   map[string]int // number of faults, by point
}

// A scriptStep is a step of the script, and how many checks it has matched.
type scriptStep struct {
	Step
	checks int
	added  bool // while it runs, by Once
}

// nth returns the check at which the step's fault fires.
func (s scriptStep) nth() int { return max(s.Nth, 1) }

// New returns an Injector for a plan that [Load] has checked, or for an empty one, with which nothing happens until a fault
// is set. It calls report with each fault as it happens.
func New(plan *Plan, report func(console.Fault)) *Injector {
	i := &Injector{
		seed: plan.Seed, trims: plan.TrimStopped, until: plan.Until.Time, report: report, names: newEventNames(), healed: make(chan struct{}),
		rates: map[Point]float64{}, checks: map[string]int{}, fired: map[string]int{},
	}
	maps.Copy(i.rates, plan.Rates)
	for _, step := range plan.Script {
		i.script = append(i.script, scriptStep{Step: step})
	}
	i.enable()
	return i
}

// enable finds the points at which a fault may happen. The lock is held.
func (i *Injector) enable() {
	i.enabled = map[Point]bool{}
	for point, rate := range i.rates {
		if rate > 0 {
			i.enabled[point] = true
		}
	}
	for _, step := range i.script {
		i.enabled[step.Point] = true
	}
	for point := range i.enabled {
		i.fired[string(point)] += 0 // of one that never fires, too
	}
	i.active.Store(len(i.enabled) > 0)
}

// Heal ends all faults. It returns false when they had already ended.
func (i *Injector) Heal() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.isHealed() {
		return false
	}
	i.active.Store(false)
	close(i.healed)
	return true
}

// Until returns when the faults end by themselves, and whether the plan sets such a time.
func (i *Injector) Until() (time.Time, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.until, !i.until.IsZero()
}

// TrimsStopped reports whether the records that come while a pipe is stopped leave its stream.
func (i *Injector) TrimsStopped() bool { return i.trims }

// Fired returns how often each point of the plan has fired, 0 for a point that never did.
func (i *Injector) Fired() map[string]int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return maps.Clone(i.fired)
}

// isIdle reports that no fault may happen, so that nobody need find out what one would happen to.
func (i *Injector) isIdle() bool { return !i.active.Load() }

// isHealed reports whether all faults have ended. The lock is held.
func (i *Injector) isHealed() bool {
	select {
	case <-i.healed:
		return true
	default:
		return false
	}
}

// A subject is what a fault would happen to.
type subject struct {
	key    string   // the same in every run
	events []string // the names of the events in it, which are the same in every run
	ids    []string // their ids in this run
}

// at returns the subject at a resource.
func (s subject) at(resource string) subject {
	if s.key == "" {
		s.key = resource
	} else {
		s.key += " @ " + resource
	}
	return s
}

// matches reports whether the key of a script's step stands for the subject.
func (s subject) matches(key string) bool {
	return key == "" || key == s.key || slices.Contains(s.events, key) || slices.Contains(s.ids, key)
}

// fires decides whether the fault happens now, reports it if so, and returns the decision.
func (i *Injector) fires(p Point, s subject) bool { return i.decide(p, s, s.ids) }

// anyFires decides for each of the subjects. It returns true when the fault happens to one of them, and so to all.
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

// decide decides whether the fault happens to the subject, in which case it hits all events with the ids in hit.
func (i *Injector) decide(p Point, s subject, hit []string) bool {
	if i.isIdle() {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.enabled[p] || i.isHealed() || i.isOver() {
		return false
	}
	count := string(p) + " " + s.key
	i.checks[count]++
	n := i.checks[count]
	fires := i.hash(string(p), s.key, strconv.Itoa(n)) < i.rates[p]
	for at := range i.script {
		step := &i.script[at]
		if step.Point != p || !s.matches(step.Key) {
			continue
		}
		step.checks++
		fires = fires || step.checks == step.nth()
	}
	if fires {
		i.fired[string(p)]++
		i.report(console.Fault{At: time.Now(), Point: string(p), Key: s.key, N: n, EventIDs: hit})
	}
	return fires
}

// isOver reports whether the plan's time is up. The lock is held.
func (i *Injector) isOver() bool { return !i.until.IsZero() && !time.Now().Before(i.until) }

// ended returns a channel that is closed once the faults that may happen now have ended.
func (i *Injector) ended() <-chan struct{} {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.healed
}

// pick returns which of n forms a fault takes, from 0 to n-1.
func (i *Injector) pick(p Point, s subject, n int) int {
	return int(i.hash("form", string(p), s.key) * float64(n))
}

// hash returns a number from 0 up to, but not including, 1, which depends only on the seed and the words.
func (i *Injector) hash(words ...string) float64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %q", i.seed, words))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / math.Exp2(53)
}

// wait waits for d, or until ctx is done or the faults are healed.
func (i *Injector) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-i.ended():
	}
}
