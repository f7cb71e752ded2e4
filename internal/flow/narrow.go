package flow

// Narrow returns the layout for the screen of a phone, 358 pixels wide: the trunk at the top, and each lane a block below.
func (g *Graph) Narrow() Layout {
	d := drawing{measure: measure{
		stopWidth: 340, stopHeight: 48, stopGap: 18, railX: 24, pillWidth: 56, pillHeight: 26,
		nodeHeight: 40, nodeGap: 8, laneGap: 16, firstWidth: 312, nodeWidth: 120, margin: 18,
	}}
	for _, s := range g.arrange() {
		d.trunk(g, s)
		d.blocks(s)
		d.y += d.stopGap
	}
	return d.finish()
}

// blocks places each lane of a section as a block below the trunk: its first node, and under that the others.
func (d *drawing) blocks(s section) {
	left := d.margin + d.stopWidth - d.firstWidth
	for _, l := range s.lanes {
		b := d.place(Box{ID: l.nodes[0].ID, X: left, Y: d.y, Width: d.firstWidth, Height: d.nodeHeight, Lane: l.name, Title: l.title(0)})
		if a, ok := d.box(l.from); ok {
			x := d.margin + 8
			if a.X < x { // a stop: from below it
				d.line(a.ID, b.ID, false, path(x, a.Y+a.Height, x, b.Y+b.Height/2, b.X, b.Y+b.Height/2))
			} else {
				d.line(a.ID, b.ID, false, path(a.X, a.Y+a.Height/2, x, a.Y+a.Height/2, x, b.Y+b.Height/2, b.X, b.Y+b.Height/2))
			}
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
			d.line(a.ID, b.ID, n.Kind == DeadLetters, descent(a, b, d.railX))
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
