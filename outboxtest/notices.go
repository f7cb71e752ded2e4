package outboxtest

import (
	"slices"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// maxNotices is how many of the latest notices are kept.
const maxNotices = 100

// notices is a console that keeps what the run has to say, for the message of a test that fails.
type notices struct {
	mu   sync.Mutex
	said []notice
}

type notice struct {
	at   time.Time
	text string
}

// Notice implements console.Console.
func (n *notices) Notice(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said = append(n.said, notice{time.Now(), text})
	if len(n.said) > maxNotices {
		n.said = n.said[1:]
	}
}

// since returns what was said after a time.
func (n *notices) since(at time.Time) (texts []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range n.said {
		if one.at.After(at) && !slices.Contains(texts, one.text) {
			texts = append(texts, one.text)
		}
	}
	return texts
}

// Ready implements console.Console. What was said before is about the start, which went well.
func (n *notices) Ready(console.Summary) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said = nil
}

// The rest is in the timelines of events.

func (n *notices) Hop(hop.Hop)           {}
func (n *notices) Fault(console.Fault)   {}
func (n *notices) Faults(map[string]int) {}
