package eventsource

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	smithytime "github.com/aws/smithy-go/time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/jsontext"
	"github.com/outboxkit/transactional-outbox/internal/local/streams"
)

// maxState limits the bytes of a window's state. With a larger one Lambda ends the window early.
// Source: Lambda developer guide, services-ddb-windows.
const maxState = 1 << 20

// A window is the tumbling window of a shard that is open.
type window struct {
	start, end time.Time
	state      json.RawMessage
	reached    *streams.Checkpoint // of the shard, to be stored when the window is closed
}

// windows are the open windows of a mapping, at most one a shard, and its checkpoints: what the records of an open window
// have reached is stored once the function has taken the window's end. After a restart in between, the function gets all
// records of the window again, and an empty state.
// Source: Lambda developer guide, services-ddb-windows, "Aggregation and processing".
type windows struct {
	streams.Checkpoints
	length time.Duration

	mu   sync.Mutex
	open map[string]*window // by shard
}

func newWindows(checkpoints streams.Checkpoints, length time.Duration) *windows {
	return &windows{Checkpoints: checkpoints, length: length, open: map[string]*window{}}
}

// Save implements streams.Checkpoints.
func (w *windows) Save(checkpoints map[string]streams.Checkpoint) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	stored := maps.Clone(checkpoints)
	for shard, checkpoint := range checkpoints {
		if open := w.open[shard]; open != nil {
			open.reached = &checkpoint
			delete(stored, shard)
		}
	}
	return w.Checkpoints.Save(stored)
}

// get returns the open window of a shard, or nil.
func (w *windows) get(shard string) *window {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open[shard]
}

// begin opens the window of a shard in which a record has arrived. Windows begin at multiples of their length.
func (w *windows) begin(shard string, arrival time.Time) *window {
	length := int64(w.length.Seconds())
	start := time.Unix(arrival.Unix()/length*length, 0).UTC()
	opened := &window{start: start, end: start.Add(w.length), state: json.RawMessage("{}")}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[shard] = opened
	return opened
}

// close removes the window of a shard and stores what it has reached.
func (w *windows) close(shard string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	closed := w.open[shard]
	delete(w.open, shard)
	if closed.reached == nil {
		return nil
	}
	return w.Checkpoints.Save(map[string]streams.Checkpoint{shard: *closed.reached})
}

// keep takes the state from a response, and reports whether it has one.
func (w *window) keep(response []byte) bool {
	// A map, because a struct tag would take the key in any case, and Lambda does not.
	var fields map[string]json.RawMessage
	if json.Unmarshal(response, &fields) != nil || fields["state"] == nil {
		return false
	}
	w.state = fields["state"]
	return true
}

// A windowEvent is the event of an invocation with tumbling windows.
// Source: Lambda developer guide, services-ddb-windows, "Example DynamodbTimeWindowEvent".
type windowEvent struct {
	Records         []json.RawMessage
	Window          windowBounds    `json:"window"`
	State           json.RawMessage `json:"state"`
	ShardID         string          `json:"shardId"`
	SourceARN       string          `json:"eventSourceARN"`
	IsFinal         bool            `json:"isFinalInvokeForWindow"`
	TerminatedEarly bool            `json:"isWindowTerminatedEarly"`
}

type windowBounds struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// payload completes the event by what the window has.
func (w *window) payload(e windowEvent) []byte {
	e.Window, e.State = windowBounds{w.start, w.end}, w.state
	return []byte(jsontext.Compact(e))
}

func (w *window) String() string {
	return fmt.Sprintf("window from %s to %s", w.start.Format(time.RFC3339), w.end.Format(time.RFC3339))
}

// deliverInWindows delivers a batch window by window. A window is open until a record of a later one comes, or nothing
// more can.
func (m *streamMapping) deliverInWindows(ctx context.Context, b streams.Batch) error {
	for from := 0; from < len(b.Records); {
		open := m.windows.get(b.Shard)
		if open != nil && !b.Records[from].Arrival.Before(open.end) {
			if err := m.endWindow(ctx, b.Shard, open); err != nil {
				return err
			}
			open = nil
		}
		if open == nil {
			open = m.windows.begin(b.Shard, b.Records[from].Arrival)
		}
		to := from + 1
		for to < len(b.Records) && b.Records[to].Arrival.Before(open.end) {
			to++
		}
		if err := m.deliverPart(ctx, part{batch: b, from: from, to: to, window: open}); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// closeWindow ends the window of a shard when no record of it can come any more: see [streams.Reader.CaughtUp]. Lambda
// waits up to two minutes for that; here a read that began after the window's end has seen all of its records.
func (m *streamMapping) closeWindow(ctx context.Context, shard string, until time.Time, ended bool) error {
	open := m.windows.get(shard)
	if open == nil || !ended && until.Before(open.end) {
		return nil
	}
	return m.endWindow(ctx, shard, open)
}

// endWindow gives the function the final state and closes the window.
func (m *streamMapping) endWindow(ctx context.Context, shard string, w *window) error {
	if err := m.invokeEnd(ctx, w, windowEvent{ShardID: shard, IsFinal: true}); err != nil {
		return err
	}
	return m.windows.close(shard)
}

// endIfFull gives the function a state that has become too large, and goes on in the same window with an empty one.
func (m *streamMapping) endIfFull(ctx context.Context, shard string, w *window) error {
	if w == nil || len(w.state) <= maxState {
		return nil
	}
	if err := m.invokeEnd(ctx, w, windowEvent{ShardID: shard, TerminatedEarly: true}); err != nil {
		return err
	}
	w.state = json.RawMessage("{}")
	return nil
}

// invokeEnd invokes the function without records until it succeeds: nothing of the shard goes on before.
// Source: Lambda developer guide, services-ddb-windows, "Aggregation and processing".
func (m *streamMapping) invokeEnd(ctx context.Context, w *window, e windowEvent) error {
	e.Records, e.SourceARN = []json.RawMessage{}, m.SourceARN
	payload := w.payload(e)
	for attempt := 0; ; attempt++ {
		started := time.Now()
		_, err := m.invoke(ctx, m.FunctionARN, payload)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		m.set(err != nil)
		if err == nil {
			m.report(nil, hop.Hop{Outcome: hop.OK, Target: m.FunctionARN, Latency: time.Since(started), Detail: "end of the " + w.String()})
			return nil
		}
		m.report(nil, hop.Hop{Outcome: hop.Retry, Target: m.FunctionARN, Detail: fmt.Sprintf("end of the %s: %v", w, err)})
		if err := smithytime.SleepWithContext(ctx, streams.Backoff(attempt, retryLast)); err != nil {
			return err
		}
	}
}
