package operate

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/terminal"
)

// Missing returns how many effects wait in a dead-letter queue or are nowhere.
func (t *Trace) Missing() (n int) {
	for _, e := range t.Events {
		for _, c := range e.Consumers {
			if c.State == Nowhere || c.State == DeadLettered {
				n++
			}
		}
	}
	return n
}

// Write writes the trace for a person, with commands to type in the words of the command line.
func (t *Trace) Write(w io.Writer, command CommandLine) {
	w = terminal.Writer(w)
	if t.More {
		fmt.Fprintf(w, "the latest %d events of the aggregate\n\n", len(t.Events))
	}
	for i, e := range t.Events {
		if i > 0 {
			fmt.Fprintln(w)
		}
		t.writeEvent(w, e)
	}
	if p := t.Pipe; p != nil && p.State != "RUNNING" {
		fmt.Fprintf(w, "\n%s\n", terminal.Visible("the pipe is "+p.State+because(p.Reason)+": what it has not taken up waits in the stream, at most "+span(t.keeps)))
	}
	t.writeAdvice(w, command)
}

func (t *Trace) writeEvent(w io.Writer, e TracedEvent) {
	fmt.Fprintln(w, terminal.Visible(fmt.Sprintf("%s, version %d of %s %s", e.Type, e.Version, e.AggregateType, e.AggregateID)))
	lines := table{gap: 2}
	lines.row("id", e.ID)
	lines.row("committed", fmt.Sprintf("%s, %s ago", clock(e.CommittedAt), span(t.at.Sub(e.CommittedAt))))
	lines.row("on the bus", e.onBus())
	if e.CausationID != "" {
		lines.row("caused by", e.CausationID)
	}
	for _, c := range e.Caused {
		lines.row("led to", c.Type+" "+c.ID)
	}
	lines.write(w, "  ", 0)
	if len(e.Consumers) == 0 {
		fmt.Fprintln(w, "  no consumer's pattern matches it")
		return
	}
	effects := table{gap: 2}
	for _, c := range e.Consumers {
		effects.row(c.Consumer, c.words(e, t.at))
	}
	effects.write(w, "    ", 0)
}

// words returns what became of the event at a consumer.
func (c TracedEffect) words(e TracedEvent, now time.Time) string {
	var text string
	switch c.State {
	case Effective:
		if c.At.IsZero() {
			return "effect: " + c.Reason
		}
		return fmt.Sprintf("effect at %s, %s after the commit", clock(c.At), milliseconds(c.At.Sub(e.CommittedAt).Milliseconds()))
	case DeadLettered:
		text = "dead-lettered" + since(c.At) + colon(c.Reason)
	case Queued:
		text = "no effect yet" + colon(c.Reason) + "; " + counted(c.Waiting, "message waits", "messages wait") + " in its queue and " +
			counted(c.InFlight, "is being handled", "are being handled") + ", and it may be one of them"
	case Young:
		text = "perhaps still on its way" + colon(c.Reason)
	case Unknowable:
		text = "not known" + colon(c.Reason)
		if c.Waiting+c.InFlight > 0 {
			text += fmt.Sprintf("; %s in its queue", counted(c.Waiting+c.InFlight, "message is", "messages are"))
		}
	default:
		text = "NOWHERE" + colon(c.Reason) + "; its queue is empty, and it is in no dead-letter queue"
		if c.inStream {
			text = "not delivered" + colon(c.Reason)
		} else if c.notAllSeen {
			text = "NOWHERE to be seen" + colon(c.Reason) + "; its queue is empty, and not all dead-letter messages could be looked at: others have received some, look again in a minute"
		}
	}
	if c.State != DeadLettered && !c.At.IsZero() {
		text += "; the audit has missed it for " + span(now.Sub(c.At))
	}
	if !c.RepairedAt.IsZero() {
		text += "; it was sent again at " + clock(c.RepairedAt)
	}
	return text
}

func since(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return ", sent at " + clock(at)
}

func colon(reason string) string {
	if reason = strings.TrimPrefix(reason, "; "); reason == "" {
		return ""
	}
	return ": " + reason
}

// notYoung is until when an event must have been written that somebody looks for on purpose: [young] ones may be on their way. A
// repair's own default waits for the audit's ConfirmWithin.
const notYoung = "1m"

// writeAdvice writes what to type about the effects that are missing.
func (t *Trace) writeAdvice(w io.Writer, command CommandLine) {
	var lines []string
	add := func(line string) {
		for _, there := range lines {
			if there == line {
				return
			}
		}
		lines = append(lines, line)
	}
	for _, e := range t.Events {
		for _, c := range e.Consumers {
			switch c.State {
			case DeadLettered:
				of := []string{"--consumer", c.Consumer}
				if c.ofPipe {
					of = nil // the pipe's messages are no consumer's
				}
				add(command.For("dead-letters list", of...))
			case Nowhere:
				if c.inStream {
					add(command.For("resume", "--pipe"))
					continue
				}
				add(command.For("repair", "--consumer", c.Consumer, "--aggregate", e.AggregateType+"#"+e.AggregateID, "--full", "--until", notYoung))
			default:
			}
		}
	}
	if len(lines) > 0 {
		fmt.Fprintln(w)
	}
	for _, line := range lines {
		fmt.Fprintln(w, "→ "+terminal.Visible(line))
	}
}
