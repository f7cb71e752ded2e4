package running

import (
	"context"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/flow"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/page"
)

// counted are the kinds of nodes that say how much they have handed on. A queue says what it holds.
var counted = []flow.Kind{flow.API, flow.Table, flow.Pipe, flow.Bus, flow.Function}

// State returns how the stack stands, with how much each of its parts has handed on since the run started.
func (r *Run) State(ctx context.Context) (*page.State, error) {
	state, err := r.Stacks.State(ctx)
	if err != nil {
		return nil, err
	}
	if !r.advises {
		state.Needs = slices.Clone(state.Needs)
		for i := range state.Needs {
			state.Needs[i].Do = ""
		}
	}
	passed, failed := map[string]int64{}, map[string]int64{}
	for w, n := range r.tap.snapshot() {
		into := failed
		if w.outcome == hop.OK {
			into = passed
		}
		for _, id := range r.at(w) {
			into[id] += int64(n)
		}
	}
	for _, n := range r.graph.Nodes {
		if !slices.Contains(counted, n.Kind) {
			continue
		}
		node := state.Nodes[n.ID]
		ok, bad := passed[n.ID], failed[n.ID]
		node.Passed, node.Failed = &ok, &bad
		state.Nodes[n.ID] = node
	}
	return state, nil
}

// at returns the nodes that count the hops of a way: the API for its requests, a function for what it is given, a bus for
// what a pipe brings, and a table and a pipe for what they hand on.
func (r *Run) at(w way) []string {
	if found, ok := r.session.Find(w.resource); ok && strings.HasPrefix(found.Type, "AWS::ApiGateway::") {
		return r.apis()
	}
	var nodes []string
	for _, m := range r.moves(w, 0) {
		from, _ := r.graph.Node(m.From)
		to, _ := r.graph.Node(m.To)
		if from.Kind == flow.Table || from.Kind == flow.Pipe {
			nodes = append(nodes, from.ID)
		}
		if to.Kind == flow.Function || from.Kind == flow.Pipe && to.Kind == flow.Bus {
			nodes = append(nodes, to.ID)
		}
	}
	return nodes
}

// apis returns the nodes that are REST APIs: one, since a local run serves no more.
func (r *Run) apis() []string {
	var ids []string
	for _, n := range r.graph.Nodes {
		if n.Kind == flow.API {
			ids = append(ids, n.ID)
		}
	}
	return ids
}
