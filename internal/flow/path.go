package flow

import (
	"fmt"
	"strings"
)

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

// descent returns the path from one box to another below it, at the same distance from the left edges of both.
func descent(a, b Box, inset int) string {
	from, to, middle := a.X+inset, b.X+inset, (a.Y+a.Height+b.Y)/2
	if from == to {
		return path(from, a.Y+a.Height, to, b.Y)
	}
	return path(from, a.Y+a.Height, from, middle, to, middle, to, b.Y)
}
