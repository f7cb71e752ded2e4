package page_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/flow"
	"github.com/outboxkit/transactional-outbox/internal/page"
)

// A fake is a stack that does what a test asks of it.
type fake struct {
	about page.About
	graph *flow.Graph

	mu      sync.Mutex
	events  []page.Event // the oldest first
	letters []page.DeadLetter
	looked  bool // somebody else looks at all dead-letter messages
	faults  []page.Fault
	sent    []page.Request
	follow  func(page.Change)
	// followed gets a value when somebody begins to follow, and unfollowed when nobody does any more.
	followed, unfollowed chan struct{}
}

// newFake returns a stack with the flow of the template of the reference application, and so many consumers.
func newFake(t testing.TB, consumers int) *fake {
	t.Helper()
	graph, err := flow.Read(nil, flow.Template{Body: templateWith(t, consumers)})
	if err != nil {
		t.Fatal(err)
	}
	return &fake{
		graph: graph, followed: make(chan struct{}, 100), unfollowed: make(chan struct{}, 100),
		about: page.About{Stack: "Orders-dev", Where: "on this machine", Live: true, Facts: []page.FactGroup{
			{Title: "Endpoints", Rows: [][]string{{"REST API", "http://127.0.0.1:4510/dev"}, {"AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:4512"}}},
		}},
		faults: []page.Fault{
			{Point: "dynamodb.throttle", What: "refused: ProvisionedThroughputExceededException or ThrottlingException"},
			{Point: "queue.duplicate", What: "the message is received once more, deleted or not", Rate: 0.2, Fired: 3},
			{Point: "function.timeout", What: "the invocation does not arrive, or its response is held, until the function's time is up"},
		},
	}
}

// templateWith returns the reference application's template with more consumers, each a copy of one of its own.
func templateWith(t testing.TB, consumers int) []byte {
	t.Helper()
	raw, err := os.ReadFile("../../test/synth/golden/Orders-prod.json")
	if err != nil {
		t.Fatal(err)
	}
	var template struct{ Resources map[string]json.RawMessage }
	if err := json.Unmarshal(raw, &template); err != nil {
		t.Fatal(err)
	}
	resources := template.Resources
	names := []string{"Ship", "Invoice", "Notify", "Loyalty", "Search", "Fraud", "Analytics", "Warehouse", "Tax"}
	for _, name := range names[:max(0, consumers-3)] {
		for _, id := range slices.Collect(maps.Keys(resources)) {
			if strings.HasPrefix(id, "OutboxPublisherTwo") {
				resources[strings.ReplaceAll(id, "PublisherTwo", name)] = json.RawMessage(strings.ReplaceAll(string(resources[id]), "PublisherTwo", name))
			}
		}
	}
	raw, err = json.Marshal(map[string]any{"Resources": resources})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// commit adds an event.
func (f *fake) commit(e page.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, e)
	if f.follow != nil {
		f.follow(page.Change{Events: true, Moves: []page.Move{{From: "ApiF70053CD", To: "OutboxTableF17138FA", Count: 1, Outcome: "ok"}}})
	}
}

func (f *fake) About() page.About                         { return f.about }
func (f *fake) Flow(context.Context) (*flow.Graph, error) { return f.graph, nil }
func (f *fake) Heal(context.Context) error {
	return f.SetFault(context.Background(), page.FaultSwitch{})
}
func (f *fake) Deliver(context.Context, string, string) error { return nil }

func (f *fake) State(context.Context) (*page.State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &page.State{At: time.Now(), Nodes: map[string]page.NodeState{}, Needs: []page.Need{}}
	for i, n := range f.graph.Nodes {
		switch n.Kind {
		case flow.Queue:
			some := int64(i % 4)
			oldest := some * 7
			s.Nodes[n.ID] = page.NodeState{Waiting: &some, InFlight: new(int64), OldestSeconds: &oldest}
		case flow.DeadLetters:
			some := int64(0)
			for _, l := range f.letters {
				if l.Queue == n.ID {
					some++
				}
			}
			s.Nodes[n.ID] = page.NodeState{Waiting: &some, InFlight: new(int64)}
			if f.looked {
				s.Nodes[n.ID] = page.NodeState{Waiting: new(int64), InFlight: &some}
			}
		case flow.Function, flow.Table, flow.API, flow.Pipe, flow.Bus:
			passed := int64(len(f.events))
			s.Nodes[n.ID] = page.NodeState{Passed: &passed}
		default:
		}
	}
	return s, nil
}

func (f *fake) Events(_ context.Context, q page.EventQuery) (*page.EventList, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := &page.EventList{Events: []page.Event{}, Types: []string{"OrderCreated", "OrderUpdated"}}
	for _, e := range slices.Backward(f.events) {
		if q.Type != "" && e.Type != q.Type || q.State != "" && e.State != q.State || !strings.Contains(e.ID+e.AggregateID, q.Text) {
			continue
		}
		if list.Total++; list.Total > q.Offset && len(list.Events) < q.Limit {
			list.Events = append(list.Events, e)
		}
	}
	return list, nil
}

