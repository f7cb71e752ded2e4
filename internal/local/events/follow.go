package events

import (
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// Hop adds a hop to the timeline of each event in it. It is a [hop.Sink]. What a schedule sends is no event of the stack's.
func (s *Store) Hop(h hop.Hop) {
	if h.Stage == hop.Schedule {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := concerned(h)
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			continue
		}
		r := s.find(id, h.At)
		r.follow(h, id)
		r.Heartbeat = r.Heartbeat || h.Heartbeat
		r.add(stepOf(h, id))
		s.touch(r)
	}
}

// concerned returns the events that a hop is about: those whose ids a log line of an invocation has, where it has any, else
// all of the invocation.
func concerned(h hop.Hop) []string {
	if h.Stage != hop.Function || len(h.EventIDs) == 1 {
		return h.EventIDs
	}
	var named []string
	for _, id := range h.EventIDs {
		if strings.Contains(h.Detail, id) {
			named = append(named, id)
		}
	}
	if named == nil {
		return h.EventIDs
	}
	return named
}

// isFailed reports whether a function has not handled an event of a batch.
func isFailed(h hop.Hop, id string) bool {
	if h.Outcome == hop.OK || len(h.FailedIDs) == 0 {
		return h.Outcome != hop.OK
	}
	for _, failed := range h.FailedIDs {
		if failed == id {
			return true
		}
	}
	return false
}

func stepOf(h hop.Hop, id string) Step {
	step := Step{At: h.At, Stage: h.Stage, Resource: h.Resource, Source: h.Source, Target: h.Target, Outcome: h.Outcome, Latency: h.Latency, Detail: h.Detail}
	if h.Stage == hop.Queue && !isFailed(h, id) {
		step.Outcome, step.Detail = hop.OK, ""
	}
	if len(step.Detail) > maxDetail {
		step.Detail = strings.ToValidUTF8(step.Detail[:maxDetail], "") + "…"
	}
	return step
}

// add adds a step. Of very many, those in the middle are not kept.
func (r *record) add(step Step) {
	if len(r.Steps) >= maxSteps {
		r.Steps = append(r.Steps[:keepFirst], r.Steps[keepFirst+1:]...)
		r.Omitted++
	}
	at := r.place(step)
	if at < len(r.Steps) && step.At.After(r.Steps[at].At) {
		late := step.At.Sub(r.Steps[at].At)
		step.At, step.Latency = r.Steps[at].At, max(0, step.Latency-late)
	}
	r.Steps = slices.Insert(r.Steps, at, step)
	r.Last = r.Steps[len(r.Steps)-1]
}

// place returns where a step belongs among the others: at the end, but for three that are reported late. A pipe reports what it
// has handed to a bus once its checkpoint is stored, when the bus has accepted it. A rule reports what it has sent to a queue
// when the queue has answered, and a function may have it by then. What a function has logged just before it answered may be
// read after that.
func (r *record) place(step Step) int {
	end := len(r.Steps)
	if step.Outcome != hop.OK {
		return end
	}
	switch {
	case step.Stage == hop.Function && end > 0 && r.Steps[end-1].Stage == hop.Queue && r.Steps[end-1].Source == step.Source:
		return end - 1
	case step.Stage == hop.Pipe:
		for at := end - 1; at >= 0 && r.Steps[at].Stage != hop.Pipe; at-- {
			if r.Steps[at].Stage == hop.Bus && r.Steps[at].Target == "" {
				return at
			}
		}
	case step.Stage == hop.Bus && step.Target != "":
		place := end
		for at := end - 1; at >= 0 && r.Steps[at].Stage != hop.Bus; at-- {
			if r.Steps[at].Source == step.Target {
				place = at
			}
		}
		return place
	}
	return end
}

// delivery returns the delivery to a target, a new one where there is none.
func (r *record) delivery(target string) *Delivery {
	for i := range r.Deliveries {
		if r.Deliveries[i].Target == target {
			return &r.Deliveries[i]
		}
	}
	r.Deliveries = append(r.Deliveries, Delivery{Target: target, State: Moving, onBus: true})
	return &r.Deliveries[len(r.Deliveries)-1]
}

// follow moves the event where a hop has brought it.
func (r *record) follow(h hop.Hop, id string) {
	switch h.Stage {
	case hop.Bus, hop.Topic:
		r.followSent(h)
	case hop.Queue:
		r.followQueue(h, isFailed(h, id), times(h, id))
	case hop.Platform:
		if h.Source != "" && isStart(h.Detail) {
			d := r.delivery(h.Source)
			d.State, d.Function, d.onBus = InFlight, h.Resource, false
			d.Receives += times(h, id)
		}
	case hop.Effect:
		for i := range r.Deliveries {
			if r.Deliveries[i].Function == h.Resource {
				r.Deliveries[i].Effects++
			}
		}
	default: // what pipes and functions report is in the last step
	}
}

// times returns how many messages of a batch have the same event.
func times(h hop.Hop, id string) (n int) {
	for _, other := range h.EventIDs {
		if other == id {
			n++
		}
	}
	return n
}

// followSent moves the delivery of a rule to its target, or of a topic to a subscription. What a topic has, it delivers to its
// subscriptions, which are deliveries of their own.
func (r *record) followSent(h hop.Hop) {
	target := h.Target
	if h.Source != "" {
		target = h.Source
	}
	if target == "" {
		return // no bus, or no rule any more
	}
	d := r.delivery(target)
	switch h.Outcome {
	case hop.OK:
		switch {
		case strings.HasPrefix(target, "arn:aws:lambda:"), strings.HasPrefix(target, "arn:aws:sns:"):
			d.State = Handled
			d.Handled++
		case d.onBus:
			d.State, d.Reason = Waiting, ""
		} // else its queue has told of it before the bus did
		d.onBus = false
	case hop.Retry, hop.Failed:
		d.State, d.Reason, d.onBus = Retrying, h.Detail, true
	case hop.DeadLetter:
		d.State, d.At, d.Reason = DeadLetter, h.Target, h.Detail
	case hop.Dropped:
		d.State, d.Reason = Dropped, h.Detail
	}
}

// followQueue moves the delivery of a queue to its function.
func (r *record) followQueue(h hop.Hop, failed bool, messages int) {
	d := r.delivery(h.Source)
	d.onBus = false
	switch {
	case h.Outcome == hop.DeadLetter:
		d.State, d.At = DeadLetter, h.Target
		if d.Reason == "" {
			d.Reason = h.Detail
		}
	case failed:
		d.State, d.Reason = Retrying, h.Detail
	default:
		d.State, d.Reason, d.At = Handled, "", ""
		d.Handled += messages
	}
}

// isStart reports whether a line of Lambda's says that an invocation begins.
func isStart(line string) bool {
	return strings.HasPrefix(line, "START ") || strings.Contains(line, `"type":"platform.start"`)
}

// state returns the event's state: the most urgent of its deliveries, and on the way to the bus what its pipe has reported.
func (r *record) state() State {
	if len(r.Deliveries) == 0 {
		return r.stateOnTheWay()
	}
	for _, state := range States {
		for _, d := range r.Deliveries {
			if d.State == state {
				return state
			}
		}
	}
	return Moving
}

func (r *record) stateOnTheWay() State {
	switch {
	case r.accepted:
		return Unmatched
	case r.Last.Stage == Fault:
		return r.State
	case r.Last.Outcome == hop.Retry:
		return Retrying
	case r.Last.Outcome == hop.DeadLetter:
		return DeadLetter
	case r.Last.Outcome == hop.Dropped:
		return Dropped
	}
	return Moving
}
