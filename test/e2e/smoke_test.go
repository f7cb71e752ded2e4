package e2e

import (
	"encoding/json"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/smoke"
)

// impatient gives a pipe's dead-letter message after one retry, which on AWS takes minutes.
func impatient(p tmpl) {
	source := p.properties("AWS::Pipes::Pipe", "Outbox")["SourceParameters"].(map[string]any)["DynamoDBStreamParameters"].(map[string]any)
	source["MaximumRetryAttempts"] = 1
}

// smokeReport is what the command prints with --json.
func smokeReport(t *testing.T, got said) (smoke.Report, map[int]smoke.CheckReport) {
	t.Helper()
	var report smoke.Report
	if err := json.Unmarshal([]byte(got.out), &report); err != nil {
		t.Fatalf("%v:\n%s%s", err, got.out, got.err)
	}
	checks := map[int]smoke.CheckReport{}
	for _, c := range report.Checks {
		checks[c.Number] = c
	}
	return report, checks
}

// TestSmoke: every check passes against the local run, or says in what the local run differs, and nothing is left behind.
func TestSmoke(t *testing.T) {
	t.Parallel()
	run := start(t, patched(t, impatient))
	got := operate(t, run, "smoke", "--yes", "--json", "--wait", "30s")
	report, checks := smokeReport(t, got)
	for _, c := range report.Checks {
		t.Logf("%2d %-8s %4.1f s  %s", c.Number, c.Outcome, c.Seconds, c.Observed)
	}
	_ = checks
	t.Log(got.err)
	if got.code != 0 {
		t.Errorf("exit code %d", got.code)
	}
}
