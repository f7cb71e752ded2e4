// Package proof shows that the guarantee holds under injected faults and kills, and that the checker which says so
// notices what breaks it. docs/proof.md says what was run.
package proof

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/chaos"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

var (
	runMutations = flag.Bool("mutations", false, "run the mutations, each of which must make the checker fail")
	keepIn       = flag.String("keep", "", "folder that keeps data and histories of the runs")
)

var fixture localrun.Fixture

func TestMain(m *testing.M) {
	flag.Parse()
	localrun.RunTests(m, &fixture)
}

// must is a value that the test cannot do without.
func must[T any](t *testing.T, value T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// folder is a new folder for a run, which is kept when -keep says so.
func folder(t *testing.T) string {
	t.Helper()
	if *keepIn == "" {
		return t.TempDir()
	}
	dir := filepath.Join(*keepIn, filepath.FromSlash(t.Name()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// configOf is a run of the plan, to which the binary is missing.
func configOf(t *testing.T, plan chaos.Plan, orders int) chaos.Config {
	t.Helper()
	top, err := fixture.Root()
	must(t, top, err)
	app, err := fixture.Assembly()
	must(t, app, err)
	return chaos.Config{Plan: plan, Orders: orders, Root: top, Assembly: app, Dir: folder(t), Out: t.Output()}
}
