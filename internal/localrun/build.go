package localrun

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// Build compiles the command outbox to path, with the given flags of go build.
func Build(ctx context.Context, path string, flags ...string) error {
	args := append(append([]string{"build"}, flags...), "-o", path, "github.com/outboxkit/transactional-outbox/cmd/outbox")
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
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