func (f *fake) Event(_ context.Context, id string) (*page.Timeline, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.events {
		if e.ID == id {
			at := func(ms int) time.Time { return e.At.Add(time.Duration(ms) * time.Millisecond) }
			return &page.Timeline{
				Event: e, Caused: []page.Caused{{ID: "c-1", Type: "ShipmentRequested"}},
				Consumers: []page.Consumer{{Name: "PublisherOne", State: page.Handled, Receives: 1}, {Name: "PublisherTwo", State: page.DeadLettered, Receives: 5, Reason: "no such address"}},
				Steps: []page.Step{
					{At: at(0), Kind: page.Committed, Where: "to Outbox/Table", Outcome: "ok"},
					{At: at(12), Kind: page.Moved, Where: "Outbox/Pipe", To: "Outbox/EventBus", Outcome: "ok", LatencyMS: 12},
					{At: at(14), Kind: page.Moved, Where: "Outbox/PublisherOne/Rule", To: "Outbox/PublisherOne/Queue", Outcome: "ok", LatencyMS: 2},
					{At: at(20), Kind: page.Received, Where: "Outbox/PublisherOne/Function", Outcome: "ok"},
					{At: at(24), Kind: page.Logged, Where: "Outbox/PublisherOne/Function", Detail: "shipment requested  orderId=o-1 units=3"},
					{At: at(31), Kind: page.Effect, Where: "Outbox/PublisherOne/Function", Outcome: "ok", LatencyMS: 11},
					{At: at(40), Kind: page.Faulted, Where: "queue.duplicate"},
					{At: at(61), Kind: page.Moved, Where: "Outbox/PublisherTwo/Queue", To: "Outbox/PublisherTwo/Function", Outcome: "retry", Detail: "no such address"},
					{At: at(2061), Kind: page.Moved, Where: "Outbox/PublisherTwo/Function", To: "Outbox/PublisherTwo/DeadLetterQueue", Outcome: "dead-letter", Detail: "no such address"},
				},
				Payload: json.RawMessage(`{"detail":{"id":"` + id + `","type":"OrderCreated","data":{"customerId":"c-7","items":[{"sku":"A-1","quantity":3}]}}}`),
			}, nil
		}
	}
	return nil, fmt.Errorf("event %q: %w", id, page.ErrNotFound)
}

func (f *fake) DeadLetters(context.Context) (*page.DeadLetterList, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := &page.DeadLetterList{Messages: []page.DeadLetter{}, Total: len(f.letters)}
	if !f.looked {
		list.Messages = append(list.Messages, f.letters...)
	}
	return list, nil
}

func (f *fake) Redrive(_ context.Context, ids []string) (*page.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.letters)
	f.letters = slices.DeleteFunc(f.letters, func(l page.DeadLetter) bool { return slices.Contains(ids, l.ID) })
	return &page.Result{Done: before - len(f.letters)}, nil
}

func (f *fake) Discard(ctx context.Context, ids []string) (*page.Result, error) {
	return f.Redrive(ctx, ids)
}

func (f *fake) Follow(ctx context.Context, change func(page.Change)) {
	f.mu.Lock()
	f.follow = change
	f.mu.Unlock()
	f.followed <- struct{}{}
	<-ctx.Done()
	f.unfollowed <- struct{}{}
}

func (f *fake) Methods(context.Context) ([]page.Method, error) {
	return []page.Method{
		{Verb: "POST", Path: "/orders", Headers: map[string]string{"Idempotency-Key": ""}, Example: json.RawMessage(`{"customerId":"c-1","items":[{"sku":"A-1","quantity":1,"unitPrice":100}],"currency":"EUR"}`), Signed: true},
		{Verb: "GET", Path: "/orders/{id}", Signed: true},
	}, nil
}

func (f *fake) Send(_ context.Context, r page.Request) (*page.Response, error) {
	f.mu.Lock()
	f.sent = append(f.sent, r)
	n := len(f.sent)
	f.mu.Unlock()
	f.commit(page.Event{ID: fmt.Sprintf("sent-%d", n), Type: "OrderCreated", AggregateType: "Order", AggregateID: fmt.Sprintf("o-%d", n), Version: 1, At: time.Now(), State: page.Moving})
	return &page.Response{Status: 201, Body: `{"id":"o-1"}`, LatencyMS: 12.5}, nil
}

func (f *fake) Publish(context.Context, page.Publication) (string, error) { return "e-1", nil }

func (f *fake) Faults(context.Context) ([]page.Fault, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.faults), nil
}

// SetFault sets one, or without a point all.
func (f *fake) SetFault(_ context.Context, s page.FaultSwitch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.faults {
		if s.Point == "" || f.faults[i].Point == s.Point {
			f.faults[i].Rate, f.faults[i].Once = s.Rate, s.Once
		}
	}
	return nil
}

// newEvent returns an event with that number.
func newEvent(n int) page.Event {
	return page.Event{
		ID: fmt.Sprintf("e-%d", n), Type: []string{"OrderCreated", "OrderUpdated"}[n%2], AggregateType: "Order", AggregateID: fmt.Sprintf("o-%d", n),
		Version: 1, At: time.Now(), State: []page.EventState{page.Handled, page.Moving, page.Handled, page.DeadLettered, page.Retrying}[n%5],
	}
}

// requests returns what was sent.
func (f *fake) requests() []page.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sent)
}

// waiting returns the ids of the dead-letter messages.
func (f *fake) waiting() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []string
	for _, l := range f.letters {
		ids = append(ids, l.ID)
	}
	return ids
}
