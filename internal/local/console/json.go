package console

import (
	"encoding/json"
	"io"
	"sync"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/terminal"
)

// A Line is one line of the JSON form. Beside Kind, exactly the field that Kind names is set.
type Line struct {
	Kind   string         `json:"kind"` // "notice", "ready", "hop", "fault" or "faults"
	Notice string         `json:"notice,omitempty"`
	Ready  *Summary       `json:"ready,omitempty"`
	Hop    *hop.Hop       `json:"hop,omitempty"`
	Fault  *Fault         `json:"fault,omitempty"`
	Faults map[string]int `json:"faults,omitempty"` // by point, including those that never fired
}

// JSON returns a Console that writes one [Line] on each line of w.
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

// write ignores the error: a reader that has gone away must not stop the run.
func (c *jsonConsole) write(line Line) {
	encoded, err := json.Marshal(line)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.w.Write(append(terminal.VisibleJSON(encoded), '\n'))
}
