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
var counted = []flow.Kind{flow.API, flow.URL, flow.Topic, flow.Table, flow.Pipe, flow.Bus, flow.Function}

// handing are the kinds of nodes that count what they hand on.
var handing = []flow.Kind{flow.URL, flow.Topic, flow.Table, flow.Pipe}

// State returns how the stack stands, with how much each of its parts has handed on since the run started.
func (r *Run) State(ctx context.Context) (*page.State, error) {
	shown, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	state, err := shown.State(ctx)
	if err != nil {
		return nil, err
	}
	if r.port == 0 { // the command finds no run by it
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
		for _, id := range r.at(shown.graph, w) {
			into[id] += int64(n)
		}
	}
	for _, n := range shown.graph.Nodes {
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
// what a pipe brings, and a table, a pipe, a topic and the URL of a function for what they hand on.
func (r *Run) at(graph *flow.Graph, w way) []string {
	if found, ok := r.session.Find(w.resource); ok && strings.HasPrefix(found.Type, "AWS::ApiGateway::") {
		if api, ok := found.Properties["RestApiId"].(string); ok {
			return []string{r.logicalID(api)}
		}
		return []string{found.LogicalID}
	}
	var nodes []string
	for _, m := range r.moves(graph, w, 0) {
		from, _ := graph.Node(m.From)
		to, _ := graph.Node(m.To)
		if slices.Contains(handing, from.Kind) && !graph.Enriches(m.From, m.To) {
			nodes = append(nodes, from.ID)
		}
		if to.Kind == flow.Function || from.Kind == flow.Pipe && to.Kind == flow.Bus {
			nodes = append(nodes, to.ID)
		}
	}
	return nodes
}
