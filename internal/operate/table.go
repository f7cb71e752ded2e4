package operate

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/outboxkit/transactional-outbox/internal/terminal"
)

// A table is rows of text with aligned columns.
type table struct {
	rows  [][]string
	right []bool // the columns that are aligned to the right
	gap   int    // between columns
}

func (t *table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = terminal.Visible(cell) // before its width is measured
	}
	t.rows = append(t.rows, cells)
}

// write writes the table. Where it is wider than width, which is 0 for no limit, the first column is cut.
func (t *table) write(w io.Writer, indent string, width int) {
	widths := t.widths()
	if total := sum(widths) + t.gap*(len(widths)-1) + len(indent); width > 0 && total > width && len(widths) > 0 {
		widths[0] = max(widths[0]-(total-width), minimumName)
	}
	for _, cells := range t.rows {
		var line strings.Builder
		for i, cell := range cells {
			if i > 0 {
				line.WriteString(strings.Repeat(" ", t.gap))
			}
			cell = cut(cell, widths[i])
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < len(t.right) && t.right[i] {
				line.WriteString(space + cell)
			} else {
				line.WriteString(cell + space)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(indent+line.String(), " "))
	}
}

// minimumName is what is left at least of a name that is cut.
const minimumName = 8

func (t *table) widths() []int {
	var widths []int
	for _, cells := range t.rows {
		for i, cell := range cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

func sum(all []int) (n int) {
	for _, one := range all {
		n += one
	}
	return n
}

// cut returns the text with at most n characters. The end of a name tells more than its middle.
func cut(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	head := n / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(n-head-1):])
}

// wrap breaks a text at spaces into lines of at most width characters, 0 for no limit. A word that is longer has a line of
// its own: a command line can be copied.
func wrap(text string, width int) []string {
	if width <= 0 {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.SplitSeq(text, " ") {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
