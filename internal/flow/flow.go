// Package flow reads from a CloudFormation template how events move through a stack, and lays it out for a drawing.
//
// [Read] returns a [Graph]: what takes events in, stores, routes, queues and handles them, as nodes, and who hands events
// to whom, as edges. It follows references, and for what a function's code sends the policies of the function's role. It
// evaluates no condition and resolves no value, so it takes the template of a deployed stack as well as one just
// synthesized.
package flow

import (
	"cmp"
	"slices"
)

// A Kind is what a node does with events.
type Kind string

// The kinds.
const (
	API         Kind = "api"          // takes requests
	URL         Kind = "url"          // takes requests for one function
	Table       Kind = "table"        // commits events: something reads its stream
	Pipe        Kind = "pipe"         // moves records of a stream
	Bus         Kind = "bus"          // routes events by rules
	Rule        Kind = "rule"         // selects events of a bus
	Schedule    Kind = "schedule"     // sends an event at times
	Topic       Kind = "topic"        // sends to subscribers
	Queue       Kind = "queue"        // holds messages for a function
	DeadLetters Kind = "dead-letters" // holds what could not be handled
	Function    Kind = "function"     // handles events
	Outside     Kind = "outside"      // belongs to another stack
)

// A Node is a resource through which events move.
type Node struct {
	// ID is the logical id of the resource, with its stack before it where several have the same: "Orders-dev/Queue". For
	// [Outside] it is what the template calls it.
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	// Path is the construct path below the stack, "Outbox/Ship/Queue", or the logical id where the template has none.
	Path string `json:"path"`
	// Name is the shortest end of the path that says what the node is.
	Name string `json:"name"`
	// Detail is what a rule matches, or when a schedule fires.
	Detail string `json:"detail,omitempty"`
	// Writes reports that a function sends new events to a node that comes before it.
	Writes bool `json:"writes,omitempty"`
	// Background reports that the node watches over the stack, as a heartbeat does, and handles no event of a user.
	Background bool `json:"background,omitempty"`
}

// An Edge is the way of events from one node to the next.
type Edge struct {
	From string `json:"from"`
	To   string `json:"to"`
	// DeadLetters reports that only what could not be handled goes this way.
	DeadLetters bool `json:"deadLetters,omitempty"`
	// Enriches reports that the events go back to where they came from, changed: the way through a pipe's enrichment.
	Enriches bool `json:"enriches,omitempty"`
	// Via are the logical ids of what connects the two and is no node: methods of an API, an event source mapping, a subscription.
	Via []string `json:"via,omitempty"`
}

// A Graph is how events move through a stack.
type Graph struct {
	Nodes []Node `json:"nodes"`
	Edges []Edge `json:"edges"`
	// Others are resources that hold data and that no event moves through, such as business tables.
	Others []Node `json:"others"`
}

// Node returns the node with the id, and whether there is one.
func (g *Graph) Node(id string) (Node, bool) {
	i := slices.IndexFunc(g.Nodes, func(n Node) bool { return n.ID == id })
	if i < 0 {
		return Node{}, false
	}
	return g.Nodes[i], true
}

// next returns the nodes to which events go from a node, without what only dead letters go to.
func (g *Graph) next(id string) []string {
	var found []string
	for _, e := range g.Edges {
		if e.From == id && !e.DeadLetters {
			found = append(found, e.To)
		}
	}
	return found
}

// Into returns the edges that lead to a node.
func (g *Graph) Into(id string) []Edge {
	return slices.DeleteFunc(slices.Clone(g.Edges), func(e Edge) bool { return e.To != id })
}

// Enriches reports whether one node changes the events of another and gives them back.
func (g *Graph) Enriches(from, by string) bool {
	return slices.ContainsFunc(g.Edges, func(e Edge) bool { return e.From == from && e.To == by && e.Enriches })
}

// reaches reports whether events get from one node to another.
func (g *Graph) reaches(from, to string) bool {
	seen := map[string]bool{}
	var visit func(string) bool
	visit = func(id string) bool {
		if id == to {
			return true
		}
		if seen[id] {
			return false
		}
		seen[id] = true
		return slices.ContainsFunc(g.next(id), visit)
	}
	return visit(from)
}

// add adds an edge, or to one that is there what else connects the two.
func (g *Graph) add(e Edge) {
	if e.From == "" || e.To == "" || e.From == e.To {
		return
	}
	i := slices.IndexFunc(g.Edges, func(o Edge) bool { return o.From == e.From && o.To == e.To })
	if i < 0 {
		g.Edges = append(g.Edges, e)
		return
	}
	g.Edges[i].Via = append(g.Edges[i].Via, e.Via...)
}

// sort puts nodes and edges in an order that does not depend on how they were found.
func (g *Graph) sort() {
	byPath := func(a, b Node) int { return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.ID, b.ID)) }
	slices.SortFunc(g.Nodes, byPath)
	slices.SortFunc(g.Others, byPath)
	slices.SortFunc(g.Edges, func(a, b Edge) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
}
