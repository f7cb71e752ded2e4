package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

const (
	ship  = "arn:aws:sqs:eu-west-1:000000000000:Ship"
	bill  = "arn:aws:sqs:eu-west-1:000000000000:Bill"
	dead  = "arn:aws:sqs:eu-west-1:000000000000:ShipDead"
	topic = "arn:aws:sns:eu-west-1:000000000000:Orders"
	fn    = "arn:aws:lambda:eu-west-1:000000000000:function:ship"
)

// order returns the event of an order as a bus has it.
func order(id, order string, version int) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"id": "delivery-%s", "detail-type": "OrderCreated", "source": "orders", "detail": {
		"id": %q, "aggregateType": "Order", "aggregateId": %q, "version": {"N": "%d"}, "occurredAt": "1700000000123",
		"correlationId": {"S": "first"}, "causationId": "", "data": {"S": "{\"coupon\": \"Xmas\"}"}}}`, id, id, order, version))
}

func accept(s *Store, id, aggregate string, targets ...string) {
	s.Accept(hop.Accepted{At: time.Now(), Bus: "Bus", Event: order(id, aggregate, 1), Targets: targets})
}

// A hop on the way of the event e, as the services report it.
func sent(queue string) hop.Hop {
	return hop.Hop{Stage: hop.Bus, Resource: "ShipRule", Target: queue, Outcome: hop.OK, EventIDs: []string{"e"}}
}

func published(queue string, outcome hop.Outcome) hop.Hop {
	return hop.Hop{Stage: hop.Topic, Resource: "Topic", Target: queue, Outcome: outcome, EventIDs: []string{"e"}}
}

func start(queue string, ids ...string) hop.Hop {
	return hop.Hop{Stage: hop.Platform, Resource: "Fn", Source: queue, Outcome: hop.OK, EventIDs: ids, Detail: "START RequestId: 1 Version: $LATEST"}
}

func invoked(queue string, outcome hop.Outcome, failed ...string) hop.Hop {
	h := hop.Hop{Stage: hop.Queue, Resource: "Mapping", Source: queue, Target: fn, Outcome: outcome, EventIDs: []string{"e", "f"}, FailedIDs: failed}
	if outcome != hop.OK {
		h.Detail = "1 of 2 failed: boom"
	}
	return h
}

func get(t *testing.T, s *Store, id string) Event {
	t.Helper()
	e, found := s.Get(id)
	if !found {
		t.Fatalf("the store does not have %s", id)
	}
	return e
}

func TestWhatAnEventSays(t *testing.T) {
	s := New(0)
	accept(s, "e", "c-1", ship)
	e := get(t, s, "e")
	if e.Source != "orders" || e.Type != "OrderCreated" || e.AggregateType != "Order" || e.AggregateID != "c-1" || e.Version != 1 ||
		e.OccurredAt.UnixMilli() != 1700000000123 || e.CorrelationID != "first" || e.CausationID != "" || len(e.Payload) == 0 {
		t.Errorf("got %+v", e)
	}
	s.Accept(hop.Accepted{Event: json.RawMessage(`{"id": "x", "detail-type": "Paid", "source": "payments", "detail": {"amount": 3}}`)})
	if e := get(t, s, "x"); e.Source != "payments" || e.Type != "Paid" || e.State != Unmatched {
		t.Errorf("another service's: %+v", e)
	}
}

// An event is where the last hop of each of its deliveries has brought it.
func TestState(t *testing.T) {
	retried := invoked(ship, hop.Retry, "e")
	toDead := hop.Hop{Stage: hop.Queue, Resource: "Ship", Source: ship, Target: dead, Outcome: hop.DeadLetter, EventIDs: []string{"e"}, Detail: "received 5 times"}
	pipe := func(o hop.Outcome) hop.Hop {
		return hop.Hop{Stage: hop.Pipe, Resource: "Pipe", Outcome: o, EventIDs: []string{"e"}}
	}
	for name, c := range map[string]struct {
		targets []string
		hops    []hop.Hop
		want    State
	}{
		"a pipe that fails":                     {nil, []hop.Hop{pipe(hop.Retry)}, Retrying},
		"given up by the pipe":                  {nil, []hop.Hop{pipe(hop.DeadLetter)}, DeadLetter},
		"accepted":                              {[]string{ship}, nil, Moving},
		"in the queue":                          {[]string{ship}, []hop.Hop{sent(ship)}, Waiting},
		"in the function":                       {[]string{ship}, []hop.Hop{sent(ship), start(ship, "e")}, InFlight},
		"handled":                               {[]string{ship}, []hop.Hop{sent(ship), start(ship, "e"), invoked(ship, hop.OK)}, Handled},
		"handled in a batch that failed":        {[]string{ship}, []hop.Hop{sent(ship), invoked(ship, hop.Retry, "f")}, Handled},
		"failed before the bus tells of it":     {[]string{ship}, []hop.Hop{start(ship, "e"), retried, sent(ship)}, Retrying},
		"sent after the target refused":         {[]string{ship}, []hop.Hop{{Stage: hop.Bus, Target: ship, Outcome: hop.Retry, EventIDs: []string{"e"}}, sent(ship)}, Waiting},
		"failed in a batch":                     {[]string{ship}, []hop.Hop{sent(ship), retried}, Retrying},
		"the whole batch failed":                {[]string{ship}, []hop.Hop{sent(ship), invoked(ship, hop.Retry)}, Retrying},
		"in the dead-letter queue":              {[]string{ship}, []hop.Hop{sent(ship), retried, toDead}, DeadLetter},
		"redriven":                              {[]string{ship}, []hop.Hop{sent(ship), retried, toDead, start(ship, "e"), invoked(ship, hop.OK)}, Handled},
		"handled by one of two":                 {[]string{ship, bill}, []hop.Hop{sent(ship), invoked(ship, hop.OK)}, Moving},
		"the target refuses":                    {[]string{ship}, []hop.Hop{{Stage: hop.Bus, Target: ship, Outcome: hop.Retry, EventIDs: []string{"e"}}}, Retrying},
		"the target takes it in the end":        {[]string{ship}, []hop.Hop{{Stage: hop.Bus, Target: ship, Outcome: hop.Retry, EventIDs: []string{"e"}}, sent(ship)}, Waiting},
		"the rule gave up":                      {[]string{ship}, []hop.Hop{{Stage: hop.Bus, Source: ship, Target: dead, Outcome: hop.DeadLetter, EventIDs: []string{"e"}}}, DeadLetter},
		"lost":                                  {[]string{ship}, []hop.Hop{{Stage: hop.Bus, Target: ship, Outcome: hop.Dropped, EventIDs: []string{"e"}}}, Dropped},
		"a function as a rule's target":         {[]string{fn}, []hop.Hop{sent(fn)}, Handled},
		"a topic as a rule's target":            {[]string{topic}, []hop.Hop{sent(topic)}, Handled},
		"in the queue of a topic":               {[]string{topic}, []hop.Hop{published(ship, hop.OK), sent(topic)}, Waiting},
		"handled behind a topic":                {[]string{topic}, []hop.Hop{sent(topic), published(ship, hop.OK), invoked(ship, hop.OK)}, Handled},
		"given up by a topic":                   {[]string{topic}, []hop.Hop{sent(topic), {Stage: hop.Topic, Source: ship, Target: dead, Outcome: hop.DeadLetter, EventIDs: []string{"e"}}}, DeadLetter},
		"a line of a log brings it nowhere":     {[]string{ship}, []hop.Hop{sent(ship), {Stage: hop.Function, Source: ship, EventIDs: []string{"e"}, Detail: "START me"}}, Waiting},
		"a report is no start of an invocation": {[]string{ship}, []hop.Hop{sent(ship), {Stage: hop.Platform, Source: ship, EventIDs: []string{"e"}, Detail: "REPORT RequestId: 1"}}, Waiting},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(0)
			if c.targets != nil {
				accept(s, "e", "c-1", c.targets...)
			}
			for _, h := range c.hops {
				s.Hop(h)
			}
			if e := get(t, s, "e"); e.State != c.want {
				t.Errorf("it is %s, want %s: %+v", e.State, c.want, e.Deliveries)
			}
		})
	}
}

func TestDelivery(t *testing.T) {
	s := New(0)
	accept(s, "e", "c-1", ship)
	effect := hop.Hop{Stage: hop.Effect, Resource: "Fn", Outcome: hop.OK, EventIDs: []string{"e"}}
	for _, h := range []hop.Hop{sent(ship), start(ship, "e", "f"), invoked(ship, hop.Retry, "e"), start(ship, "e"), effect, invoked(ship, hop.OK), start(ship, "e"), invoked(ship, hop.OK)} {
		s.Hop(h)
	}
	d, found := get(t, s, "e").Delivery(ship)
	if want := (Delivery{Target: ship, State: Handled, Receives: 3, Handled: 2, Effects: 1, Function: "Fn"}); !found || d != want {
		t.Errorf("got  %+v\nwant %+v", d, want)
	}
}

// A line of a log belongs to the events that it names, and else to all of its invocation.
func TestLogLines(t *testing.T) {
	s := New(0)
	line := hop.Hop{Stage: hop.Function, Resource: "Fn", Outcome: hop.OK, EventIDs: []string{"order-1", "order-2"}}
	line.Detail = `{"msg": "handled", "event": "order-2"}`
	s.Hop(line)
	line.Detail = "connected"
	s.Hop(line)
	if n := len(get(t, s, "order-1").Steps); n != 1 {
		t.Errorf("the event that the line does not name has %d steps", n)
	}
	if n := len(get(t, s, "order-2").Steps); n != 2 {
		t.Errorf("the event that the line names has %d steps", n)
	}
}

// A pipe reports what it has handed to the bus once its checkpoint is stored, and a rule what it has sent to a queue once the
// queue has answered: the next ones may have it for long. A line of a log may be read after the answer.
func TestStepsThatAreReportedLate(t *testing.T) {
	s := New(0)
	accept(s, "e", "c-1", ship, bill)
	s.Hop(sent(bill))
	s.Hop(start(ship, "e"))
	s.Hop(invoked(ship, hop.OK))
	s.Hop(hop.Hop{Stage: hop.Function, Resource: "Fn", Source: ship, Outcome: hop.OK, EventIDs: []string{"e"}})
	s.Hop(hop.Hop{Stage: hop.Pipe, Resource: "Pipe", Outcome: hop.OK, EventIDs: []string{"e"}})
	s.Hop(sent(ship))
	e := get(t, s, "e")
	var way []string
	for _, step := range e.Steps {
		way = append(way, strings.TrimSpace(string(step.Stage)+" "+resourceName(step.Target)))
	}
	if want := []string{"occurred", "pipe", "bus", "bus Bill", "bus Ship", "platform", "function", "queue ship"}; !slices.Equal(way, want) {
		t.Errorf("the way is %q, want %q", way, want)
	}
	if d, _ := e.Delivery(ship); d.State != Handled || e.Last.Stage != hop.Queue {
		t.Errorf("it is %+v, after %+v", d, e.Last)
	}
}

func resourceName(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

// An event is known from its commit on, so that one that does not come further is found.
func TestCommit(t *testing.T) {
	s, now := New(0), time.Now()
	s.Commit(hop.Added{At: now, ID: "e", Source: "orders", Type: "OrderCreated", AggregateType: "Order", AggregateID: "c-1", Version: 1, By: "Api", With: []string{"Orders", "Outbox"}})
	if page := s.List(Query{Aggregate: "Order#c-1"}); len(page.Events) != 1 || page.Events[0].State != Moving {
		t.Fatalf("got %+v", page)
	}
	accept(s, "e", "c-1", ship)
	e := get(t, s, "e")
	if len(e.Steps) != 3 || e.Steps[0].Stage != Occurred || e.Steps[1].Stage != Commit || e.Steps[1].Detail != "Orders, Outbox" || e.Steps[2].Stage != hop.Bus {
		t.Errorf("the steps are %+v", e.Steps)
	}
}

func TestList(t *testing.T) {
	s := New(0)
	for n := range 5 {
		accept(s, fmt.Sprintf("e%d", n), fmt.Sprintf("c-%d", n%2), ship)
	}
	s.Accept(hop.Accepted{Event: json.RawMessage(`{"id": "p", "detail-type": "Paid", "source": "payments", "detail": {"id": "p", "causationId": "e1"}}`)})
	s.Accept(hop.Accepted{Event: json.RawMessage(`{"id": "h", "detail-type": "Beat", "source": "orders.heartbeat", "detail": {"id": "h"}}`)})
	for name, c := range map[string]struct {
		query Query
		want  []string
		next  bool
	}{
		"all but heartbeats":    {Query{}, []string{"p", "e4", "e3", "e2", "e1", "e0"}, false},
		"with heartbeats":       {Query{Heartbeat: true, Limit: 2}, []string{"h", "p"}, true},
		"a type":                {Query{Type: "Paid"}, []string{"p"}, false},
		"a source":              {Query{Source: "orders", Limit: 5}, []string{"e4", "e3", "e2", "e1", "e0"}, false},
		"a type of aggregates":  {Query{Aggregate: "Order", Limit: 1}, []string{"e4"}, true},
		"an aggregate":          {Query{Aggregate: "Order#c-1"}, []string{"e3", "e1"}, false},
		"an aggregate, by hand": {Query{Aggregate: "Order c-1"}, []string{"e3", "e1"}, false},
		"a state":               {Query{State: Unmatched}, []string{"p"}, false},
		"what an event led to":  {Query{CausedBy: "e1"}, []string{"p"}, false},
		"a chain":               {Query{Chain: "first", Limit: 3}, []string{"e4", "e3", "e2"}, true},
		"text of the payload":   {Query{Text: "xMAS", Limit: 1}, []string{"e4"}, true},
		"text of an aggregate":  {Query{Text: "order#c-1"}, []string{"e3", "e1"}, false},
		"a page that follows":   {Query{Before: 3}, []string{"e1", "e0"}, false},
		"nothing":               {Query{Text: "nowhere"}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			page := s.List(c.query)
			var ids []string
			for _, e := range page.Events {
				ids = append(ids, e.ID)
			}
			if !slices.Equal(ids, c.want) || (page.Next != 0) != c.next || page.Total != 7 {
				t.Errorf("got %v, next %d, total %d; want %v, next %t", ids, page.Next, page.Total, c.want, c.next)
			}
		})
	}
}

// TestCount: a window on a list knows how long the whole list is, and which types there are.
func TestCount(t *testing.T) {
	s := New(0)
	for i := range 10 {
		accept(s, fmt.Sprintf("e-%d", i), "o-1", ship)
	}
	s.Accept(hop.Accepted{At: time.Now(), Bus: "Bus", Event: json.RawMessage(`{"id":"x","detail-type":"Paid","source":"payments","detail":{}}`)})
	s.Accept(hop.Accepted{At: time.Now(), Bus: "Bus", Event: json.RawMessage(`{"id":"h","detail-type":"Beat","source":"orders.heartbeat","detail":{}}`)})
	page := s.List(Query{Source: "orders", Skip: 4, Limit: 3, Count: true})
	var ids []string
	for _, e := range page.Events {
		ids = append(ids, e.ID)
	}
	if want := []string{"e-5", "e-4", "e-3"}; !slices.Equal(ids, want) || page.Matched != 10 {
		t.Errorf("got %q of %d, want %q of 10", ids, page.Matched, want)
	}
	if want := []string{"OrderCreated", "Paid"}; !slices.Equal(page.Types, want) {
		t.Errorf("the types are %q, want %q", page.Types, want)
	}
	if page := s.List(Query{Skip: 100, Count: true}); len(page.Events) != 0 || page.Matched != 11 {
		t.Errorf("behind the end there are %d of %d", len(page.Events), page.Matched)
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(0)
		accept(s, "a", "c-1", ship)
		accept(s, "b", "c-2", ship)
		changed, revision, err := s.Watch(t.Context(), 0)
		if err != nil || len(changed) != 2 || changed[0].ID != "b" || changed[0].Steps != nil || changed[0].Payload != nil {
			t.Fatalf("%v, %+v", err, changed)
		}
		got := make(chan []Event)
		go func() {
			events, _, _ := s.Watch(t.Context(), revision)
			got <- events
		}()
		synctest.Wait() // it waits now
		s.Hop(hop.Hop{Stage: hop.Bus, Target: ship, Outcome: hop.OK, EventIDs: []string{"a"}})
		if events := <-got; len(events) != 1 || events[0].ID != "a" || events[0].State != Waiting {
			t.Errorf("got %+v", events)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := s.Watch(ctx, revision+1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nothing changed, and it returned %v", err)
		}
	})
}

func TestTheOldestIsForgotten(t *testing.T) {
	s := New(3)
	for n := range 10 {
		accept(s, fmt.Sprintf("e%d", n), "c-1", ship)
		s.Hop(hop.Hop{Stage: hop.Bus, Target: ship, Outcome: hop.OK, EventIDs: []string{fmt.Sprintf("e%d", max(0, n-1))}})
	}
	if page := s.List(Query{}); len(page.Events) != 3 || page.Total != 3 || page.Events[0].ID != "e9" {
		t.Errorf("got %+v", page)
	}
	if _, found := s.Get("e1"); found {
		t.Error("it has an event that is too old")
	}
	if changed, _, _ := s.Watch(t.Context(), 0); len(changed) != 3 {
		t.Errorf("%d have changed", len(changed))
	}
}

func TestVeryManySteps(t *testing.T) {
	s := New(0)
	for n := range 1000 {
		s.Hop(hop.Hop{Stage: hop.Function, EventIDs: []string{"e"}, Detail: fmt.Sprint(n)})
	}
	e := get(t, s, "e")
	if len(e.Steps) != maxSteps || e.Omitted != 1000-maxSteps || e.Steps[keepFirst-1].Detail != "49" || e.Last.Detail != "999" {
		t.Errorf("%d steps, %d omitted, the last is %s", len(e.Steps), e.Omitted, e.Last.Detail)
	}
}

// BenchmarkEvent is one event with two consumers: what a run pays for it beside its work.
func BenchmarkEvent(b *testing.B) {
	s, n := New(0), 0
	for b.Loop() {
		n++
		id := fmt.Sprint(n)
		s.Accept(hop.Accepted{At: time.Now(), Bus: "Bus", Event: order(id, "c-1", 1), Targets: []string{ship, bill}})
		for _, queue := range []string{ship, bill} {
			for _, h := range []hop.Hop{sent(queue), start(queue, id), {Stage: hop.Function, Source: queue, Detail: "handled"}, invoked(queue, hop.OK)} {
				h.EventIDs = []string{id}
				s.Hop(h)
			}
		}
	}
}

// A batch may have several messages with one event.
func TestTheSameEventTwiceInABatch(t *testing.T) {
	s := New(0)
	accept(s, "e", "c-1", ship)
	s.Hop(start(ship, "e", "e"))
	both := invoked(ship, hop.OK)
	both.EventIDs = []string{"e", "e"}
	s.Hop(both)
	e := get(t, s, "e")
	if d := e.Deliveries[0]; d.Receives != 2 || d.Handled != 2 || len(e.Steps) != 4 {
		t.Errorf("got %+v after %d steps", d, len(e.Steps))
	}
}

func TestTheLatestChangeComesFirst(t *testing.T) {
	s := New(0)
	for _, id := range []string{"a", "b", "c", "a", "c", "b", "a", "a", "b"} {
		s.Hop(hop.Hop{Stage: hop.Function, EventIDs: []string{id}})
		changed, _, err := s.Watch(t.Context(), 0)
		if err != nil || changed[0].ID != id {
			t.Fatalf("%v: %+v", err, changed)
		}
	}
	changed, _, _ := s.Watch(t.Context(), 0)
	var ids []string
	for _, e := range changed {
		ids = append(ids, e.ID)
	}
	if !slices.Equal(ids, []string{"b", "a", "c"}) {
		t.Errorf("got %v", ids)
	}
}
