// Package proof shows that the guarantee holds under injected faults and kills, and that the checker which says so
// notices what breaks it. docs/proof.md says what was run.
package proof

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/chaos"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

var (
	runMutations = flag.Bool("mutations", false, "run the mutations, each of which must make the checker fail")
	keepIn       = flag.String("keep", "", "folder that keeps data and histories of the runs")
)

// scratch is where all tests put what they make.
var scratch string

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if scratch, err = os.MkdirTemp("", "outbox-chaos-"); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

// root is the repository.
var root = sync.OnceValues(func() (string, error) { return filepath.Abs("../..") })

// assembly is what cdk synth wrote, once for all tests.
var assembly = sync.OnceValues(func() (string, error) {
	if ready := os.Getenv("CHAOS_APP"); ready != "" {
		return filepath.Abs(ready)
	}
	dir := filepath.Join(scratch, "cdk.out")
	where, err := root()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return dir, localrun.Synthesize(ctx, where, dir, "Orders-dev")
})

// binary is the local run without a mutation.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "outbox")
	return path, localrun.Build(context.Background(), path)
})

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
	top, err := root()
	must(t, top, err)
	app, err := assembly()
	must(t, app, err)
	return chaos.Config{Plan: plan, Orders: orders, Root: top, Assembly: app, Dir: folder(t), Out: t.Output()}
}
