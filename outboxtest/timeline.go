package outboxtest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local"
	"github.com/outboxkit/transactional-outbox/internal/local/events"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/terminal"
)

// timeline returns where an event is now and its whole way, as text for a person. With a consumer it leaves out the ways to
// others.
func (r *Run) timeline(id string, c local.Consumer) string {
	e, found := r.stack.Events().Get(id)
	if !found {
		return "\n  The run knows nothing of the event.\n"
	}
	var b strings.Builder
	b.WriteString("\n  Where it is now\n")
	for _, line := range r.places(e, c) {
		fmt.Fprintf(&b, "    %s\n", terminal.Visible(line))
	}
	b.WriteString("\n  Its way\n")
	began, left := time.Time{}, 0
	for _, step := range e.Steps {
		if c.Queue != "" && !concerns(step, e, c) {
			left++
			continue
		}
		what := r.say(step, e)
		if what == "" {
			continue
		}
		if began.IsZero() {
			began = step.At
		}
		fmt.Fprintf(&b, "    %s  %9s  %s\n", step.At.Format("15:04:05.000"), after(step.At.Sub(began)), terminal.Visible(what))
	}
	if e.Omitted > 0 {
		fmt.Fprintf(&b, "    %d steps in the middle were too many to keep\n", e.Omitted)
	}
	if left > 0 {
		fmt.Fprintf(&b, "    The ways to other consumers are left out: %d steps\n", left)
	}
	if said := r.stack.notices.since(e.FirstSeen); len(said) > 0 {
		b.WriteString("\n  What the run said meanwhile\n")
		for _, text := range said {
			fmt.Fprintf(&b, "    %s\n", terminal.Visible(text))
		}
	}
	return b.String()
}

// after returns how long after the begin of a way a step was.
func after(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d.Abs() < 10*time.Second:
		return fmt.Sprintf("%+d ms", d.Milliseconds())
	default:
		return fmt.Sprintf("%+.1f s", d.Seconds())
	}
}

// places says where an event is, for the consumer or for each target.
func (r *Run) places(e events.Event, c local.Consumer) (lines []string) {
	for _, d := range e.Deliveries {
		if c.Queue == "" || d.Target == c.Queue {
			lines = append(lines, r.place(d))
		}
	}
	switch {
	case lines != nil:
		return lines
	case len(e.Deliveries) > 0:
		var targets []string
		for _, d := range e.Deliveries {
			targets = append(targets, r.stack.NameOf(d.Target))
		}
		return []string{fmt.Sprintf("not on the way to %s: no rule of its matches. It went to %s", c.Name, strings.Join(targets, ", "))}
	case e.State == events.Unmatched:
		return []string{"nowhere: the bus has accepted it, and no rule matches"}
	case e.State == events.DeadLetter:
		return []string{"in the pipe's dead-letter queue: " + e.Last.Detail}
	case e.State == events.Dropped:
		return []string{"lost: " + e.Last.Detail}
	case e.State == events.Retrying:
		return []string{"in the table; its pipe tries again: " + e.Last.Detail}
	}
	return []string{"in the table, where a pipe has not read it yet"}
}

// place says where a delivery is.
func (r *Run) place(d events.Delivery) string {
	target := r.stack.NameOf(d.Target)
	switch d.State {
	case events.Handled:
		text := fmt.Sprintf("%s: handled", target)
		if d.Handled > 1 {
			text += fmt.Sprintf(" %d times", d.Handled)
		}
		return text + ", " + count(d.Effects, "effect")
	case events.InFlight:
		return fmt.Sprintf("%s: the function works on it, in attempt %d", target, d.Receives)
	case events.Waiting:
		return fmt.Sprintf("%s: it waits in the queue, where no function has received it", target)
	case events.Retrying:
		if d.Receives == 0 {
			return fmt.Sprintf("%s: the bus cannot send it there, and tries again: %s", target, d.Reason)
		}
		return fmt.Sprintf("%s: %s failed. Its message comes back when the visibility timeout is over (RetryNow makes it). The last failure: %s", target, count(d.Receives-d.Handled, "attempt"), reason(d.Reason))
	case events.DeadLetter:
		return fmt.Sprintf("%s: a dead letter in %s, after %s. The last failure: %s", target, r.stack.NameOf(d.At), count(d.Receives, "attempt"), reason(d.Reason))
	case events.Dropped:
		return fmt.Sprintf("%s: lost. %s", target, d.Reason)
	default:
		return fmt.Sprintf("%s: on its way from the bus", target)
	}
}

// count returns a number of things in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// batchCount stands before why messages of a batch have failed.
var batchCount = regexp.MustCompile(`^\d+ of \d+ failed: `)

