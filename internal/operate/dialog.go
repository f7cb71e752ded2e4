package operate

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/terminal"
)

// A Dialog is how a command that changes something talks to the person at the terminal.
type Dialog struct {
	// Notes is where plans, questions and progress go: not where JSON does.
	Notes io.Writer
	// Yes answers every question with yes.
	Yes bool
	// Live is whether Notes is a terminal, on which a line of progress can be written over.
	Live bool
	// Done is closed when nobody waits for an answer any more, as after Ctrl-C, which ends no read of a terminal.
	Done <-chan struct{}

	answers *bufio.Reader
}

// NewDialog returns a dialog that reads answers from in.
func NewDialog(in io.Reader, notes io.Writer, yes, live bool) *Dialog {
	return &Dialog{Notes: notes, Yes: yes, Live: live, answers: bufio.NewReader(in)}
}

// Say prints a line.
func (d *Dialog) Say(format string, args ...any) {
	fmt.Fprintf(terminal.Writer(d.Notes), format+"\n", args...)
}

// Confirms asks, and reports whether the answer is yes. No answer is no.
func (d *Dialog) Confirms(question string) bool {
	if d.Yes {
		return true
	}
	fmt.Fprintf(terminal.Writer(d.Notes), "%s [y/N] ", question)
	switch strings.ToLower(strings.TrimSpace(d.answer())) {
	case "y", "yes":
		return true
	}
	return false
}

// answer returns the next line, "" where there is none, or when nobody waits for it.
func (d *Dialog) answer() string {
	lines := make(chan string, 1) // the read may end when nobody is there any more
	go func() {
		line, _ := d.answers.ReadString('\n')
		lines <- line
	}()
	var line string
	select {
	case line = <-lines:
	case <-d.Done:
	}
	if line == "" {
		fmt.Fprintln(d.Notes)
	}
	return line
}

const (
	liveEvery  = 200 * time.Millisecond
	linesEvery = 10 * time.Second // where each is a line of its own
)

// A Progress shows how far long work is.
type Progress struct {
	dialog      *Dialog
	what        string // "redriven from Ship's dead-letter queue"
	total       int    // about
	began, last time.Time
}

// Begin returns the progress of work on about total things. Nothing is shown until At is called.
func (d *Dialog) Begin(what string, total int) *Progress {
	now := time.Now()
	return &Progress{dialog: d, what: what, total: total, began: now, last: now}
}

// At shows that so many are done, unless it was just shown.
func (p *Progress) At(done int) {
	every := linesEvery
	if p.dialog.Live {
		every = liveEvery
	}
	if time.Since(p.last) < every {
		return
	}
	p.last = time.Now()
	p.show(done, p.left(done))
}

// End shows how many were done, where progress was shown before.
func (p *Progress) End(done int) {
	if p.last.Equal(p.began) {
		return
	}
	p.show(done, "in "+time.Since(p.began).Round(time.Second).String())
	if p.dialog.Live {
		fmt.Fprintln(p.dialog.Notes)
	}
}

func (p *Progress) left(done int) string {
	if done == 0 || p.total <= done {
		return ""
	}
	left := time.Since(p.began) / time.Duration(done) * time.Duration(p.total-done)
	return left.Round(time.Second).String() + " left"
}

func (p *Progress) show(done int, left string) {
	text := strings.TrimSuffix(fmt.Sprintf("%d of about %d %s, %s", done, max(done, p.total), terminal.Visible(p.what), left), ", ")
	if p.dialog.Live {
		fmt.Fprintf(p.dialog.Notes, "\r\x1b[K%s", text) // to the line's beginning, and what was on it is gone
		return
	}
	fmt.Fprintln(p.dialog.Notes, text)
}

// PrintJSON prints a value as JSON that a terminal may show.
func PrintJSON(out io.Writer, value any) error {
	encoded, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	lines := strings.Split(string(encoded), "\n")
	for i := range lines {
		lines[i] = string(terminal.VisibleJSON([]byte(lines[i])))
	}
	_, err = fmt.Fprintln(out, strings.Join(lines, "\n"))
	return err
}
