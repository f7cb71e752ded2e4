package local

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/faults"
	"github.com/outboxkit/transactional-outbox/internal/local/functions"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// A Stub answers in place of a function.
type Stub struct {
	// Match reports whether it answers for an event: the body of a message of a queue, which it then gets alone, or the
	// whole payload of any other invocation. Default: for all.
	Match func(event json.RawMessage) bool
	// Handle returns the function's response to a payload, or an error for a function that fails.
	Handle func(ctx context.Context, payload []byte) ([]byte, error)
}

// Stub puts a stub before the function with that name: see [Session.Function]. Of several stubs that match, the last one
// answers. restore removes it.
func (s *Session) Stub(function string, stub Stub) (restore func(), err error) {
	f, err := s.Function(function)
	if err != nil {
		return nil, err
	}
	return s.current().stubs.add(&placed{Stub: stub, arn: f.GetAtt["Arn"], logicalID: f.LogicalID}), nil
}

// stubs stand before all functions.
type stubs struct {
	next func(ctx context.Context, arn string, payload []byte) ([]byte, error)
	sink hop.Sink

	mu     sync.RWMutex
	placed []*placed // the last one first
}

// A placed is a stub before a function.
type placed struct {
	Stub
	arn, logicalID string
}

func (s *stubs) add(p *placed) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.placed = slices.Insert(s.placed, 0, p)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.placed = slices.DeleteFunc(s.placed, func(other *placed) bool { return other == p })
	}
}

// find returns the stub that answers for all of these events, or nil.
func (s *stubs) find(arn string, events ...json.RawMessage) *placed {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, p := range s.placed {
		other := func(event json.RawMessage) bool { return !p.Match(event) }
		if p.arn == arn && (p.Match == nil || !slices.ContainsFunc(events, other)) {
			return p
		}
	}
	return nil
}

// wants reports whether a stub answers for a message, which it then gets alone.
func (s *stubs) wants(arn string, body json.RawMessage) bool {
	p := s.find(arn, body)
	return p != nil && p.Match != nil
}

// alone returns what reports whether a function gets a message alone: because a stub answers for it, or because a fault is to
// hit its event and no other.
func (s *services) alone(injector *faults.Injector) func(arn string, body json.RawMessage) bool {
	return func(arn string, body json.RawMessage) bool {
		return s.stubs.wants(arn, body) || injector.Awaits(hop.EventID(body))
	}
}

// invoke runs the stub of a function, or the function.
func (s *stubs) invoke(ctx context.Context, arn string, payload []byte) ([]byte, error) {
	p := s.find(arn, eventsIn(payload)...)
	if p == nil {
		return s.next(ctx, arn, payload)
	}
	cause := hop.CauseOf(ctx)
	report := func(stage hop.Stage, outcome hop.Outcome, detail string) {
		s.sink(hop.Hop{At: time.Now(), Stage: stage, Resource: p.logicalID, Source: cause.Source, EventIDs: cause.EventIDs, Outcome: outcome, Detail: detail})
	}
	report(hop.Platform, hop.OK, "START RequestId: a stub answers in place of the function "+cloud.ResourceOf(arn))
	response, err := p.Handle(ctx, payload)
	if err == nil {
		return response, nil
	}
	report(hop.Function, hop.Retry, "the stub in place of the function: "+err.Error())
	var failed *functions.FunctionError
	if !errors.As(err, &failed) {
		err = &functions.FunctionError{Function: p.logicalID, Type: "Stub", Message: err.Error()}
	}
	return nil, err
}

// eventsIn returns the bodies of the messages in a payload, or the payload where it has none.
func eventsIn(payload []byte) []json.RawMessage {
	var batch struct {
		Records []struct {
			Body *string `json:"body"`
		}
	}
	_ = json.Unmarshal(payload, &batch) // a payload of any other form is what it is
	var bodies []json.RawMessage
	for _, r := range batch.Records {
		if r.Body != nil {
			bodies = append(bodies, json.RawMessage(*r.Body))
		}
	}
	if bodies == nil {
		return []json.RawMessage{payload}
	}
	return bodies
}
