package check_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
)

var at = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestLegalHistoriesPass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := generate(t)
		entries := w.log.Entries()
		verdict := check.Judge(entries, rules)
		if len(verdict.Violations) > 0 {
			t.Fatalf("a legal history has violations:\n%s", list(verdict.Violations))
		}
		if prefix, shown := check.Shortest(entries, rules); prefix != nil {
			t.Fatalf("a prefix of %d lines of a legal history has violations:\n%s", len(prefix), list(shown))
		}
		owed := 0
		for _, e := range w.state.Events {
			for _, c := range rules.Consumers {
				owed += len(c.Effects[e.Type])
			}
		}
		c := verdict.Counts
		if c.Effects != owed || c.Lost+c.Unexpected+c.Duplicated+c.Waiting != 0 || c.DeadLetters != len(w.missing) || c.Redriven != len(w.missing) {
			t.Fatalf("counts are %+v; %d effects are owed, and %d messages were redriven", c, owed, len(w.missing))
		}
		if c.Acknowledged+c.Failed+c.Unknown != c.Operations {
			t.Fatalf("operations do not add up: %+v", c)
		}
	})
}

// TestEveryBreachIsFound takes a legal history, breaks one thing, and wants the rule that forbids it, and
// a prefix that ends with a line about the aggregate concerned.
func TestEveryBreachIsFound(t *testing.T) {
	for name, breach := range map[string]struct {
		version int64 // the aggregate concerned has an acknowledged write of that version
		rule    check.Rule
		change  func(s *history.State, aggregate string)
	}{
		"an effect is missing": {1, check.Lost, func(s *history.State, a string) {
			s.Effects = without(s.Effects, func(e history.Effect) bool { return e.Consumer == "shipping" && e.Event == first(s, a) })
		}},
		"an effect is there twice": {1, check.Duplicated, func(s *history.State, a string) {
			s.Effects = append(s.Effects, history.Effect{Consumer: "shipping", Kind: "shipment", Event: first(s, a)})
		}},
		"a follow-on event is missing": {1, check.Lost, func(s *history.State, a string) {
			s.Events = without(s.Events, func(e history.Event) bool { return e.Cause == first(s, a) })
		}},
		"a follow-on event is there twice": {1, check.Duplicated, func(s *history.State, a string) {
			s.Events = append(s.Events, history.Event{ID: "again", Type: "ShipmentRequested", Aggregate: "Shipment#again", Version: 1, Cause: first(s, a)})
			s.Effects = append(s.Effects, history.Effect{Consumer: "mail", Kind: "note", Event: "again"})
		}},
		"an acknowledged write has no event": {1, check.Lost, func(s *history.State, a string) {
			id := first(s, a)
			s.Events = without(s.Events, func(e history.Event) bool { return e.ID == id || e.Cause == id })
			s.Effects = without(s.Effects, func(e history.Effect) bool { return e.Event == id || e.Event == id+"-s" })
		}},
		"an aggregate is missing": {1, check.Torn, func(s *history.State, a string) {
			s.Objects = without(s.Objects, func(o history.Object) bool { return o.Aggregate == a })
		}},
		"an aggregate is behind its event": {2, check.Torn, func(s *history.State, a string) {
			for i := range s.Objects {
				if s.Objects[i].Aggregate == a {
					s.Objects[i].Version--
				}
			}
		}},
		"an event is there twice": {1, check.Duplicated, func(s *history.State, a string) {
			s.Events = append(s.Events, history.Event{ID: "again", Type: "OrderCreated", Aggregate: a, Version: 1})
		}},
		"an event has no write": {1, check.Unexpected, func(s *history.State, _ string) {
			s.Events = append(s.Events, history.Event{ID: "ghost", Type: "OrderCreated", Aggregate: "Order#ghost", Version: 1})
		}},
		"an aggregate has no write": {1, check.Unexpected, func(s *history.State, _ string) {
			s.Objects = append(s.Objects, history.Object{Aggregate: "Order#ghost", Version: 1})
		}},
		"an effect has no event": {1, check.Unexpected, func(s *history.State, _ string) {
			s.Effects = append(s.Effects, history.Effect{Consumer: "shipping", Kind: "shipment", Event: "ghost"})
		}},
		"a consumer handles what it does not want": {1, check.Unexpected, func(s *history.State, a string) {
			s.Effects = append(s.Effects, history.Effect{Consumer: "audit", Kind: "entry", Event: first(s, a), Aggregate: a, Version: 1})
		}},
		"an event has no cause": {1, check.Unexpected, func(s *history.State, _ string) {
			s.Events = append(s.Events, history.Event{ID: "s", Type: "ShipmentRequested", Aggregate: "Shipment#s", Version: 1, Cause: "ghost"})
		}},
		"an ordered consumer went back": {3, check.Order, func(s *history.State, a string) {
			for i := range s.Effects {
				if e := &s.Effects[i]; e.Consumer == "audit" && e.Aggregate == a {
					e.Position = -e.Position
				}
			}
		}},
		"an ordered consumer skipped one": {3, check.Order, func(s *history.State, a string) {
			s.Effects = without(s.Effects, func(e history.Effect) bool { return e.Aggregate == a && e.Version == 2 })
		}},
		"a message was left behind": {1, check.NotRedriven, func(s *history.State, a string) {
			s.DeadLetters = append(s.DeadLetters, history.DeadLetter{Queue: history.ConsumerQueue, Consumer: "mail", Events: []string{first(s, a)}})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				entries := generate(t).log.Entries()
				aggregate, found := acknowledged(entries, breach.version)
				if !found {
					t.Skip("no acknowledged write of that version")
				}
				broken := spoil(entries, func(s *history.State) { breach.change(s, aggregate) })
				verdict := check.Judge(broken, rules)
				if !has(verdict.Violations, breach.rule) {
					t.Fatalf("the breach %q was not found; violations:\n%s", breach.rule, list(verdict.Violations))
				}
				prefix, shown := check.Shortest(broken, rules)
				if len(shown) == 0 {
					t.Fatal("no prefix shows the violation")
				}
				if len(prefix) == 0 {
					return // it is about nothing that anybody asked for
				}
				if last := prefix[len(prefix)-1]; last.Kind != history.KindCall || last.Call.Write.Aggregate != aggregate {
					t.Fatalf("the prefix of %d lines ends with %+v, want a request about %s", len(prefix), last, aggregate)
				}
			})
		})
	}
}

