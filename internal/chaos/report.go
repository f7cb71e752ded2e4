package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// mostLines is how many lines of a history a report shows, and mostViolations how many violations.
const (
	mostLines      = 60
	mostViolations = 20
)

// Report prints what a run showed: its counts and faults, and if it failed, what was violated, the shortest
// prefix of the history that shows it, and the command that replays it.
func (r Result) Report(out io.Writer, replay string) {
	c := r.Verdict.Counts
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, line := range []string{
		fmt.Sprintf("operations\t%d\t%d acknowledged, %d failed, %d of unknown outcome", c.Operations, c.Acknowledged, c.Failed, c.Unknown),
		fmt.Sprintf("effects\t%d\t%d recovered (their write was never acknowledged)", c.Effects, c.Recovered),
		fmt.Sprintf("lost\t%d\t", c.Lost),
		fmt.Sprintf("unexpected\t%d\t", c.Unexpected),
		fmt.Sprintf("duplicated\t%d\t", c.Duplicated),
		fmt.Sprintf("dead-letter messages\t%d\t%d redriven", c.DeadLetters, c.Redriven),
		fmt.Sprintf("missed\t%d\tbecause of operators' mistakes (%s), named by the audit and repaired", c.Missed, strings.Join(r.Rules.Mistakes, ", ")),
		fmt.Sprintf("deliveries\t%d\tto functions; what is beyond the effects was a duplicate or a retry", Deliveries(r.Entries)),
		fmt.Sprintf("took\t%s\t", r.Took.Round(100*time.Millisecond)),
	} {
		fmt.Fprintln(table, line)
	}
	_ = table.Flush()
	fmt.Fprintf(out, "faults fired: %s\n", faultList(r.Fired()))
	if len(r.Verdict.Violations) > 0 {
		r.failure(out, replay)
	}
}

// Fired returns how often each fault point of the plan has fired, 0 for one that never did.
func (r Result) Fired() map[string]int {
	fired := map[string]int{}
	for _, point := range r.Rules.Enabled {
		fired[point] = 0
	}
	for _, e := range r.Entries {
		if e.Kind == history.KindFault {
			fired[e.Fault.Point]++
		}
	}
	return fired
}

// Deliveries returns how many messages were handed to functions.
func Deliveries(entries []history.Entry) int {
	n := 0
	for _, e := range entries {
		if e.Kind == history.KindHop && e.Hop.Stage == hop.Queue {
			n += e.Hop.Count
		}
	}
	return n
}

func faultList(fired map[string]int) string {
	var parts []string
	for _, point := range slices.Sorted(maps.Keys(fired)) {
		parts = append(parts, fmt.Sprintf("%s %d", point, fired[point]))
	}
	return strings.Join(parts, ", ")
}

// failure prints what was violated and how to see it again.
func (r Result) failure(out io.Writer, replay string) {
	violations := r.Verdict.Violations
	fmt.Fprintf(out, "\nFAILED: %d violations\n", len(violations))
	for _, v := range violations[:min(len(violations), mostViolations)] {
		fmt.Fprintf(out, "  %s\n", v)
	}
	if prefix, shown := check.Shortest(r.Entries, r.Rules); len(shown) > 0 && shown[0].Aggregate != "" {
		aggregate := shown[0].Aggregate
		about := check.About(r.Entries, aggregate)
		fmt.Fprintf(out, "\nThe first %d of %d lines show it: %s\nAll there is about %s:\n", len(prefix), len(r.Entries), shown[0], aggregate)
		for _, e := range about[:min(len(about), mostLines)] {
			raw, err := json.Marshal(e)
			if err == nil {
				fmt.Fprintf(out, "  %s\n", raw)
			}
		}
	}
	if replay != "" {
		fmt.Fprintf(out, "\nreplay: %s\n", replay)
	}
}
