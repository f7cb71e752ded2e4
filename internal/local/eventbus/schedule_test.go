package eventbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// A step is what happens to the next message that is sent to a queue.
type step int

const (
	taken     step = iota
	busy           // refused, may be retried
	late           // taken, but the answer is lost
	slow           // taken after half a minute
	gone           // refused permanently
	kill           // the run is killed before the queue has it
	killAfter      // the run is killed after the queue has it
)

// A timetable holds what outlives a kill: the queues, and the journal as far as it is on disk. Its fakes follow
// the plan.
type timetable struct {
	targets map[string]target
	denied  map[string]bool          // by ARN of the queue
	maxAge  map[string]time.Duration // by ARN of the queue
	plan    map[string][]step        // of the messages about an event and a target
	lazy    bool                     // a kill undoes what the journal may lose
	began   time.Time                // when all events were accepted by the bus

	mu          sync.Mutex
	onDisk      map[uint64]delivery
	changed     map[uint64]*delivery // nil: removed; not on disk yet
	sent        map[string]int       // by target and event
	deadLetters map[string]string    // condition, by target and event
	dropped     map[string]bool
	tries       map[string]int // number of attempts of each event in all lives
	waits       []error        // waits that were too short or too long
	tried       map[string]time.Time
	era         int
	die         context.CancelFunc
}

func subjectName(queueARN string, event any) string { return fmt.Sprint(queueARN, " ", event) }

// subject returns the name of the event that a message holds and of the queue that it was meant for.
func subject(arn string, m message) string {
	var event struct{ ID int }
	_ = json.Unmarshal([]byte(m.body), &event)
	if target := m.attributes["TARGET_ARN"]; target != "" {
		arn = target
	}
	return subjectName(arn, event.ID)
}

// A life is one dispatcher's view of the timetable, from a start to the next kill. After its kill it has no effect.
type life struct {
	*timetable
	era int
}

var errDead = &failure{codeConnection, false, errors.New("the run was killed")}

func (l *life) send(ctx context.Context, arn string, m message) error {
	l.mu.Lock()
	if l.era != l.timetable.era {
		l.mu.Unlock()
		return errDead
	}
	next := taken
	which := subject(arn, m)
	if plan := l.plan[which]; len(plan) > 0 {
		next, l.plan[which] = plan[0], plan[1:]
	}
	if next == kill {
		l.kill()
		l.mu.Unlock()
		return errDead
	}
	if next == slow {
		l.mu.Unlock()
		if !sleep(ctx, 30*time.Second) {
			return errDead
		}
		l.mu.Lock()
	}
	defer l.mu.Unlock()
	return l.receive(which, m, next)
}

// receive returns the queue's answer to a message. Its caller holds the lock.
func (l *life) receive(which string, m message, next step) error {
	if l.era != l.timetable.era {
		return errDead
	}
	if next == busy || next == gone {
		code := map[step]string{busy: codeTarget, gone: codeNoResource}[next]
		return &failure{code, next == gone, errors.New("injected")}
	}
	if m.attributes["TARGET_ARN"] != "" {
		l.deadLetters[which] = m.attributes["EXHAUSTED_RETRY_CONDITION"] + " " + m.attributes["RETRY_ATTEMPTS"]
	} else {
		l.sent[which]++
	}
	if next == killAfter {
		l.kill()
		return errDead
	}
	if next == late {
		return &failure{codeConnection, false, errors.New("no answer")}
	}
	return nil
}

// kill ends the life. Its caller holds the lock.
func (l *life) kill() {
	l.timetable.era++
	if !l.lazy {
		l.flush()
	}
	l.changed = map[uint64]*delivery{}
	l.die()
}

func (s *timetable) flush() {
	for key, d := range s.changed {
		if d == nil {
			delete(s.onDisk, key)
		} else {
			s.onDisk[key] = *d
		}
	}
}

func (l *life) update(d *delivery) { copied := *d; l.change(d.key, &copied) }
func (l *life) remove(d *delivery) { l.change(d.key, nil) }

func (l *life) change(key uint64, d *delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.era == l.timetable.era {
		l.changed[key] = d
	}
}

func (l *life) Allows(queueARN, _, _ string) bool { return !l.denied[queueARN] }

func (l *life) RoleAllows(_, _, _, targetARN string) bool { return !l.denied[targetARN] }

// around checks the wait before each attempt.
func (l *life) around(ctx context.Context, a Attempt, deliver func(context.Context) error) error {
	which := subject(a.QueueARN, message{body: string(a.Event)})
	l.mu.Lock()
	if l.era == l.timetable.era {
		if last, retry := l.tried[which]; retry {
			// The last retry is due when the event is too old, however short the wait is then.
			wait, old := time.Since(last), time.Since(l.began) >= l.maxAge[a.QueueARN]
			if wait < firstWait/2 && !old || wait >= lastWait {
				l.waits = append(l.waits, fmt.Errorf("%s was tried again after %v", which, wait))
			}
		}
		l.tries[which]++
	}
	l.mu.Unlock()
	err := deliver(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried[which] = time.Now()
	return err
}

func (l *life) sink(h hop.Hop) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.Outcome == hop.Dropped && l.era == l.timetable.era {
		l.dropped[subjectName(h.Target, h.EventIDs[0])] = true
	}
}

