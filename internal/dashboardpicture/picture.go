// Package dashboardpicture draws the body of a CloudWatch dashboard as an SVG picture, to look at its layout without an
// account: where each widget is, what its text says, which lines it has. The values of the lines are made up.
package dashboardpicture

import (
	"encoding/json"
	"fmt"
	"html"
	"strings"
)

// The size of a cell of the grid, in pixels: about what a screen of 1440 gives it.
const (
	cellWidth  = 58
	cellHeight = 46
	gap        = 8
)

// A Widget is a widget of a dashboard's body.
type Widget struct {
	Type                string
	X, Y, Width, Height int
	Properties          struct {
		Markdown, Title string
		Metrics         [][]any
		YAxis           struct{ Left, Right struct{ Label string } }
		Annotations     struct {
			Horizontal []struct {
				Label string
				Value float64
			}
		}
	}
}

// Read returns the widgets of a dashboard's body.
func Read(body []byte) ([]Widget, error) {
	var dashboard struct{ Widgets []Widget }
	if err := json.Unmarshal(body, &dashboard); err != nil {
		return nil, fmt.Errorf("body of a dashboard: %w", err)
	}
	for i, w := range dashboard.Widgets {
		if w.Width < 1 || w.Height < 1 || w.X < 0 || w.X+w.Width > 24 {
			return nil, fmt.Errorf("widget %d must be within 24 columns, got x %d, width %d, height %d", i, w.X, w.Width, w.Height)
		}
	}
	return dashboard.Widgets, nil
}

// Draw returns the picture of a dashboard's body.
func Draw(body []byte) ([]byte, error) {
	widgets, err := Read(body)
	if err != nil {
		return nil, err
	}
	height := 0
	for _, w := range widgets {
		height = max(height, (w.Y+w.Height)*cellHeight+gap)
	}
	c := &canvas{}
	c.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="Helvetica, Arial, sans-serif" font-size="12">`,
		24*cellWidth+gap, height, 24*cellWidth+gap, height)
	c.add(`<rect width="100%%" height="100%%" fill="#f2f3f3"/>`)
	for i, w := range widgets {
		c.widget(w, i)
	}
	c.add(`</svg>`)
	return []byte(c.String()), nil
}

// A canvas is the text of a picture.
type canvas struct{ strings.Builder }

func (c *canvas) add(format string, args ...any) { fmt.Fprintf(c, format+"\n", args...) }

// box is the place of a widget, in pixels.
type box struct{ x, y, width, height int }

func (c *canvas) widget(w Widget, seed int) {
	at := box{w.X*cellWidth + gap, w.Y*cellHeight + gap, w.Width*cellWidth - gap, w.Height*cellHeight - gap}
	c.add(`<rect x="%d" y="%d" width="%d" height="%d" rx="4" fill="#fff" stroke="#d5dbdb"/>`, at.x, at.y, at.width, at.height)
	if w.Type == "text" {
		c.markdown(at, w.Properties.Markdown)
		return
	}
	c.graph(at, w, seed)
}

// text writes a line.
func (c *canvas) text(x, y, size int, attributes, text string) {
	c.add(`<text x="%d" y="%d" font-size="%d" %s>%s</text>`, x, y, size, attributes, html.EscapeString(text))
}

// widthOf returns about how many pixels a text takes at most: what shows the picture may have a wider font than the one that is
// asked for.
func widthOf(text string, size int) int { return len([]rune(text)) * size * 60 / 100 }

// wrap returns the text in lines of at most so many pixels.
func wrap(text string, size, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && widthOf(line+" "+word, size) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

// markdown writes the little that the dashboard uses: headings, and paragraphs with bold words and code.
func (c *canvas) markdown(at box, markdown string) {
	y := at.y + 4
	for _, paragraph := range strings.Split(markdown, "\n") {
		size, attributes := 12, `fill="#414d5c"`
		heading := strings.TrimLeft(paragraph, "#")
		if level := len(paragraph) - len(heading); level > 0 {
			size, attributes = 20-3*level, `font-weight="bold" fill="#16191f"`
		}
		if strings.TrimSpace(paragraph) == "" {
			y += 6
			continue
		}
		for _, line := range wrap(strings.TrimSpace(heading), size, at.width-20) {
			y += size + 4
			if y > at.y+at.height-2 { // CloudWatch would show a scroll bar
				attributes = `fill="#d13212" font-weight="bold"`
			}
			c.text(at.x+10, y, size, attributes, strings.NewReplacer("**", "", "`", "").Replace(line))
		}
	}
}
