package flow

import (
	"fmt"
	"strings"
)

// A Layout is where a drawing has the nodes, and the lines between them. Lengths are CSS pixels.
type Layout struct {
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Boxes  []Box  `json:"boxes"` // in the order in which to read them
	Lines  []Line `json:"lines"`
}

// A Box is the place of a node.
type Box struct {
	ID     string `json:"id"`
	X      int    `json:"x"`
	Y      int    `json:"y"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	// Lane is the name of the lane in which the node is, or "".
	Lane string `json:"lane,omitempty"`
	// Title is what the box is called: of the first box of a lane the lane's name.
	Title string `json:"title"`
}

// A Line is the way from one box to another, as an SVG path.
type Line struct {
	From        string `json:"from"`
	To          string `json:"to"`
	Path        string `json:"path"`
	DeadLetters bool   `json:"deadLetters,omitempty"`
}

// A measure has the lengths of a layout.
type measure struct {
	stopWidth, stopHeight, stopGap int
	railX                          int // from the left edge of a stop to the line that connects the stops
	pillWidth, pillHeight          int // of a dead-letter queue
	nodeHeight, nodeGap, laneGap   int
	firstWidth, nodeWidth          int // of a lane's first node, and of the others
	margin                         int // left of the trunk, for lines that pass a stop
}

// Wide returns the layout for a wide screen: the trunk at the left, and each lane a row beside it.
func (g *Graph) Wide() Layout {
	d := drawing{measure: measure{
		stopWidth: 190, stopHeight: 48, stopGap: 26, railX: 24, pillWidth: 84, pillHeight: 26,
		nodeHeight: 44, nodeGap: 26, laneGap: 12, firstWidth: 222, nodeWidth: 150, margin: 18,
	}}
	for _, s := range g.arrange() {
		top := d.y
		d.trunk(g, s)
		bottom := d.y
		d.y = top
		d.rows(s)
		d.y = max(d.y, bottom) + 2*d.stopGap
	}
	return d.finish()
}

// Narrow returns the layout for the screen of a phone, 358 pixels wide: the trunk at the top, and each lane a block below.
func (g *Graph) Narrow() Layout {
	d := drawing{measure: measure{
		stopWidth: 340, stopHeight: 48, stopGap: 18, railX: 24, pillWidth: 72, pillHeight: 26,
		nodeHeight: 40, nodeGap: 8, laneGap: 16, firstWidth: 312, nodeWidth: 112, margin: 18,
	}}
	for _, s := range g.arrange() {
		d.trunk(g, s)
		d.blocks(s)
		d.y += d.stopGap
	}
	return d.finish()
}

// A drawing is a layout that is being made, from the top down.
type drawing struct {
	measure
	layout Layout
	y      int // below what has been placed
}

func (d *drawing) finish() Layout {
	for _, b := range d.layout.Boxes {
		d.layout.Width = max(d.layout.Width, b.X+b.Width)
		d.layout.Height = max(d.layout.Height, b.Y+b.Height)
	}
	d.layout.Width++ // for the border of the last box
	d.layout.Height++
	return d.layout
}

func (d *drawing) place(b Box) Box {
	d.layout.Boxes = append(d.layout.Boxes, b)
	return b
}

func (d *drawing) box(id string) (Box, bool) {
	for _, b := range d.layout.Boxes {
		if b.ID == id {
			return b, true
		}
	}
	return Box{}, false
}

func (d *drawing) line(from, to string, deadLetters bool, path string) {
	d.layout.Lines = append(d.layout.Lines, Line{From: from, To: to, Path: path, DeadLetters: deadLetters})
}

// trunk places the stops of a section one below the other.
func (d *drawing) trunk(g *Graph, s section) {
	for _, t := range s.trunk {
		b := d.place(Box{ID: t.ID, X: d.margin, Y: d.y, Width: d.stopWidth, Height: d.stopHeight, Title: title(t.Node)})
		d.y += d.stopHeight
		x := d.margin + 2*d.railX
		for _, queue := range t.deadLetters {
			pill := d.place(Box{ID: queue.ID, X: x, Y: d.y + d.laneGap, Width: d.pillWidth, Height: d.pillHeight, Title: "dead letters"})
			d.line(t.ID, queue.ID, true, path(x+d.pillWidth/2, b.Y+b.Height, x+d.pillWidth/2, pill.Y))
			x += d.pillWidth + d.nodeGap
		}
		if len(t.deadLetters) > 0 {
			d.y += d.laneGap + d.pillHeight
		}
		d.y += d.stopGap
	}
	for i, from := range s.trunk {
		for _, to := range g.next(from.ID, false) {
			for j, t := range s.trunk {
				if t.ID == to {
					d.rail(from.ID, to, j-i)
				}
			}
		}
	}
}

// rail draws the line between two stops: straight down to the next one, else around those between.
func (d *drawing) rail(from, to string, steps int) {
	a, _ := d.box(from)
	b, _ := d.box(to)
	if steps == 1 {
		x := a.X + d.railX
		d.line(from, to, false, path(x, a.Y+a.Height, x, b.Y))
		return
	}
	x := a.X - min(6*abs(steps), d.margin-2)
	d.line(from, to, false, path(a.X, a.Y+a.Height/2, x, a.Y+a.Height/2, x, b.Y+b.Height/2, b.X, b.Y+b.Height/2))
}

// rows places each lane of a section as a row at the right of the trunk.
func (d *drawing) rows(s section) {
	left := d.margin
	if len(s.trunk) > 0 {
		left += d.stopWidth + 3*d.nodeGap
	}
	column := func(n int) int {
		if n == 0 {
			return left
		}
		return left + d.firstWidth + d.nodeGap + (n-1)*(d.nodeWidth+d.nodeGap)
	}
	last := 0
	for _, l := range s.lanes {
		last = max(last, l.column+len(l.nodes))
	}
	for _, l := range s.lanes {
		for i, n := range l.nodes {
			width := d.nodeWidth
			if l.column+i == 0 {
				width = d.firstWidth
			}
			d.place(Box{ID: n.ID, X: column(l.column + i), Y: d.y, Width: width, Height: d.nodeHeight, Lane: l.name, Title: l.title(i)})
		}
		x := column(last)
		for _, queue := range l.deadLetters {
			d.place(Box{ID: queue.ID, X: x, Y: d.y + (d.nodeHeight-d.pillHeight)/2, Width: d.pillWidth, Height: d.pillHeight, Lane: l.name, Title: "dead letters"})
			x += d.pillWidth + d.nodeGap
		}
		d.connect(s, l)
		d.y += d.nodeHeight + d.laneGap
	}
}

// connect draws the lines of a lane that is a row.
func (d *drawing) connect(s section, l lane) {
	d.leave(s, l)
	chain := append(append([]Node{}, l.nodes...), l.deadLetters...)
	for i := 1; i < len(chain); i++ {
		a, _ := d.box(chain[i-1].ID)
		b, _ := d.box(chain[i].ID)
		d.line(a.ID, b.ID, i >= len(l.nodes), path(a.X+a.Width, a.Y+a.Height/2, b.X, b.Y+b.Height/2))
	}
}

// leave draws the line from the stop, or the node of another lane, to the first node of a lane.
func (d *drawing) leave(s section, l lane) {
	a, ok := d.box(l.from)
	if !ok {
		return
	}
	b, _ := d.box(l.nodes[0].ID)
	x := b.X - d.nodeGap
	for i, t := range s.trunk { // each stop has an upright line of its own
		if t.ID == l.from {
			x = b.X - d.nodeGap - 8*(len(s.trunk)-1-i)%d.nodeGap
		}
	}
	d.line(a.ID, b.ID, false, path(a.X+a.Width, a.Y+a.Height/2, x, a.Y+a.Height/2, x, b.Y+b.Height/2, b.X, b.Y+b.Height/2))
}

// blocks places each lane of a section as a block below the trunk: its first node, and under that the others.
func (d *drawing) blocks(s section) {
	left := d.margin + d.stopWidth - d.firstWidth
	for _, l := range s.lanes {
		b := d.place(Box{ID: l.nodes[0].ID, X: left, Y: d.y, Width: d.firstWidth, Height: d.nodeHeight, Lane: l.name, Title: l.title(0)})
		if a, ok := d.box(l.from); ok {
			x := d.margin + 8
			d.line(a.ID, b.ID, false, path(x, a.Y+a.Height, x, b.Y+b.Height/2, b.X, b.Y+b.Height/2))
		}
		d.y += d.nodeHeight + d.nodeGap
		d.chips(l, left)
		d.y += d.laneGap
	}
}

// chips places the nodes of a lane after the first, side by side.
func (d *drawing) chips(l lane, left int) {
	x, before := left, l.nodes[0].ID
	chip := func(n Node, title string, width, height int) {
		if x > left && x+width > left+d.firstWidth {
			x = left
			d.y += d.nodeHeight + d.nodeGap
		}
		a, _ := d.box(before)
		b := d.place(Box{ID: n.ID, X: x, Y: d.y + (d.nodeHeight-height)/2, Width: width, Height: height, Lane: l.name, Title: title})
		middle := b.Y + b.Height/2
		if a.Y+a.Height < middle {
			d.line(a.ID, b.ID, n.Kind == DeadLetters, path(b.X+d.railX, a.Y+a.Height, b.X+d.railX, b.Y))
		} else {
			d.line(a.ID, b.ID, n.Kind == DeadLetters, path(a.X+a.Width, middle, b.X, middle))
		}
		x, before = x+width+d.nodeGap, n.ID
	}
	for i, n := range l.nodes[1:] {
		chip(n, l.title(i+1), d.nodeWidth, d.nodeHeight)
	}
	for _, queue := range l.deadLetters {
		chip(queue, "dead letters", d.pillWidth, d.pillHeight)
	}
	if x > left {
		d.y += d.nodeHeight
	}
}

// title returns the lane's name for its first node, and for the others what they are.
func (l lane) title(i int) string {
	if i == 0 && l.column == 0 {
		return l.name
	}
	return title(l.nodes[i])
}

// title returns what a node is called: its name, with that of the construct around it where it would only say its kind.
func title(n Node) string {
	parts := strings.Split(n.Path, "/")
	if len(parts) > 1 && (n.Kind == Table || n.Kind == Pipe || n.Kind == Bus) {
		return parts[len(parts)-2] + " " + n.Name
	}
	return n.Name
}

// cornerRadius is that of the corners of lines.
const cornerRadius = 8

// path returns the SVG path through points that lie straight above or beside one another, with round corners. It takes
// the coordinates x and y of each.
func path(xy ...int) string {
	var p strings.Builder
	fmt.Fprintf(&p, "M%d %d", xy[0], xy[1])
	for i := 2; i < len(xy); i += 2 {
		x, y := xy[i], xy[i+1]
		if i+3 >= len(xy) {
			fmt.Fprintf(&p, "L%d %d", x, y)
			break
		}
		// The radius is at most half of the shorter side.
		r := min(cornerRadius, (abs(x-xy[i-2])+abs(y-xy[i-1]))/2, (abs(xy[i+2]-x)+abs(xy[i+3]-y))/2)
		fmt.Fprintf(&p, "L%d %dQ%d %d %d %d", x-r*sign(x-xy[i-2]), y-r*sign(y-xy[i-1]), x, y, x+r*sign(xy[i+2]-x), y+r*sign(xy[i+3]-y))
	}
	return p.String()
}

func abs(n int) int { return max(n, -n) }

func sign(n int) int { return min(max(n, -1), 1) }
