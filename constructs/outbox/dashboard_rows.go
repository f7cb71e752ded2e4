package outbox

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
)

// The grid of a dashboard has 24 columns. A row is a text and the graphs that it explains, side by side.
// Source: CloudWatch user guide, CloudWatch-Dashboard-Body-Structure.
const (
	columns      = 24
	textWidth    = 6
	rowHeight    = 5
	headerHeight = 2

	// A legend of more lines than shortLegend takes a row of its own kind: one that leaves room for the lines.
	shortLegend = 6
	tallRow     = 7

	// consumersInARow is how many graphs of consumers stand side by side.
	consumersInARow = 3
)

// colors are those of the consumers, the same ones in each graph. They repeat when there are more.
var colors = []string{
	"#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf", "#393b79", "#e7ba52",
}

// A grid places widgets from top to bottom.
type grid struct {
	widgets []any
	y       int
}

// header adds a text over the whole width.
func (g *grid) header(text string) {
	g.place(0, columns, headerHeight, textWidget(text))
	g.y += headerHeight
}

// row adds a text, and the graphs beside it.
func (g *grid) row(text string, graphs ...graph) {
	height := rowHeight
	for _, one := range graphs {
		if len(one.lines) > shortLegend {
			height = tallRow
		}
	}
	g.place(0, textWidth, height, textWidget(text))
	width := (columns - textWidth) / len(graphs)
	for i, one := range graphs {
		g.place(textWidth+i*width, width, height, one.widget())
	}
	g.y += height
}

// tiles adds graphs, some side by side.
func (g *grid) tiles(graphs []graph) {
	const width = columns / consumersInARow
	for i, one := range graphs {
		g.place(i%consumersInARow*width, width, rowHeight, one.widget())
		if i%consumersInARow == consumersInARow-1 || i == len(graphs)-1 {
			g.y += rowHeight
		}
	}
}

func (g *grid) place(x, width, height int, widget map[string]any) {
	widget["x"], widget["y"], widget["width"], widget["height"] = x, g.y, width, height
	g.widgets = append(g.widgets, widget)
}

func textWidget(markdown string) map[string]any {
	return map[string]any{"type": "text", "properties": map[string]any{"markdown": markdown}}
}

// A graph shows lines over time. Those on the right have a scale of their own.
type graph struct {
	title       string
	lines       []line
	left, right string // what the scales count
	limit       float64
	limitLabel  string // of the limit at which an alarm goes off, if any
}

// A line is a metric with a statistic of one period.
type line struct {
	label, namespace, metric, statistic string
	dimensions                          []variable
	period                              int // seconds
	right                               bool
	color                               string // default: CloudWatch's choice
}

// widget returns the graph as a dashboard's body has it.
func (g graph) widget() map[string]any {
	var metrics []any
	for _, l := range g.lines {
		metrics = append(metrics, l.metricArray())
	}
	axes := map[string]any{"left": map[string]any{"min": 0, "label": g.left, "showUnits": false}}
	if g.right != "" {
		axes["right"] = map[string]any{"min": 0, "label": g.right, "showUnits": false}
	}
	properties := map[string]any{
		"title": g.title, "view": "timeSeries", "stacked": false, "region": awscdk.Aws_REGION(), "metrics": metrics,
		"yAxis": axes, "legend": map[string]any{"position": "bottom"},
	}
	if g.limitLabel != "" {
		properties["annotations"] = map[string]any{"horizontal": []any{map[string]any{"label": g.limitLabel, "value": g.limit}}}
	}
	return map[string]any{"type": "metric", "properties": properties}
}

// metricArray returns namespace, name, dimensions and options in a row.
// Source: CloudWatch user guide, CloudWatch-Dashboard-Body-Structure, "Metrics array format".
func (l line) metricArray() []any {
	array := []any{l.namespace, l.metric}
	for _, d := range l.dimensions {
		array = append(array, d.name, d.value)
	}
	options := map[string]any{"label": l.label, "stat": l.statistic, "period": l.period}
	if l.right {
		options["yAxis"] = "right"
	}
	if l.color != "" {
		options["color"] = l.color
	}
	return append(array, options)
}

// of returns a line of the same metric and dimensions, for another statistic.
func (l line) of(statistic, label string) line {
	l.statistic, l.label = statistic, label
	return l
}

// onTheRight returns the line on the other scale.
func (l line) onTheRight() line {
	l.right = true
	return l
}

// perConsumer returns a line, in the consumer's color, for each consumer of which there is one.
func (d *dashboard) perConsumer(of func(*shownConsumer) (line, bool)) []line {
	var lines []line
	for i, c := range d.consumers {
		if l, ok := of(c); ok {
			l.label, l.color = c.label, colors[i%len(colors)]
			lines = append(lines, l)
		}
	}
	return lines
}

// ofHere returns a line for each consumer of this app.
func (d *dashboard) ofHere(of func(*Consumer) line) []line {
	return d.perConsumer(func(c *shownConsumer) (line, bool) {
		if c.here == nil {
			return line{}, false
		}
		return of(c.here), true
	})
}

// audited returns a line for each consumer that is audited.
func (d *dashboard) audited(metric, statistic string) []line {
	return d.perConsumer(func(c *shownConsumer) (line, bool) { return d.auditLine(c, metric, statistic), c.audited })
}

// counted returns "1 consumer" or "3 consumers".
func counted(n int) string {
	if n == 1 {
		return "1 consumer"
	}
	return fmt.Sprintf("%d consumers", n)
}