func without[T any](all []T, drop func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), drop)
}

// small is a history of one acknowledged order, with one change.
func small(change func(*history.Log, *history.State)) []history.Entry {
	write := history.Write{Aggregate: "Order#o", Version: 1, Type: "OrderCreated"}
	var log history.Log
	log.Call(history.Call{Operation: "o", Step: history.Invoke, Write: write})
	log.Call(history.Call{Operation: "o", Step: history.OK, Write: write})
	log.Fault(at, history.Fault{Point: "function.kill-before", Key: "elsewhere"})
	state := history.State{
		Events:  []history.Event{{ID: "o-1", Type: "OrderCreated", Aggregate: "Order#o", Version: 1}, {ID: "s-1", Type: "ShipmentRequested", Aggregate: "Shipment#o", Version: 1, Cause: "o-1"}},
		Objects: []history.Object{{Aggregate: "Order#o", Version: 1}},
		Effects: []history.Effect{{Consumer: "shipping", Kind: "shipment", Event: "o-1"}, {Consumer: "mail", Kind: "note", Event: "o-1"}, {Consumer: "mail", Kind: "note", Event: "s-1"}},
	}
	change(&log, &state)
	log.Phase(history.Phase{Name: history.Drained})
	log.State(state)
	return log.Entries()
}

