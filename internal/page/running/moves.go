package running

import (
	"slices"

	"github.com/outboxkit/transactional-outbox/internal/flow"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/page"
)

// moves returns along which edges of the graph the hops of a way went.
func (r *Run) moves(graph *flow.Graph, w way, count int) []page.Move {
	var found []page.Move
	var enriches bool
	add := func(e flow.Edge) {
		found = append(found, page.Move{From: e.From, To: e.To, Count: count, Outcome: string(w.outcome)})
	}
	resource, source, target := r.logicalID(w.resource), r.logicalID(w.source), r.logicalID(w.target)
	for _, e := range graph.Edges {
		direct := e.To == target && (e.From == resource || e.From == source)
		if direct || slices.Contains(e.Via, resource) && (target == "" || e.To == target) {
			add(e)
			enriches = enriches || e.Enriches
		}
	}
	if w.outcome != hop.OK || len(found) == 0 || enriches {
		return found
	}
	// A pipe tells of what it has handed on, and a rule of what its target has accepted. Both had it from somewhere.
	from, _ := graph.Node(found[0].From)
	if from.Kind == flow.Pipe || from.Kind == flow.Rule {
		for _, e := range graph.Into(from.ID) {
			add(e)
		}
	}
	return found
}

// logicalID returns the logical id of what a hop names by that, an ARN or a Ref: of an alias or a version that of its function.
func (r *Run) logicalID(reference string) string {
	found, ok := r.session.Find(reference)
	switch {
	case !ok:
		return reference
	case found.Type == "AWS::Lambda::Alias" || found.Type == "AWS::Lambda::Version":
		function, _ := cloud.CutQualifier(found.Ref)
		return r.logicalID(function)
	}
	return found.LogicalID
}

// revision changes when an event does.
func (r *Run) revision() uint64 { return r.session.Events().Revision() }
