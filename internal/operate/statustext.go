package operate

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/terminal"
)

// Write writes the status for a person, on lines of at most width characters where they can be cut; 0 is no limit.
func (s *Status) Write(w io.Writer, width int) {
	w = terminal.Writer(w)
	fmt.Fprintf(w, "%s in %s, %s\n", s.Stack, s.Where, s.At.Format("2006-01-02 15:04:05 UTC"))
	for i := range s.Outboxes {
		s.writeOutbox(w, &s.Outboxes[i], width)
	}
	if len(s.Imported) > 0 {
		fmt.Fprint(w, "\nof imported outboxes\n")
		s.writeConsumers(w, s.Imported, width)
	}
	s.writeAlarms(w)
	s.writeNeeds(w, width)
}

func (s *Status) writeOutbox(w io.Writer, o *OutboxStatus, width int) {
	fmt.Fprintf(w, "\noutbox %s\n", o.Path)
	t := table{gap: 2}
	line := func(name, value string) {
		for i, part := range wrap(terminal.Visible(value), width-beforeValues) {
			t.row([]string{name, ""}[count(i > 0)], part)
		}
	}
	line("pipe", shown(o.Pipe, func(p Part) string { return p.State + because(p.Reason) }))
	line("heartbeat", s.heartbeat(o.Heartbeat))
	line("audit", s.audit(o))
	line("dead letters", "pipe "+figure(&o.PipeDeadLetters)+", rules "+figure(&o.RuleDeadLetters)+auditors(o.Audit))
	t.write(w, "  ", 0)
	s.writeConsumers(w, o.Consumers, width)
}

// beforeValues is the width of what stands before the values of an outbox.
const beforeValues = len("  dead letters  ")

func (s *Status) heartbeat(h *HeartbeatStatus) string {
	if h == nil {
		return "none: without Monitor a pipe that stands still looks like one without work"
	}
	return shown(h.Last, func(b Beat) string {
		if b.Arrived.IsZero() {
			return "none has arrived in the last " + span(lookBackForBeat)
		}
		// CloudWatch knows the minute of its arrival, by its beginning.
		return fmt.Sprintf("arrived at most %s ago, after %s on its way (limit %s)",
			span(s.At.Sub(b.Arrived)), milliseconds(b.LagMS), span(time.Duration(h.MaximumLagSeconds)*time.Second))
	}) + unlessEnabled("schedule", h.Schedule) + unlessEnabled("rule", h.Rule)
}

// unlessEnabled returns the state of a rule that does not do its work, or is not known to.
func unlessEnabled(name string, r *Reading[Part]) string {
	if r == nil || r.known() && enabled(r.Value) {
		return ""
	}
	return "; " + name + " " + shown(*r, func(p Part) string { return p.State })
}

func (s *Status) audit(o *OutboxStatus) string {
	if o.Audit == nil {
		return "none: without Audit nobody looks for effects that are missing; `outbox audit --full` does it once"
	}
	var total Unconfirmed
	unknown := false
	for _, c := range o.Consumers {
		if c.Unconfirmed == nil {
			continue
		}
		u := c.Unconfirmed.Value
		unknown = unknown || !c.Unconfirmed.known()
		total.Count += u.Count
		total.More = total.More || u.More
		if !u.Oldest.IsZero() && (total.Oldest.IsZero() || u.Oldest.Before(total.Oldest)) {
			total.Oldest = u.Oldest
		}
	}
	text := fmt.Sprintf("%s not confirmed within %s", total.events(), span(time.Duration(o.Audit.ConfirmWithinSeconds)*time.Second))
	if total.Count > 0 {
		text += ", the oldest for " + span(s.At.Sub(total.Oldest))
	}
	if unknown {
		text += ", and ? of some consumers"
	}
	if o.Audit.RepairPerMinute != "" {
		text += "; repairs up to " + o.Audit.RepairPerMinute + " a minute"
	}
	return text + unlessEnabled("schedule", o.Audit.Schedule)
}

func auditors(a *AuditStatus) string {
	if a == nil {
		return ""
	}
	return ", auditor " + figure(&a.DeadLetters)
}

// narrow is the width up to which a table is written closely.
const narrow = 100

