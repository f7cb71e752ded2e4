package proof

import (
	"cmp"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/chaos"
	"github.com/outboxkit/transactional-outbox/internal/chaos/mutations"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// TestMutations breaks the guarantee in every way there is a mutation for, and checks that the checker, or the
// mutation's test, notices; and that the checker finds nothing in the same situations without a mutation.
func TestMutations(t *testing.T) {
	if !*runMutations {
		t.Skip("run with -mutations, or make mutations")
	}
	for _, name := range sortedKeys(mutations.Situations) {
		t.Run("none/"+name, func(t *testing.T) {
			t.Parallel()
			result := runIn(t, mutations.Situations[name], mutations.Mutation{}, 0)
			for _, v := range result.Verdict.Violations {
				t.Error(v)
			}
			if t.Failed() {
				t.Log(reportOf(result))
			}
		})
	}
	for _, name := range sortedKeys(mutations.All) {
		m := mutations.All[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if m.Test.Name != "" {
				wantFailure(t, m)
				return
			}
			result := runIn(t, mutations.Situations[m.Situation], m, 10*time.Second)
			for _, v := range result.Verdict.Violations {
				uncertain := result.Held > 0 && (v.Consumer == chaos.PublisherUpdated || v.Consumer == chaos.Journal)
				if slices.Contains(m.Caught, v.Rule) && !uncertain {
					t.Logf("caught after %s: %s", result.Took.Round(time.Second), v)
					return
				}
			}
			t.Errorf("not caught: none of %v is violated\n%s", m.Caught, reportOf(result))
		})
	}
}

// runIn runs a situation with a mutation.
func runIn(t *testing.T, s mutations.Situation, m mutations.Mutation, patience time.Duration) chaos.Result {
	t.Helper()
	config := configOf(t, s.Plan, s.Orders)
	config.Patience = patience
	config.Changes = slices.Clone(s.Changes)
	if m.Change != nil {
		config.Changes = append(config.Changes, m.Change)
	}
	if m.Patch == "" {
		path, err := fixture.Binary()
		config.Binary = must(t, path, err)
	} else {
		flag := "-overlay=" + overlay(t, m.Patch)
		config.Binary = filepath.Join(t.TempDir(), "outbox")
		if err := localrun.Build(t.Context(), config.Binary, flag); err != nil {
			t.Fatal(err)
		}
		// The functions are built by the local run, with the mutation too.
		config.Env = []string{"GOFLAGS=" + flag}
	}
	result, err := chaos.Run(t.Context(), config)
	if err != nil {
		t.Fatalf("%v\n%s", err, reportOf(result))
	}
	return result
}

// wantFailure runs the mutation's test with the mutation, and without it: it must fail and must pass.
func wantFailure(t *testing.T, m mutations.Mutation) {
	t.Helper()
	top, err := fixture.Root()
	must(t, top, err)
	run := func(flags ...string) (string, error) {
		args := slices.Concat([]string{"test", "-count=1", "-run=^" + m.Test.Name + "$"}, flags, []string{m.Test.Package})
		command := exec.CommandContext(t.Context(), "go", args...)
		command.Dir = top
		out, err := command.CombinedOutput()
		return string(out), err
	}
	if out, err := run(); err != nil {
		t.Fatalf("without the mutation: %v\n%s", err, out)
	}
	out, err := run("-overlay=" + overlay(t, m.Patch))
	if err == nil || !strings.Contains(out, "--- FAIL: "+m.Test.Name) {
		t.Errorf("not caught by %s: %v\n%s", m.Test.Name, err, out)
	}
}

func reportOf(r chaos.Result) string {
	var report strings.Builder
	r.Report(&report, "")
	return report.String()
}

func sortedKeys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.SortFunc(names, cmp.Compare[string])
	return names
}

// TestMutationsApply keeps the patches up to date: one that no longer fits the source proves nothing.
func TestMutationsApply(t *testing.T) {
	used := map[string]bool{}
	for _, m := range mutations.All {
		used[m.Patch] = true
	}
	patches, err := mutations.Patches()
	if err != nil || len(patches) == 0 {
		t.Fatalf("no patches: %v", err)
	}
	for _, patch := range patches {
		overlay(t, patch)
		if !used[patch] {
			t.Errorf("%s belongs to no mutation", patch)
		}
	}
}

// overlay is a file for go build -overlay that applies the patch to the source, which itself stays as it is.
func overlay(t *testing.T, patch string) string {
	t.Helper()
	top, err := fixture.Root()
	if err != nil {
		t.Fatal(err)
	}
	path, err := mutations.Overlay(top, t.TempDir(), patch)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
