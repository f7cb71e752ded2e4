package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/smoke"
)

// TestSmokeList: the list needs no stack, and names every check with what it leaves open.
func TestSmokeList(t *testing.T) {
	got := inProcess(t, "", "smoke", "--list")
	for _, c := range smoke.Checks() {
		if got.code != exitDone || !strings.Contains(got.out, c.Title) || !strings.Contains(got.out, c.Open) {
			t.Errorf("exit code %d; check %d is not in the list:\n%s", got.code, c.Number, got.out)
		}
	}
}

// TestSmokeReport: into a file or to standard output, as Markdown or JSON.
func TestSmokeReport(t *testing.T) {
	report := &smoke.Report{Stack: "Orders-dev", Checks: []smoke.CheckReport{{Check: smoke.Check{Number: 3, Title: "three"}, Outcome: smoke.Passed, Observed: "in 111122223333"}}}
	file := filepath.Join(t.TempDir(), "smoke.md")
	for _, toFile := range []bool{false, true} {
		for asJSON, want := range map[bool]string{false: "| 3 | three | pass | in <account> |", true: `"observed": "in \u003caccount\u003e"`} {
			var out bytes.Buffer
			cmd := newSmoke()
			cmd.SetOut(&out)
			f := smokeFlags{}
			if toFile {
				f.report = file
			}
			opened, err := f.open(false)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.write(cmd, opened, report, asJSON); err != nil {
				t.Fatal(err)
			}
			got := out.String()
			if toFile {
				raw, err := os.ReadFile(file)
				if err != nil || got != "" {
					t.Fatalf("%v; on standard output is %q", err, got)
				}
				got = string(raw)
			}
			if !strings.Contains(got, want) {
				t.Errorf("the report is %s, want %s", got, want)
			}
		}
	}
	if _, err := (smokeFlags{report: filepath.Join(file, "below")}).open(false); err == nil {
		t.Error("a file that cannot be opened is no error before the checks")
	}
	closed, err := smokeFlags{report: file}.open(false)
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	var out bytes.Buffer
	cmd := newSmoke()
	cmd.SetOut(&out)
	if err := (smokeFlags{}).write(cmd, closed, report, false); err == nil || !strings.Contains(out.String(), "| 3 | three | pass |") {
		t.Errorf("a report that cannot be written gives %v, and on standard output %q", err, out.String())
	}
}

// TestNoReportLeavesNoFile: where no check has run, a file that was there before is as it was.
func TestNoReportLeavesNoFile(t *testing.T) {
	for _, before := range []string{"", "of yesterday"} {
		f := smokeFlags{report: filepath.Join(t.TempDir(), "smoke.md")}
		if before != "" {
			if err := os.WriteFile(f.report, []byte(before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		file, err := f.open(false)
		if err != nil {
			t.Fatal(err)
		}
		if err := discard(file); err != nil {
			t.Fatal(err)
		}
		if after, err := os.ReadFile(f.report); string(after) != before || (err == nil) != (before != "") {
			t.Errorf("of %q is left %q (%v)", before, after, err)
		}
	}
}
