package console

import (
	"encoding/json"
	"io"
	"sync"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// Line is one line of the JSON form. Exactly one of the fields beside Kind is set, the one Kind names.
type Line struct {
	Kind   string         `json:"kind"` // "notice", "ready", "hop", "fault" or "faults"
	Notice string         `json:"notice,omitempty"`
	Ready  *Summary       `json:"ready,omitempty"`
	Hop    *hop.Hop       `json:"hop,omitempty"`
	Fault  *Fault         `json:"fault,omitempty"`
	Faults map[string]int `json:"faults,omitempty"` // by point, those that never fired included
}

// JSON returns a Console that prints one Line a line.
func JSON(w io.Writer) Console {
	return &jsonConsole{w: w}
}

type jsonConsole struct {
	mu sync.Mutex
	w  io.Writer
}

func (c *jsonConsole) Notice(text string) { c.write(Line{Kind: "notice", Notice: text}) }
func (c *jsonConsole) Ready(s Summary)    { c.write(Line{Kind: "ready", Ready: &s}) }
func (c *jsonConsole) Hop(h hop.Hop)      { c.write(Line{Kind: "hop", Hop: &h}) }
func (c *jsonConsole) Fault(f Fault)      { c.write(Line{Kind: "fault", Fault: &f}) }

func (c *jsonConsole) Faults(fired map[string]int) { c.write(Line{Kind: "faults", Faults: fired}) }

// write drops the error: a reader that went away must not stop the run.
func (c *jsonConsole) write(line Line) {
	encoded, err := json.Marshal(line)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.w.Write(append(visibleJSON(encoded), '\n'))
}
