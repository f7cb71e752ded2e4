package flow

import (
	"cmp"
	"slices"
	"strings"
)

// An arrangement is the order of what a layout draws: each section is a part of the stack that nothing connects with the
// others.
type arrangement []section

// A section is a trunk, through which all events come, and the lanes into which they part.
type section struct {
	trunk []stop
	lanes []lane
}

// A stop is a node of a trunk, with the dead-letter queues of what it hands on.
type stop struct {
	Node
	deadLetters []Node
}

// A lane is a way that events take when they leave the trunk: usually the rule, queue and function of one consumer.
type lane struct {
	name string
	from string // the stop that it leaves, or the node of a lane before at which it parts from that, or "" for neither
	// column is how many nodes there are before it since the trunk.
	column      int
	nodes       []Node
	deadLetters []Node
}

// trunkKinds are what belongs to a trunk, with everything that leads there.
var trunkKinds = []Kind{API, Table, Pipe, Bus}

// arrange returns the foreground of the graph in the order in which to draw it.
func (g *Graph) arrange() arrangement {
	a := arranger{Graph: g, placed: map[string]bool{}}
	var all arrangement
	for _, part := range g.parts() {
		all = append(all, a.section(part))
	}
	return all
}

type arranger struct {
	*Graph
	placed map[string]bool
}

func (a *arranger) section(part []Node) section {
	var s section
	depth := a.depths(part)
	slices.SortStableFunc(part, func(x, y Node) int { return cmp.Compare(depth[x.ID], depth[y.ID]) })
	for _, n := range part {
		if n.Kind != DeadLetters && a.leadsToTrunk(n) {
			a.placed[n.ID] = true
			s.trunk = append(s.trunk, stop{Node: n})
		}
	}
	for _, from := range s.trunk {
		for _, to := range a.next(from.ID) {
			a.lane(&s, from.ID, to, 0)
		}
	}
	for _, n := range part {
		if n.Kind != DeadLetters {
			a.lane(&s, "", n.ID, 0)
		}
	}
	for _, n := range part {
		if n.Kind == DeadLetters {
			a.attach(&s, n)
		}
	}
	return s
}

// lane adds the lane that begins with a node, and those that part from it. What is placed already ends a lane.
func (a *arranger) lane(s *section, from, id string, column int) {
	n, _ := a.Node(id)
	if a.placed[id] || n.Background || n.ID == "" {
		return
	}
	l := lane{from: from, column: column}
	var parting []lane // where other lanes begin
	for {
		a.placed[id] = true
		l.nodes = append(l.nodes, n)
		next := slices.DeleteFunc(a.next(id), func(to string) bool {
			node, _ := a.Node(to)
			return a.placed[to] || node.Background
		})
		if len(next) == 0 {
			break
		}
		for _, to := range next[1:] {
			parting = append(parting, lane{from: id, name: to, column: column + len(l.nodes)})
		}
		id = next[0]
		n, _ = a.Node(id)
	}
	l.name = laneName(l.nodes)
	s.lanes = append(s.lanes, l)
	for _, p := range parting {
		a.lane(s, p.from, p.name, p.column)
	}
}

// attach adds a dead-letter queue to the lane or the stop from which all of it comes: rules of several lanes that share
// one have it at their bus.
func (a *arranger) attach(s *section, queue Node) {
	if a.placed[queue.ID] { // events go there too
		return
	}
	var lanes []int
	for _, e := range a.Edges {
		if e.To != queue.ID {
			continue
		}
		if i := slices.IndexFunc(s.trunk, func(t stop) bool { return t.ID == e.From }); i >= 0 {
			s.trunk[i].deadLetters = append(s.trunk[i].deadLetters, queue)
			return
		}
		i := slices.IndexFunc(s.lanes, func(l lane) bool { return slices.ContainsFunc(l.nodes, func(n Node) bool { return n.ID == e.From }) })
		if i >= 0 && !slices.Contains(lanes, i) {
			lanes = append(lanes, i)
		}
	}
	if len(lanes) == 0 {
		return
	}
	first := &s.lanes[lanes[0]]
	if i := slices.IndexFunc(s.trunk, func(t stop) bool { return t.ID == first.from }); len(lanes) > 1 && i >= 0 {
		s.trunk[i].deadLetters = append(s.trunk[i].deadLetters, queue)
		return
	}
	first.deadLetters = append(first.deadLetters, queue)
}

// leadsToTrunk reports whether a node belongs to the trunk. What sends from outside does.
func (a *arranger) leadsToTrunk(n Node) bool {
	return n.Kind == Outside && len(a.Into(n.ID)) == 0 || slices.ContainsFunc(a.Nodes, func(other Node) bool {
		return slices.Contains(trunkKinds, other.Kind) && !other.Background && a.reaches(n.ID, other.ID)
	})
}

// parts returns the foreground nodes that edges connect, part by part.
func (g *Graph) parts() [][]Node {
	part := map[string]int{}
	var mark func(id string, n int)
	mark = func(id string, n int) {
		if node, ok := g.Node(id); !ok || node.Background || part[id] != 0 {
			return
		}
		part[id] = n
		for _, e := range g.Edges {
			if e.From == id {
				mark(e.To, n)
			}
			if e.To == id {
				mark(e.From, n)
			}
		}
	}
	var all [][]Node
	for _, n := range g.Nodes {
		if n.Background {
			continue
		}
		if part[n.ID] == 0 {
			mark(n.ID, len(all)+1)
			all = append(all, nil)
		}
		i := part[n.ID] - 1
		all[i] = append(all[i], n)
	}
	return all
}

// depths returns for each node how many others come before it at most.
func (g *Graph) depths(part []Node) map[string]int {
	depth := map[string]int{}
	for range part { // as many times as a path can be long
		for _, e := range g.Edges {
			from, _ := g.Node(e.From)
			if !e.DeadLetters && !from.Background {
				depth[e.To] = max(depth[e.To], min(depth[e.From]+1, len(part)))
			}
		}
	}
	return depth
}

// laneName returns the end of what the paths of a lane's nodes have in common, or the name of its first.
func laneName(nodes []Node) string {
	var paths [][]string
	for _, n := range nodes {
		paths = append(paths, strings.Split(n.Path, "/"))
	}
	if common := commonPrefix(paths); len(nodes) > 1 && len(common) > 0 && len(common) < len(paths[0]) {
		return common[len(common)-1]
	}
	return nodes[0].Name
}
