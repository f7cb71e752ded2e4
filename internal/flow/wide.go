package flow

// Wide returns the layout for a wide screen: the trunk at the left, and each lane a row beside it.
func (g *Graph) Wide() Layout {
	d := drawing{measure: measure{
		stopWidth: 190, stopHeight: 48, stopGap: 26, railX: 24, pillWidth: 84, pillHeight: 26,
		nodeHeight: 44, nodeGap: 26, laneGap: 12, firstWidth: 227, nodeWidth: 150, margin: 18,
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