func (s *Status) writeConsumers(w io.Writer, consumers []ConsumerStatus, width int) {
	if len(consumers) == 0 {
		fmt.Fprintln(w, "  no consumers")
		return
	}
	t := table{gap: 2, right: []bool{false, false, false, true, true, true, true, true, true}}
	header := []string{"consumer", "mapping", "rule", "queue", "in flight", "oldest", "unconfirmed", "oldest", "dead letters"}
	if width > 0 && width <= narrow {
		t.gap = 1
		header = []string{"consumer", "mapping", "rule", "queue", "flight", "oldest", "unconf.", "oldest", "dead"}
	}
	t.row(header...)
	for _, c := range consumers {
		waiting, inFlight := "-", "-"
		if c.Queue != nil {
			waiting = shown(*c.Queue, func(d Depth) string { return fmt.Sprint(d.Waiting) })
			inFlight = shown(*c.Queue, func(d Depth) string { return fmt.Sprint(d.InFlight) })
		}
		t.row(c.Consumer, state(c.Mapping), state(c.Rule), waiting, inFlight, age(c.OldestAge),
			optional(c.Unconfirmed, func(u Unconfirmed) string { return fmt.Sprint(u.Count) + strings.Repeat("+", count(u.More)) }),
			optional(c.Unconfirmed, func(u Unconfirmed) string {
				if u.Count == 0 {
					return "-"
				}
				return span(s.At.Sub(u.Oldest))
			}), figure(c.DeadLetters))
	}
	t.write(w, "  ", width)
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// shown returns the text of a reading, or "?".
func shown[T any](r Reading[T], say func(T) string) string {
	if !r.known() {
		return "?"
	}
	return say(r.Value)
}

// optional is shown for a reading that may not apply.
func optional[T any](r *Reading[T], say func(T) string) string {
	if r == nil {
		return "-"
	}
	return shown(*r, say)
}

func figure(r *Reading[int64]) string {
	return optional(r, func(n int64) string { return fmt.Sprint(n) })
}

// state returns a state in lower case, so that mappings and rules look alike.
func state(r *Reading[Part]) string {
	return optional(r, func(p Part) string { return strings.ToLower(p.State) })
}

func age(r *Reading[Age]) string {
	return optional(r, func(a Age) string {
		if !a.Known || a.Seconds == 0 {
			return "-"
		}
		return span(time.Duration(a.Seconds) * time.Second)
	})
}

func (s *Status) writeAlarms(w io.Writer) {
	switch {
	case !s.Alarms.known():
		fmt.Fprint(w, "\nalarms that are on: ?\n")
	case len(s.Alarms.Value) == 0:
		fmt.Fprint(w, "\nalarms that are on: none\n")
	default:
		fmt.Fprint(w, "\nalarms that are on\n")
		for _, a := range s.Alarms.Value {
			fmt.Fprintf(w, "  %s, for %s\n", terminal.Visible(a.Name), span(s.At.Sub(a.Since)))
		}
	}
}

func (s *Status) writeNeeds(w io.Writer, width int) {
	if len(s.Needs) == 0 {
		fmt.Fprint(w, "\nnothing needs a person\n")
		return
	}
	fmt.Fprint(w, "\nneeds a person\n")
	for _, n := range s.Needs {
		for i, line := range wrap(terminal.Visible(n.What), width-4) {
			fmt.Fprintf(w, "  %s %s\n", []string{"-", " "}[count(i > 0)], line)
		}
		if n.Do != "" {
			// Not wrapped: a terminal does that too, and what it wraps can be copied as one line.
			fmt.Fprintf(w, "    → %s\n", terminal.Visible(n.Do))
		}
	}
}

// Line returns the status in one line, for a log.
func (s *Status) Line() string {
	parts := []string{s.At.Format("15:04:05")}
	for i := range s.Outboxes {
		o := &s.Outboxes[i]
		parts = append(parts, o.Path+" pipe "+shown(o.Pipe, func(p Part) string { return p.State }))
		if o.Heartbeat != nil {
			parts = append(parts, "heartbeat "+shown(o.Heartbeat.Last, func(b Beat) string {
				if b.Arrived.IsZero() {
					return "none"
				}
				return span(s.At.Sub(b.Arrived)) + " ago"
			}))
		}
	}
	var waiting, dead, unconfirmed int64
	for _, o := range s.Outboxes {
		dead += o.PipeDeadLetters.Value + o.RuleDeadLetters.Value
	}
	for _, c := range s.consumers() {
		if c.Queue != nil {
			waiting += c.Queue.Value.Waiting + c.Queue.Value.InFlight
		}
		if c.DeadLetters != nil {
			dead += c.DeadLetters.Value
		}
		if c.Unconfirmed != nil {
			unconfirmed += c.Unconfirmed.Value.Count
		}
	}
	return terminal.Visible(fmt.Sprintf("%s, in queues %d, unconfirmed %d, dead letters %d, alarms %d, needs a person %d",
		strings.Join(parts, ", "), waiting, unconfirmed, dead, len(s.Alarms.Value), len(s.Needs)))
}

// consumers returns those of all outboxes.
func (s *Status) consumers() []ConsumerStatus {
	all := s.Imported
	for _, o := range s.Outboxes {
		all = append(all[:len(all):len(all)], o.Consumers...)
	}
	return all
}