func TestLettersNeedAFault(t *testing.T) {
	message := history.DeadLetter{Queue: history.ConsumerQueue, Name: "mail-dlq", Consumer: "mail", Events: []string{"o-1"}}
	for name, tc := range map[string]struct {
		fault *history.Fault
		hops  []string // events of a batch that did not go through
		queue history.QueueKind
		legal bool
	}{
		"no fault":                             {nil, nil, history.ConsumerQueue, false},
		"a fault that hit the event":           {&history.Fault{Point: "function.timeout", Events: []string{"o-1"}}, nil, history.ConsumerQueue, true},
		"a fault that hit no known event":      {&history.Fault{Point: "function.init-failure", Key: "Mail"}, nil, history.ConsumerQueue, false},
		"a kill, which hit everything":         {&history.Fault{Point: check.KillRun}, nil, history.ConsumerQueue, false},
		"a fault that hit another event":       {&history.Fault{Point: "function.timeout", Events: []string{"x-1"}}, nil, history.ConsumerQueue, false},
		"a fault that hit another of a batch":  {&history.Fault{Point: "function.timeout", Events: []string{"x-1"}}, []string{"x-1", "o-1"}, history.ConsumerQueue, true},
		"a fault that leads to another queue":  {&history.Fault{Point: "bus.no-permission", Events: []string{"o-1"}}, nil, history.ConsumerQueue, false},
		"a denied target and the rule's queue": {&history.Fault{Point: "bus.no-permission", Events: []string{"o-1"}}, nil, history.RuleQueue, true},
		"a failed function and a rule's queue": {&history.Fault{Point: "function.timeout", Events: []string{"o-1"}}, nil, history.RuleQueue, false},
	} {
		t.Run(name, func(t *testing.T) {
			entries := small(func(log *history.Log, s *history.State) {
				if tc.fault != nil {
					log.Fault(at, *tc.fault)
				}
				if tc.hops != nil {
					log.Hop(retried(tc.hops...))
				}
				message := message
				message.Queue = tc.queue
				s.DeadLetters = append(s.DeadLetters, message)
			})
			got := check.Judge(entries, rules)
			if legal := len(got.Violations) == 0; legal != tc.legal {
				t.Errorf("violations: %s", list(got.Violations))
			}
		})
	}
}

// joined are rules with one consumer, which joined in the middle.
var joined = check.Rules{Consumers: []check.Consumer{{
	Name: "late", Effects: map[string][]string{"OrderUpdated": {"line"}}, Ordered: true, Since: at,
}}}

// updates are the versions 2, 3 … of the order, written at those times. Nobody else does anything.
func updates(log *history.Log, s *history.State, written ...time.Time) []history.Event {
	s.Effects = nil
	var events []history.Event
	for i, when := range written {
		v := int64(i + 2)
		write := history.Write{Aggregate: "Order#o", Version: v, Type: "OrderUpdated"}
		id := fmt.Sprintf("o-%d", v)
		log.Call(history.Call{Operation: id, Step: history.Invoke, Write: write})
		events = append(events, history.Event{ID: id, Type: write.Type, Aggregate: write.Aggregate, Version: v, Written: when})
		s.Objects[0].Version = v
	}
	s.Events = slices.DeleteFunc(s.Events, func(e history.Event) bool { return e.Cause != "" })
	return events
}

