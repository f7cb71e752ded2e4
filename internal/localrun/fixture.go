package localrun

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// A Fixture is what tests of the reference application run. Each part is made when it is first asked for, and once.
type Fixture struct {
	// Root returns the repository's folder.
	Root func() (string, error)
	// Assembly returns the cloud assembly of Orders-dev: that in the environment variable CHAOS_APP, or what cdk synth
	// writes.
	Assembly func() (string, error)
	// Binary returns the compiled command.
	Binary func() (string, error)
}

// RunTests runs the tests of a package two folders below the repository's with a fixture in a temporary folder, and exits
// with their code.
func RunTests(tests interface{ Run() int }, fixture *Fixture) {
	dir, err := os.MkdirTemp("", "outbox-tests-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "temporary folder:", err)
		os.Exit(1)
	}
	*fixture = newFixture(dir)
	code := tests.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func newFixture(dir string) Fixture {
	root := sync.OnceValues(func() (string, error) { return filepath.Abs(filepath.Join("..", "..")) })
	return Fixture{
		Root: root,
		Assembly: sync.OnceValues(func() (string, error) {
			if ready := os.Getenv("CHAOS_APP"); ready != "" {
				return filepath.Abs(ready)
			}
			where, err := root()
			if err != nil {
				return "", err
			}
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
			defer cancel()
			app := filepath.Join(dir, "cdk.out")
			return app, Synthesize(ctx, where, app, "Orders-dev")
		}),
		Binary: sync.OnceValues(func() (string, error) {
			path := filepath.Join(dir, "outbox")
			return path, Build(context.Background(), path)
		}),
	}
}
