package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// scratch is where all tests put what they make.
var scratch string

func TestMain(m *testing.M) {
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