func TestJudge(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*history.Log, *history.State)
		rules  check.Rules
		want   []check.Rule
	}{
		"everything is there": {func(*history.Log, *history.State) {}, rules, nil},
		"an effect waits in a dead-letter queue of all": {func(log *history.Log, s *history.State) {
			log.Fault(at, history.Fault{Point: "bus.partial", Events: []string{"o-1"}})
			s.Effects = s.Effects[:2]
			s.DeadLetters = []history.DeadLetter{{Queue: history.PipeQueue, Name: "pipe-dlq", Events: []string{"o-1", "s-1"}}}
		}, rules, nil},
		"a message for another consumer does not count": {func(log *history.Log, s *history.State) {
			log.Fault(at, history.Fault{Point: "function.timeout", Events: []string{"s-1"}})
			s.Effects = s.Effects[:2]
			s.DeadLetters = []history.DeadLetter{{Queue: history.ConsumerQueue, Name: "dlq", Consumer: "shipping", Events: []string{"s-1"}}}
		}, rules, []check.Rule{check.Lost}},
		"an event waits for one that waits in a dead-letter queue": {func(log *history.Log, s *history.State) {
			for v := int64(2); v <= 3; v++ {
				write := history.Write{Aggregate: "Order#o", Version: v, Type: "OrderUpdated"}
				id := fmt.Sprintf("o-%d", v)
				log.Call(history.Call{Operation: id, Step: history.Invoke, Write: write})
				s.Events = append(s.Events, history.Event{ID: id, Type: write.Type, Aggregate: write.Aggregate, Version: v})
			}
			log.Fault(at, history.Fault{Point: "bus.no-permission", Events: []string{"o-2"}})
			s.Objects[0].Version = 3
			s.DeadLetters = []history.DeadLetter{{Queue: history.RuleQueue, Name: "rule-dlq", Consumer: "audit", Events: []string{"o-2"}}}
		}, rules, nil},
		"a consumer that joins owes nothing of what was written before": {func(log *history.Log, s *history.State) {
			s.Events = append(s.Events, updates(log, s, at.Add(-time.Second), at.Add(time.Second))...)
			s.Effects = append(s.Effects, history.Effect{Consumer: "late", Kind: "line", Event: "o-3", Aggregate: "Order#o", Position: 1, Version: 3})
		}, joined, nil},
		"a consumer that joins owes what is written from then on": {func(log *history.Log, s *history.State) {
			s.Events = append(s.Events, updates(log, s, at.Add(-time.Second), at.Add(time.Second))...)
		}, joined, []check.Rule{check.Lost}},
		"a consumer that joins leaves no gap": {func(log *history.Log, s *history.State) {
			s.Events = append(s.Events, updates(log, s, at.Add(time.Second), at.Add(time.Second))...)
			s.Effects = append(s.Effects, history.Effect{Consumer: "late", Kind: "line", Event: "o-3", Aggregate: "Order#o", Position: 1, Version: 3})
			s.DeadLetters = []history.DeadLetter{{Queue: history.ConsumerQueue, Name: "dlq", Consumer: "late", Events: []string{"o-2"}}}
			log.Fault(at, history.Fault{Point: "function.timeout", Events: []string{"o-2"}})
		}, joined, []check.Rule{check.Order}},
		"an event waits for nothing": {func(log *history.Log, s *history.State) {
			for v := int64(2); v <= 3; v++ {
				write := history.Write{Aggregate: "Order#o", Version: v, Type: "OrderUpdated"}
				id := fmt.Sprintf("o-%d", v)
				log.Call(history.Call{Operation: id, Step: history.Invoke, Write: write})
				s.Events = append(s.Events, history.Event{ID: id, Type: write.Type, Aggregate: write.Aggregate, Version: v})
			}
			log.Fault(at, history.Fault{Point: "bus.no-permission", Events: []string{"o-3"}})
			s.Objects[0].Version = 3
			s.DeadLetters = []history.DeadLetter{{Queue: history.RuleQueue, Name: "rule-dlq", Consumer: "audit", Events: []string{"o-3"}}}
		}, rules, []check.Rule{check.Lost}},
		"a message that names no event": {func(_ *history.Log, s *history.State) {
			s.DeadLetters = []history.DeadLetter{{Queue: history.PipeQueue, Name: "pipe-dlq"}}
		}, rules, []check.Rule{check.Unexplained}},
		"a failed write with an event": {func(log *history.Log, s *history.State) {
			log.Call(history.Call{Operation: "f", Step: history.Invoke, Write: history.Write{Aggregate: "Order#f", Version: 1, Type: "OrderCreated"}})
			log.Call(history.Call{Operation: "f", Step: history.Fail, Write: history.Write{Aggregate: "Order#f", Version: 1, Type: "OrderCreated"}})
			s.Objects = append(s.Objects, history.Object{Aggregate: "Order#f", Version: 1})
		}, rules, []check.Rule{check.Torn, check.Unexpected}},
		"of two writers of a version the one that was told so has it": {func(log *history.Log, s *history.State) {
			for status, step := range map[string]history.Step{"CANCELLED": history.Fail, "CONFIRMED": history.OK} {
				write := history.Write{Aggregate: "Order#o", Version: 2, Type: "OrderUpdated", Value: status}
				log.Call(history.Call{Operation: status, Step: history.Invoke, Write: write})
				log.Call(history.Call{Operation: status, Step: step, Write: write})
			}
			s.Events = append(s.Events, history.Event{ID: "o-2", Type: "OrderUpdated", Aggregate: "Order#o", Version: 2, Value: "CANCELLED"})
			s.Objects[0].Version = 2
			s.Effects = append(s.Effects, history.Effect{Consumer: "audit", Kind: "entry", Event: "o-2", Aggregate: "Order#o", Version: 2})
		}, rules, []check.Rule{check.Lost, check.Unexpected}},
		"an event is put on the bus again": {func(log *history.Log, _ *history.State) {
			log.Hop(published("o-1"))
			log.Hop(published("s-1", "o-1"))
		}, rules, []check.Rule{check.Republished}},
		"an event is put on the bus again after the pipe restarted": {func(log *history.Log, _ *history.State) {
			log.Hop(published("o-1"))
			log.Fault(at, history.Fault{Point: "pipe.restart", Events: []string{"o-1"}})
			log.Hop(published("o-1"))
		}, rules, nil},
		"an event is put on the bus again after the pipe restarted and sent it": {func(log *history.Log, _ *history.State) {
			log.Fault(at, history.Fault{Point: "pipe.restart", Events: []string{"o-1"}})
			log.Hop(published("o-1"))
			log.Hop(published("o-1"))
		}, rules, []check.Rule{check.Republished}},
		"an event is put on the bus again after an operator changed the pipe": {func(log *history.Log, _ *history.State) {
			log.Hop(published("o-1"))
			log.Add(history.Entry{Kind: history.KindMistake, At: at.Add(time.Second), Mistake: &history.Mistake{Kind: check.FilterBroken, Began: at.Add(-time.Second)}})
			log.Hop(published("o-1"))
		}, rules, nil},
		"an event is put on the bus again before an operator changed the pipe": {func(log *history.Log, _ *history.State) {
			log.Hop(published("o-1"))
			log.Hop(published("o-1"))
			log.Add(history.Entry{Kind: history.KindMistake, At: at.Add(time.Hour), Mistake: &history.Mistake{Kind: check.FilterBroken, Began: at.Add(time.Minute)}})
		}, rules, []check.Rule{check.Republished}},
		"an event is put on the bus again with one that comes again": {func(log *history.Log, _ *history.State) {
			log.Fault(at, history.Fault{Point: "stream.redeliver", Events: []string{"o-1"}})
			log.Hop(published("o-1", "s-1"))
			log.Hop(published("o-1", "s-1"))
		}, rules, nil},
		"an event is put on the bus again and came after the one that came again": {func(log *history.Log, _ *history.State) {
			log.Fault(at, history.Fault{Point: "stream.redeliver", Events: []string{"o-1"}})
			log.Hop(published("o-1"))
			log.Hop(published("o-1"))
			log.Hop(published("s-1"))
			log.Hop(published("s-1"))
		}, rules, []check.Rule{check.Republished}},
		"a request is denied, again after a kill": {func(log *history.Log, _ *history.State) {
			log.Denial(history.Denial{Text: "IAM: the role may not"})
			log.Denial(history.Denial{Text: "IAM: the role may not"})
		}, rules, []check.Rule{check.Denied}},
		"an enabled fault never fired": {func(*history.Log, *history.State) {}, check.Rules{Consumers: rules.Consumers, Enabled: []string{"bus.partial"}}, []check.Rule{check.NotFired}},
	} {
		t.Run(name, func(t *testing.T) {
			got := check.Judge(small(tc.change), tc.rules)
			var found []check.Rule
			for _, v := range got.Violations {
				if !slices.Contains(found, v.Rule) {
					found = append(found, v.Rule)
				}
			}
			slices.Sort(found)
			if !slices.Equal(found, tc.want) {
				t.Errorf("rules breached: %v, want %v\n%s", found, tc.want, list(got.Violations))
			}
		})
	}
}

func TestNoStateIsNoPass(t *testing.T) {
	if got := check.Judge(nil, rules); !has(got.Violations, check.Unfinished) {
		t.Errorf("a run that never drained passed: %s", list(got.Violations))
	}
}

func TestHistoryIsKeptAsItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := generate(t).log.Entries()
		var file bytes.Buffer
		if err := history.Encode(&file, entries); err != nil {
			t.Fatal(err)
		}
		got, err := history.Decode(&file)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := check.Judge(entries, rules), check.Judge(got, rules); !reflect.DeepEqual(a, b) || len(got) != len(entries) {
			t.Fatalf("read back, the verdict is %+v, want %+v", b, a)
		}
	})
}
