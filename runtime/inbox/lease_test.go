package inbox_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"pgregory.net/rapid"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest/draw"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// The history of one event's lease, as those who take it see it. A lease is taken in an operation from the
// invocation's begin to the begin of the effect, or to the answer when there is none; a completion one from
// the effect's end to the answer.
type (
	leaseInput struct {
		owner    int
		complete bool
		now      int64 // what the lease's condition compares, in virtual milliseconds
		until    int64 // what it writes
	}
	leaseOutput string
	leaseState  struct {
		owner int // 0: nobody has a lease
		until int64
		done  bool
	}
)

const (
	won       leaseOutput = "won"       // the effect was begun
	busy      leaseOutput = "busy"      // another invocation has the lease
	known     leaseOutput = "duplicate" // the event was marked as handled
	completed leaseOutput = "completed"
	unknown   leaseOutput = "unknown" // the invocation crashed or failed: it may have written or not
)

var leaseModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{leaseState{}} },
	Step: func(state, input, output any) []any {
		s, in := state.(leaseState), input.(leaseInput)
		after, allowed := s, false
		if in.complete {
			allowed = !s.done && s.owner == in.owner
			after.done = true
		} else {
			allowed = !s.done && (s.owner == 0 || s.until < in.now)
			after = leaseState{owner: in.owner, until: in.until}
		}
		switch output.(leaseOutput) {
		case won, completed:
			if allowed {
				return []any{after}
			}
		case known:
			if s.done {
				return []any{s}
			}
		case busy:
			if !s.done && s.owner != 0 && s.until >= in.now {
				return []any{s}
			}
		case unknown:
			if allowed {
				return []any{s, after}
			}
			return []any{s}
		}
		return nil
	},
}

// invocation is one delivery of the event.
type invocation struct {
	starts time.Duration
	works  time.Duration // how long the effect takes
	fails  bool
	faults func() dynamotest.Fault
}

// Concurrent deliveries of one event under faults: the lease behaves as one lock that ends by itself, no two
// effects overlap, and an event whose effect was marked never has another.
func TestLeaseIsLinearizable(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var invocations []invocation
		for range rapid.IntRange(1, 6).Draw(rt, "invocations") {
			invocations = append(invocations, invocation{
				starts: time.Duration(rapid.IntRange(0, 20).Draw(rt, "starts")) * 500 * time.Millisecond,
				works:  time.Duration(rapid.IntRange(0, 3).Draw(rt, "works")) * 300 * time.Millisecond,
				fails:  rapid.Bool().Draw(rt, "fails"),
				faults: draw.Faults(rt, "faults"),
			})
		}
		h := &history{}
		synctest.Test(t, func(t *testing.T) {
			f := newFixture()
			var running sync.WaitGroup
			for i, v := range invocations {
				running.Go(func() { h.run(t, f, i+1, v) })
			}
			running.Wait()
		})
		if h.overlap.Load() {
			rt.Fatal("two effects of the event ran at the same time")
		}
		model := leaseModel.ToModel()
		if result := porcupine.CheckOperationsTimeout(model, h.operations, 10*time.Second); result != porcupine.Ok {
			rt.Fatalf("the history is %s for the model: %s", result, h)
		}
	})
}

type history struct {
	mu         sync.Mutex
	clock      int64
	operations []porcupine.Operation
	working    atomic.Int32
	overlap    atomic.Bool
}

func (h *history) tick() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	return h.clock
}

func (h *history) add(in leaseInput, call int64, out leaseOutput) {
	now := h.tick()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, porcupine.Operation{ClientId: in.owner, Input: in, Call: call, Output: out, Return: now})
}

func (h *history) String() string {
	text := ""
	for _, o := range h.operations {
		text += fmt.Sprintf("\n%d-%d %+v %v", o.Call, o.Return, o.Input, o.Output)
	}
	return text
}

// run delivers the event once and notes what the invocation saw.
func (h *history) run(t *testing.T, f *fixture, owner int, v invocation) {
	time.Sleep(v.starts)
	const limit = 5 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	conn := f.Connect(v.faults, cancel)
	// What the handler makes of its deadline: half a second less to answer, two seconds more to be sure.
	in := leaseInput{owner: owner, now: time.Now().UnixMilli(), until: time.Now().Add(limit - limit/10 + 2*time.Second).UnixMilli()}
	done := in
	done.complete = true

	own := newFixture() // logs apart from the other invocations'
	call, begun, worked := h.tick(), false, false
	handler := inbox.EffectHandler(own.store(t, conn), func(ctx context.Context, _ record.Event) error {
		h.add(in, call, won)
		begun = true
		if h.working.Add(1) > 1 {
			h.overlap.Store(true)
		}
		defer h.working.Add(-1)
		select {
		case <-time.After(v.works):
		case <-ctx.Done():
			return ctx.Err()
		}
		if v.fails {
			return errTest
		}
		worked, call = true, h.tick()
		return nil
	})
	response, err := handler(ctx, batch(message("e1", "o1", 1)))
	switch outcome, text := lastLog(t, &own.logs); {
	case begun && !worked, err != nil: // nothing was written after the lease
	case begun && len(response.BatchItemFailures) == 0:
		h.add(done, call, completed)
	case begun:
		h.add(done, call, unknown)
	case outcome == "duplicate":
		h.add(in, call, known)
	case text == "another invocation is handling the event":
		h.add(in, call, busy)
	default:
		h.add(in, call, unknown)
	}
}

func lastLog(t *testing.T, logs *syncBuffer) (outcome, text string) {
	lines := logs.lines(t)
	if len(lines) != 1 {
		t.Error("want one line a message")
		return "", ""
	}
	text, _ = lines[0]["error"].(string)
	return lines[0]["msg"].(string), text
}
