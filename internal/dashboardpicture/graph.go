package dashboardpicture

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// palette are the colors of lines, as CloudWatch's own: they repeat after ten.
var palette = []string{"#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"}

// The parts of a graph's place, in pixels.
const (
	titleHeight = 26
	entryHeight = 15
	axisWidth   = 34
	labelSize   = 11
)

// A series is a line of a graph as the body has it.
type series struct {
	label, color string
	right        bool
}

// seriesOf returns the label and the scale of a metric in a widget.
func seriesOf(metric []any, n int) series {
	s := series{label: fmt.Sprint(metric[1]), color: palette[n%len(palette)]}
	if options, ok := metric[len(metric)-1].(map[string]any); ok {
		if label, ok := options["label"].(string); ok {
			s.label = label
		}
		if color, ok := options["color"].(string); ok {
			s.color = color
		}
		s.right = options["yAxis"] == "right"
	}
	return s
}

func (c *canvas) graph(at box, w Widget, seed int) {
	c.text(at.x+10, at.y+18, 13, `font-weight="bold" fill="#16191f"`, w.Properties.Title)
	var all []series
	for i, metric := range w.Properties.Metrics {
		all = append(all, seriesOf(metric, i))
	}
	entries := legend(all, at.width-20)
	plot := box{at.x + axisWidth, at.y + titleHeight + 14, at.width - 2*axisWidth, at.height - titleHeight - 22 - len(entries)*entryHeight}
	c.axes(plot, w)
	for i, s := range all {
		c.curve(plot, i, s, seed, quiet(w.Properties.Title, s.label))
	}
	if limits := w.Properties.Annotations.Horizontal; len(limits) > 0 {
		y := plot.y + plot.height/5
		c.add(`<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#d13212" stroke-dasharray="4 3"/>`, plot.x, y, plot.x+plot.width, y)
		c.text(plot.x+plot.width, y-3, 10, `fill="#d13212" text-anchor="end"`, fmt.Sprintf("%s %v", limits[0].Label, limits[0].Value))
	}
	y := at.y + at.height - 8 - (len(entries)-1)*entryHeight
	for _, row := range entries {
		x := at.x + 10
		for _, i := range row {
			c.add(`<rect x="%d" y="%d" width="9" height="9" fill="%s"/>`, x, y-9, all[i].color)
			c.text(x+13, y, labelSize, `fill="#414d5c"`, all[i].label)
			x += entryWidth(all[i].label)
		}
		y += entryHeight
	}
}

func entryWidth(label string) int { return widthOf(label, labelSize) + 26 }

// legend returns which series stand in each line of the legend.
func legend(all []series, width int) [][]int {
	rows, x := [][]int{nil}, 0
	for i, s := range all {
		if x > 0 && x+entryWidth(s.label) > width {
			rows, x = append(rows, nil), 0
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], i)
		x += entryWidth(s.label)
	}
	return rows
}

func (c *canvas) axes(plot box, w Widget) {
	for i := range 3 {
		y := plot.y + i*plot.height/2
		c.add(`<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#eaeded"/>`, plot.x, y, plot.x+plot.width, y)
	}
	c.text(plot.x-24, plot.y-5, 10, `fill="#687078"`, w.Properties.YAxis.Left.Label)
	if right := w.Properties.YAxis.Right.Label; right != "" {
		c.text(plot.x+plot.width+24, plot.y-5, 10, `fill="#687078" text-anchor="end"`, right)
	}
}

// curve draws made-up values: the same ones each time, low for what counts failures.
func (c *canvas) curve(plot box, n int, s series, seed int, quiet bool) {
	const points = 48
	random := rand.New(rand.NewPCG(uint64(seed), uint64(n)))
	level := 0.15 + 0.5*random.Float64()
	if quiet {
		level = 0
	}
	var path strings.Builder
	for i := range points {
		value := level * (1 + 0.25*math.Sin(float64(i)/5+float64(n)) + 0.2*(random.Float64()-0.5))
		x := plot.x + i*plot.width/(points-1)
		y := plot.y + plot.height - int(value*float64(plot.height)) - n%3
		fmt.Fprintf(&path, "%d,%d ", x, y)
	}
	dash := ""
	if s.right {
		dash = ` stroke-dasharray="2 2"`
	}
	c.add(`<polyline fill="none" stroke="%s" stroke-width="1.5"%s points="%s"/>`, s.color, dash, strings.TrimSpace(path.String()))
}

// quiet reports whether a line is at zero while all is well.
func quiet(title, label string) bool {
	return strings.Contains(title, "failed") || strings.Contains(title, "dead-letter") || strings.Contains(label, "failed") || label == "throttled"
}
