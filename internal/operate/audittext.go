package operate

import (
	"fmt"
	"io"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/terminal"
)

// A MissingList writes missing effects for a person, the first of them.
type MissingList struct {
	W     io.Writer
	Limit int // how many are written

	all int
}

// Add writes an effect, or counts it.
func (l *MissingList) Add(m MissingEffect) error {
	if l.all++; l.all > l.Limit {
		return nil
	}
	text := fmt.Sprintf("%s misses %s, version %d of %s %s, event %s, written at %s: %s",
		m.Consumer, m.Type, m.Version, m.AggregateType, m.AggregateID, m.ID, clock(m.WrittenAt), m.Reason)
	if m.DeadLettered != nil {
		text += "; it waits in a dead-letter queue" + colon(*m.DeadLettered)
	}
	if !m.RepairedAt.IsZero() {
		text += "; it was sent again at " + clock(m.RepairedAt)
	}
	_, err := fmt.Fprintln(terminal.Writer(l.W), terminal.Visible(text))
	return err
}

// End prints how many were not written.
func (l *MissingList) End() {
	if n := l.all - l.Limit; n > 0 {
		fmt.Fprintf(l.W, "… and %d more; --json lists them all\n", n)
	}
	if l.all > 0 {
		fmt.Fprintln(l.W)
	}
}

// Write writes the ledger for a person, with commands to type in the words of the command line.
func (l *Ledger) Write(w io.Writer, command CommandLine, width int) {
	w = terminal.Writer(w)
	since := "the beginning of the table"
	if !l.Since.IsZero() {
		since = clock(l.Since)
	}
	fmt.Fprintf(w, "outbox %s, events written from %s to %s\n", terminal.Visible(l.Outbox), since, clock(l.Until))
	if l.Committed != nil {
		fmt.Fprintf(w, "%s committed\n", counted(*l.Committed, "event", "events"))
	}
	t := table{gap: 2, right: []bool{false, true, true, true, true, true}}
	t.row("consumer", "matched", "effects", "dead letters", "missing", "in its queue now")
	for _, r := range l.Consumers {
		if r.NoInbox {
			t.row(r.Consumer, "no inbox")
			continue
		}
		t.row(r.Consumer, fmt.Sprint(r.Matched), fmt.Sprint(r.Effects), fmt.Sprint(r.DeadLetters), fmt.Sprint(r.Missing),
			optional(r.InQueue, func(d Depth) string { return fmt.Sprint(d.Waiting + d.InFlight) }))
	}
	t.write(w, "  ", width)
	for _, note := range l.notes(command) {
		fmt.Fprintln(w, terminal.Visible(note))
	}
}

// notes returns what must be known to read the ledger, and what to type.
func (l *Ledger) notes(command CommandLine) (notes []string) {
	args := func(more ...string) []string {
		if l.Full {
			more = append(more, "--full")
		}
		return more
	}
	if !l.Full {
		notes = append(notes, "matched and effects are approximate: the auditor counts an effect when it looks, some minutes after the event was written; --full counts in the tables")
	}
	if l.Unread > 0 {
		notes = append(notes, fmt.Sprintf("%s marked as an event cannot be read as one", counted(l.Unread, "item that is", "items that are")))
	}
	if l.Incomplete {
		notes = append(notes, "not all dead-letter messages could be looked at: some of what is missing may be among them")
	}
	if l.Earlier > 0 {
		notes = append(notes, fmt.Sprintf("→ %s not there either, of events that were written before: %s", counted(l.Earlier, "effect is", "effects are"), command.For("audit", "--since", "365d")))
	}
	for _, r := range l.Consumers {
		if !r.Since.IsZero() {
			notes = append(notes, fmt.Sprintf("%s counts from %s on: events from before may have passed its rule while that was not there yet", r.Consumer, clock(r.Since)))
		}
	}
	var dead, missing []string
	for _, r := range l.Consumers {
		if r.DeadLetters > 0 {
			dead = append(dead, r.Consumer)
		}
		if r.Missing > 0 {
			missing = append(missing, r.Consumer)
		}
	}
	if len(dead) > 0 {
		notes = append(notes, "→ what waits in dead-letter queues, of "+strings.Join(dead, ", ")+": "+command.For("dead-letters list"))
	}
	if len(missing) > 0 {
		notes = append(notes, "→ what is missing, of "+strings.Join(missing, ", ")+": "+command.For("repair", args("--dry-run")...))
	}
	if l.Missing() == 0 {
		notes = append(notes, "nothing is missing")
	}
	return notes
}