// reason returns a failure without the count of its batch, in which the messages of other tests may be too.
func reason(detail string) string { return batchCount.ReplaceAllString(detail, "") }

// concerns reports whether a step is not one on the way to another consumer.
func concerns(step events.Step, e events.Event, c local.Consumer) bool {
	if step.Stage == hop.Effect {
		d, _ := e.Delivery(c.Queue)
		return d.Function == step.Resource
	}
	if step.Source != "" {
		return step.Source == c.Queue
	}
	return step.Stage != hop.Bus || step.Target == "" || step.Target == c.Queue
}

// say returns a step as a sentence, or "" for one that says nothing to a person.
func (r *Run) say(step events.Step, e events.Event) string {
	resource, target := r.stack.NameOf(step.Resource), r.stack.NameOf(step.Target)
	switch step.Stage {
	case events.Occurred:
		return "happened, as " + e.Source + " says"
	case events.Commit:
		return "committed, in one write to " + r.names(step.Detail)
	case events.Fault:
		key, at, found := strings.Cut(step.Detail, " @ ")
		text := fmt.Sprintf("FAULT injected: %s, to %s", step.Resource, strings.Replace(key, e.ID, "this event", 1))
		if found {
			text += ", at " + r.stack.NameOf(at)
		}
		return text
	case hop.Effect:
		operation, tables, _ := strings.Cut(step.Detail, " ")
		return fmt.Sprintf("    effect of %s: %s to %s", resource, operation, r.names(tables))
	case hop.Function:
		if line := logLine(step.Detail, e); line != "" {
			return "    | " + line
		}
		return ""
	case hop.Platform:
		if strings.HasPrefix(step.Detail, "START ") || strings.Contains(step.Detail, "platform.start") {
			return resource + " is invoked with it"
		}
		return ""
	case hop.Bus:
		if step.Target == "" {
			return fmt.Sprintf("%s: %s", resource, step.Detail)
		}
	default:
	}
	return outcomeOf(step, resource, target)
}

// outcomeOf says what became of an attempt to bring an event from a resource to a target.
func outcomeOf(step events.Step, resource, target string) string {
	switch {
	case step.Outcome == hop.DeadLetter:
		return fmt.Sprintf("%s gave it up; it is in %s: %s", resource, target, step.Detail)
	case step.Outcome == hop.Dropped:
		return fmt.Sprintf("%s lost it: %s", resource, step.Detail)
	case step.Outcome != hop.OK && step.Stage == hop.Queue:
		return fmt.Sprintf("%s FAILED: %s", target, reason(step.Detail))
	case step.Outcome != hop.OK:
		return fmt.Sprintf("%s FAILED to hand it to %s: %s", resource, target, step.Detail)
	case step.Stage == hop.Queue || step.Stage == hop.Stream:
		return fmt.Sprintf("%s has handled it, in %s", target, step.Latency.Round(100*time.Microsecond))
	}
	return fmt.Sprintf("%s handed it to %s", resource, target)
}

// names returns the readable names of tables.
func (r *Run) names(tables string) string {
	names := strings.Split(tables, ", ")
	for i, table := range names {
		names[i] = r.stack.NameOf(table)
	}
	return strings.Join(names, ", ")
}

// maxLatest is how many events a message lists.
const maxLatest = 10

// latest lists the latest events of the run, as text for a person: those that some of the matchers match before the others.
func (r *Run) latest(all matchers) string {
	list := r.stack.Events().List(events.Query{Limit: maxEvents}).Events
	if len(list) == 0 {
		return "\n  The run has seen no event. Was it committed with its event, to a table whose stream a pipe reads?\n" + r.meanwhile()
	}
	fits := func(e events.Event) (n int) {
		for _, m := range all {
			if m.matches(newEvent(e, r)) {
				n++
			}
		}
		return n
	}
	slices.SortStableFunc(list, func(a, b events.Event) int { return fits(b) - fits(a) })
	var b strings.Builder
	fmt.Fprintf(&b, "\n  The run has seen %d events. Those that come nearest, the latest first:\n", len(list))
	for _, e := range list[:min(maxLatest, len(list))] {
		fmt.Fprintf(&b, "    %s  %s, %s\n", e.FirstSeen.Format("15:04:05.000"), terminal.Visible(newEvent(e, r).String()), e.State)
	}
	return b.String() + r.meanwhile()
}

// meanwhile returns what the run has said in the last minute.
func (r *Run) meanwhile() string {
	said := r.stack.notices.since(time.Now().Add(-time.Minute))
	if len(said) == 0 {
		return ""
	}
	return "\n  What the run said in the last minute\n    " + terminal.Visible(strings.Join(said, "; ")) + "\n"
}
