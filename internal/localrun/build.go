package localrun

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
)

// buildFlags and buildEnv let the command share what it is compiled from with the functions, which are built like this too.
var (
	buildFlags = []string{"build", "-trimpath"}
	buildEnv   = "CGO_ENABLED=0"
)

// Build compiles the command outbox to path, with the given flags of go build.
func Build(ctx context.Context, path string, flags ...string) error {
	build := exec.CommandContext(ctx, "go", slices.Concat(buildFlags, flags, []string{"-o", path, "github.com/outboxkit/transactional-outbox/cmd/outbox"})...)
	build.Env = append(os.Environ(), buildEnv)
	out, err := build.CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the local run: %w\n%s", err, out)
	}
	return nil
}

// noValidation skips the CDK's own validation of templates, which takes longer than all the rest of a synthesis (see
// docs/benchmarks.md). test/synth has it look at the reference application.
const noValidation = "CDK_VALIDATION=false"

// Synthesize synthesizes the reference application in the folder root to the folder out with the CDK CLI: the named
// stacks, or all.
func Synthesize(ctx context.Context, root, out string, stacks ...string) error {
	args := append(append([]string{"--no-install", "cdk", "synth"}, stacks...), "--quiet", "--output", out)
	synth := exec.CommandContext(ctx, "npx", args...)
	synth.Dir = root
	synth.Env = append(os.Environ(), noValidation)
	if output, err := synth.CombinedOutput(); err != nil {
		return fmt.Errorf("cdk synth: %w\n%s", err, output)
	}
	return nil
}
