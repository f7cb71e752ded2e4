package flow

import "strings"

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
		for _, to := range g.next(from.ID) {
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
