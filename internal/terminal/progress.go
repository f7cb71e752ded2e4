package terminal

import (
	"io"
	"time"
)

// A Progress shows how far long work is, in one line of a terminal. Where there is no terminal it shows nothing. It is for
// one goroutine.
type Progress struct {
	w    io.Writer // nil: no terminal
	last time.Time
}

// NewProgress returns a Progress that writes to w, which usually is standard error: results are on standard output.
func NewProgress(w io.Writer) *Progress {
	if _, ok := Width(w); !ok {
		w = nil
	}
	return &Progress{w: w}
}

// showEvery is how often the line is written: no faster than anybody reads.
const showEvery = 200 * time.Millisecond

// Show shows the text, unless it has shown another one just before.
func (p *Progress) Show(text string) {
	if now := time.Now(); p.w != nil && now.Sub(p.last) >= showEvery {
		p.last = now
		ReplaceLine(p.w, text)
	}
}

// End clears the line.
func (p *Progress) End() {
	if p.w != nil && !p.last.IsZero() {
		ReplaceLine(p.w, "")
	}
}