// live runs a dispatcher, and another after each kill, until end is done.
func (s *timetable) live(end context.Context) {
	for end.Err() == nil {
		var ctx context.Context
		s.mu.Lock()
		ctx, s.die = context.WithCancel(end)
		l := &life{timetable: s, era: s.era}
		s.tried = map[string]time.Time{}
		var pending []*delivery
		for key, d := range s.onDisk {
			d.key = key
			pending = append(pending, &d)
		}
		s.mu.Unlock()
		find := func(one *delivery) (target, bool) { t, ok := s.targets[one.TargetID]; return t, ok }
		d := newDispatcher(l, l, l, find, l.sink)
		d.around = l.around
		d.dispatch(pending)
		d.run(ctx)
		s.die()
	}
	s.flush()
}

// TestNothingIsLost checks that, whatever the queues answer and wherever the run is killed, every event is, for each
// target, in its queue, in its dead-letter queue, or reported as dropped where neither can accept it.
func TestNothingIsLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := []step{taken, busy, busy, late, slow, gone, kill, killAfter}
		s := &timetable{
			targets: map[string]target{}, denied: map[string]bool{}, maxAge: map[string]time.Duration{}, plan: map[string][]step{}, onDisk: map[uint64]delivery{}, changed: map[uint64]*delivery{},
			sent: map[string]int{}, deadLetters: map[string]string{}, dropped: map[string]bool{}, tries: map[string]int{},
			lazy: rapid.Bool().Draw(rt, "lazy"),
		}
		events := rapid.IntRange(1, 8).Draw(rt, "events")
		kills, hopeless := 0, map[string]bool{}
		for n := range rapid.IntRange(1, 3).Draw(rt, "targets") {
			id := strconv.Itoa(n)
			one := target{
				id: id, arn: "arn:aws:sqs:::queue-" + id, ruleARN: "rule", logicalID: "Rule",
				retries: rapid.IntRange(0, 6).Draw(rt, "retries"),
				maxAge:  rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 24 * time.Hour}).Draw(rt, "age"),
			}
			if rapid.Bool().Draw(rt, "has dead-letter queue") {
				one.deadLetter = "arn:aws:sqs:::dead-letters-" + id
			}
			s.denied[one.arn] = rapid.IntRange(0, 5).Draw(rt, "denied") == 0
			s.targets[id], s.maxAge[one.arn] = one, one.maxAge
			for event := range events {
				plan := rapid.SliceOfN(rapid.SampledFrom(steps), 0, 10).Draw(rt, "plan")
				for _, next := range plan {
					if next == kill || next == killAfter {
						kills++
					}
				}
				s.plan[subjectName(one.arn, event)] = plan
				hopeless[subjectName(one.arn, event)] = slices.Contains(plan, gone)
			}
		}
		synctest.Test(t, func(t *testing.T) {
			s.began = time.Now()
			for event := range events {
				for id := range s.targets {
					text := fmt.Sprintf(`{"id":%d,"detail":{"id":"%d"}}`, event, event)
					s.onDisk[uint64(len(s.onDisk))] = delivery{RuleARN: "rule", TargetID: id, Event: json.RawMessage(text), AcceptedAt: time.Now()}
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 48*time.Hour)
			defer cancel()
			s.live(ctx)
		})
		if len(s.onDisk) > 0 {
			rt.Errorf("%d deliveries are still in the journal", len(s.onDisk))
		}
		if len(s.waits) > 0 {
			rt.Error(errors.Join(s.waits...))
		}
		for _, one := range s.targets {
			for event := range events {
				which := subjectName(one.arn, event)
				deadLetter, dead := s.deadLetters[which]
				if s.sent[which] == 0 && !dead && !s.dropped[which] {
					rt.Errorf("%s is lost", which)
				}
				if s.dropped[which] && one.deadLetter != "" && !hopeless[which] {
					rt.Errorf("%s was dropped although it has a dead-letter queue", which)
				}
				if s.denied[one.arn] && s.sent[which] > 0 {
					rt.Errorf("%s was sent against the policy", which)
				}
				if got, most := s.tries[which], (one.retries+1)*(kills+1); got > most {
					rt.Errorf("%s was attempted %d times in %d lives, with at most %d retries", which, got, kills+1, one.retries)
				}
				if want := fmt.Sprint(exhaustedRetries, " ", one.retries); strings.HasPrefix(deadLetter, exhaustedRetries) && deadLetter != want {
					rt.Errorf("%s was given up with %q, want %q", which, deadLetter, want)
				}
			}
		}
	})
}
