package smoke

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// A Report is what checks came to.
type Report struct {
	Stack       string        `json:"stack"`
	Where       string        `json:"where"`
	Began       time.Time     `json:"began"`
	Seconds     float64       `json:"seconds"`
	Checks      []CheckReport `json:"checks"`
	Left        []string      `json:"left,omitempty"` // that could not be removed
	Interrupted bool          `json:"interrupted,omitempty"`
}

// A CheckReport is what one check came to.
type CheckReport struct {
	Check
	Outcome  Outcome `json:"outcome"`
	Observed string  `json:"observed"` // what was seen, or the reason
	Seconds  float64 `json:"seconds"`
}

// accountID is what nobody wants to see in a public issue.
var accountID = regexp.MustCompile(`\b\d{12}\b`)

// masked returns a text without account ids.
func masked(text string) string { return accountID.ReplaceAllString(text, "<account>") }

// cell returns a text for a cell of a Markdown table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\r", " ", "\n", " ").Replace(masked(text))
}

// Markdown writes the report as a table for an issue. It has no account ids.
func (r *Report) Markdown(w io.Writer) {
	fmt.Fprintf(w, "`outbox smoke` of stack %s in %s, %s, %.0f s\n\n", cell(r.Stack), cell(r.Where), r.Began.Format(time.RFC3339), r.Seconds)
	fmt.Fprint(w, "| # | check | outcome | observed | s |\n|---|---|---|---|---|\n")
	for _, c := range r.Checks {
		fmt.Fprintf(w, "| %d | %s | %s | %s | %.0f |\n", c.Number, cell(c.Title), c.Outcome, cell(c.Observed), c.Seconds)
	}
	for _, what := range r.Left {
		fmt.Fprintf(w, "\n**Not removed:** %s\n", cell(what))
	}
	if r.Interrupted {
		fmt.Fprint(w, "\nIt was interrupted.\n")
	}
}

// Masked returns the report without account ids, for JSON.
func (r *Report) Masked() *Report {
	clean := *r
	clean.Checks = nil
	for _, c := range r.Checks {
		c.Observed = masked(c.Observed)
		clean.Checks = append(clean.Checks, c)
	}
	clean.Left = nil
	for _, what := range r.Left {
		clean.Left = append(clean.Left, masked(what))
	}
	return &clean
}

// List writes what the checks are, without a stack.
func List(w io.Writer, checks []Check) {
	for _, c := range checks {
		note := ""
		if c.Reference {
			note = " Needs the reference application."
		}
		if c.AfterDestroy {
			note = " Runs with --after-destroy alone."
		}
		fmt.Fprintf(w, "%3d  %s\n     Does: %s%s\n", c.Number, c.Title, c.Does, note)
		if c.Open != "" {
			fmt.Fprintf(w, "     Open: %s\n", c.Open)
		}
		fmt.Fprintf(w, "     On AWS about %.0f min, $%.3f\n", max(1, c.Minutes), c.Dollars)
	}
}
