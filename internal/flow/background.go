package flow

import (
	"slices"
)

// background marks what watches over the stack: schedules, the functions that they start and nothing else does, and what
// exists for these alone.
func (r *reader) background() {
	g := &r.graph
	started := map[string]bool{}
	for _, n := range g.Nodes {
		if n.Kind == Schedule {
			for _, to := range g.next(n.ID) {
				started[to] = true
			}
		}
	}
	for again := true; again; {
		again = false
		for i := range g.Nodes {
			n := &g.Nodes[i]
			if !n.Background && (n.Kind == Schedule || n.Kind == Function && started[n.ID] || g.servesBackground(*n)) {
				n.Background, again = true, true
			}
		}
	}
}

// servesBackground reports whether a rule or queue leads to the background only, or a dead-letter queue comes from it only.
func (g *Graph) servesBackground(n Node) bool {
	var others []string
	switch n.Kind {
	case Rule, Queue:
		others = g.next(n.ID)
	case DeadLetters:
		for _, e := range g.Edges {
			if e.To == n.ID {
				others = append(others, e.From)
			}
		}
	default:
	}
	return len(others) > 0 && !slices.ContainsFunc(others, func(id string) bool {
		other, _ := g.Node(id)
		return !other.Background
	})
}
