package console

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/terminal"
)

// Text returns a Console that writes for a person. Colors appear only where w is a terminal that shows them; what
// a terminal would obey in names and log lines is shown as an escape. verbose lists the resources too, which the page shows.
func Text(w io.Writer, verbose bool) Console {
	return &textConsole{w: w, verbose: verbose, names: map[string]string{}}
}

type textConsole struct {
	verbose bool

	mu    sync.Mutex
	w     io.Writer
	names map[string]string // logical id or Ref → readable name
}

var (
	bold  = lipgloss.NewStyle().Bold(true)
	faint = lipgloss.NewStyle().Faint(true)

	faultStyle = lipgloss.NewStyle().Foreground(lipgloss.Magenta)

	outcomeStyle = map[hop.Outcome]lipgloss.Style{
		hop.OK:         lipgloss.NewStyle().Foreground(lipgloss.Green),
		hop.Failed:     lipgloss.NewStyle().Foreground(lipgloss.Red),
		hop.Retry:      lipgloss.NewStyle().Foreground(lipgloss.Yellow),
		hop.DeadLetter: lipgloss.NewStyle().Foreground(lipgloss.Magenta),
		hop.Dropped:    lipgloss.NewStyle().Foreground(lipgloss.Red),
	}
)

// isQualifier holds the types whose ARN ends with a name that is unique only within a function.
var isQualifier = map[string]bool{"AWS::Lambda::Version": true, "AWS::Lambda::Alias": true}

func (c *textConsole) Notice(text string) { c.print(terminal.Visible(text)) }

// Updated implements Updater.
func (c *textConsole) Updated(s Summary) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range s.Resources {
		c.names[r.LogicalID] = r.Name
		if r.Type == "AWS::Lambda::Url" {
			continue // its Ref is that of its function
		}
		c.names[r.Ref] = r.Name
		if !isQualifier[r.Type] {
			c.names[lastPart(r.Ref)] = r.Name
		}
	}
}

func (c *textConsole) Ready(s Summary) {
	c.Updated(s)
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", bold.Render(terminal.Visible(fmt.Sprintf("%s here (started in %s)", running(s), s.Started))))
	if s.Page != "" {
		fmt.Fprintf(&b, "\n  Open %s\n\n", bold.Render(terminal.Visible(s.Page)))
	}
	table(&b, func(row func(...string)) {
		for _, api := range s.APIs {
			if len(s.Stacks) > 1 {
				row("REST API of "+api.Stack, api.URL)
			} else {
				row("REST API", api.URL)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(s.Addresses)) {
			row(name, s.Addresses[name])
		}
		for _, e := range s.Endpoints {
			row(e.Service.Variable(), e.URL)
		}
		row("data", s.Data)
	})
	if c.verbose {
		details(&b, s)
	}
	fmt.Fprintf(&b, "\nReady. Ctrl-C ends everything.\n")
	c.print(b.String())
}

// details writes what a stack consists of.
func details(b *strings.Builder, s Summary) {
	fmt.Fprintf(b, "\n%s\n", bold.Render("Resources"))
	table(b, func(row func(...string)) {
		for _, r := range s.Resources {
			row(r.Name, r.Type, r.Ref)
		}
	})
	if len(s.Skipped) > 0 {
		fmt.Fprintf(b, "\n%s\n", bold.Render("Not needed here"))
		table(b, func(row func(...string)) {
			for _, r := range s.Skipped {
				row(fmt.Sprintf("%d × %s", r.Count, r.Type), r.Reason)
			}
		})
	}
	fmt.Fprintf(b, "\n%s\n", bold.Render("Outputs"))
	table(b, func(row func(...string)) {
		for _, name := range slices.Sorted(maps.Keys(s.Outputs)) {
			row(name, s.Outputs[name])
		}
	})
}

// running returns which stacks run.
func running(s Summary) string {
	if len(s.Stacks) > 1 {
		return s.Stack + " run"
	}
	return s.Stack + " runs"
}

func (c *textConsole) Hop(h hop.Hop) {
	if h.Heartbeat && h.Outcome == hop.OK {
		return // one a minute, and no event of a user; the JSON form has them
	}
	var what string
	switch h.Stage {
	case hop.Schedule:
		if h.Outcome == hop.OK {
			return // a stack's schedules run every minute and are no event of a user
		}
		what = strings.TrimSpace(c.route(h) + "  " + h.Detail)
	case hop.Platform, hop.Effect:
		return // four lines an invocation would hide the others; the JSON form has them
	case hop.API:
		what = h.Detail
	case hop.Function:
		line := LogLine(h.Detail)
		if line == "" {
			return
		}
		what = c.name(h.Resource) + "  " + line
	default:
		what = strings.TrimSpace(c.route(h) + "  " + h.Detail)
	}
	c.print(fmt.Sprintf("%s  %-8s  %s  %8s  %s",
		faint.Render(h.At.Format("15:04:05.000")),
		h.Stage,
		outcomeStyle[h.Outcome].Render(fmt.Sprintf("%-11s", h.Outcome)),
		latency(h),
		terminal.Visible(what)))
}

func (c *textConsole) Fault(f Fault) {
	c.print(fmt.Sprintf("%s  %-8s  %s  %s", faint.Render(f.At.Format("15:04:05.000")), "fault", faultStyle.Render(terminal.Visible(f.Point)), terminal.Visible(f.Key)))
}

func (c *textConsole) Faults(fired map[string]int) {
	var b strings.Builder
	b.WriteString("Faults that fired\n")
	table(&b, func(row func(...string)) {
		for _, point := range slices.Sorted(maps.Keys(fired)) {
			row(point, strconv.Itoa(fired[point]))
		}
	})
	c.print(strings.TrimSuffix(b.String(), "\n"))
}

// route returns what went from where to where: "Outbox/Pipe → Outbox/Bus, 3 events".
func (c *textConsole) route(h hop.Hop) string {
	s := c.name(h.Resource)
	if h.Target != "" {
		s += " → " + c.name(h.Target)
	}
	if h.Count > 1 {
		s += fmt.Sprintf(", %d events", h.Count)
	}
	return s
}

// name returns the readable name of a logical id or an ARN.
func (c *textConsole) name(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, known := range []string{id, lastPart(id)} {
		if name, ok := c.names[known]; ok {
			return name
		}
	}
	return lastPart(id)
}

// lastPart returns what an ARN and the Ref of the same resource have in common: the resource's name. A queue's
// Ref, which is a URL, and a bus's ARN have it behind a slash.
func lastPart(id string) string { return id[strings.LastIndexAny(id, ":/")+1:] }

func (c *textConsole) print(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = lipgloss.Fprintln(c.w, text)
}

// latency returns how long the hop took, or "" for a log line, which takes no time.
func latency(h hop.Hop) string {
	if h.Stage == hop.Function && h.Latency == 0 {
		return ""
	}
	return h.Latency.Round(100 * time.Microsecond).String()
}

// table writes aligned columns, indented by two.
func table(w io.Writer, fill func(row func(cells ...string))) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fill(func(cells ...string) {
		for i := range cells {
			cells[i] = terminal.Visible(cells[i])
		}
		fmt.Fprintf(tw, "  %s\n", strings.Join(cells, "\t"))
	})
	_ = tw.Flush()
}
