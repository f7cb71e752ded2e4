// Package e2e tests the local run of the synthesized Orders-dev stack from the outside only, over real HTTP and with
// real processes. Tests that need another function or a shorter timeout patch the template and run that: production
// handlers have no test hooks.
package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

const stack = "Orders-dev"

// TestMain sets these once for all tests.
var (
	root     string // the repository's folder
	binary   string // the compiled command
	assembly string // the folder that cdk synth wrote
)

func TestMain(m *testing.M) {
	code, err := setUp(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func setUp(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "outbox-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if root, err = filepath.Abs("../.."); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	assembly = filepath.Join(dir, "cdk.out")
	if err := localrun.Synthesize(ctx, root, assembly); err != nil {
		return 0, err
	}
	binary = filepath.Join(dir, "outbox")
	if err := localrun.Build(ctx, binary); err != nil {
		return 0, err
	}
	code := m.Run()
	// After a failure a test may not have come to its requests.
	return code, compareRequests(code == 0 && allTests())
}
