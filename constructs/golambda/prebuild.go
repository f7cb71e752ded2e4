package golambda

import (
	"context"
	"encoding/json"
	"os"

	"github.com/outboxkit/transactional-outbox/internal/gobuild"
)

// Architecture is an instruction set architecture of Lambda, by its name there.
type Architecture string

// The architectures of Lambda. awslambda.Architecture cannot be asked before the CDK is up.
const (
	ARM64 Architecture = "arm64"
	X86   Architecture = "x86_64"
)

// Prebuild starts building the main packages in these folders in the background, all by one go command, and
// returns at once. NewFunction waits for the build it needs, and reports its error. Call it before
// awscdk.NewApp: the CDK takes more than a second to come up, on one processor.
//
// It does nothing when the CDK CLI asks for no bundling at all, as `cdk list` does.
func Prebuild(architecture Architecture, entries ...string) {
	(*BuildOptions)(nil).Prebuild(architecture, entries...)
}

// Prebuild is [Prebuild] for functions with these options.
func (b *BuildOptions) Prebuild(architecture Architecture, entries ...string) {
	b.prebuild(nil, architecture, entries)
}

// PrebuildModule is [Prebuild] for functions of a module that the app depends on, see [FunctionProps].Module. The entries
// are folders in the module.
func PrebuildModule(module string, architecture Architecture, entries ...string) {
	(*BuildOptions)(nil).PrebuildModule(module, architecture, entries...)
}

// PrebuildModule is [PrebuildModule] for functions with these options.
func (b *BuildOptions) PrebuildModule(module string, architecture Architecture, entries ...string) {
	b.prebuild(&module, architecture, entries)
}

func (b *BuildOptions) prebuild(module *string, architecture Architecture, entries []string) {
	if noBundling() || b.validate() != nil {
		return // NewFunction reports what is wrong
	}
	var targets []gobuild.Target
	for _, entry := range entries {
		if src, err := newSource(module, entry, architecture, b.settings()); err == nil {
			targets = append(targets, src.Target)
		}
	}
	go builder.Together(targets)(context.Background())
}

// noBundling reports whether the CLI has no stack bundled. It hands its context to the app in an environment variable.
// Source: AWS CDK reference, aws-cdk-lib.cx_api, CONTEXT_ENV and BUNDLING_STACKS.
func noBundling() bool {
	var context struct {
		Bundled []string `json:"aws:cdk:bundling-stacks"`
	}
	err := json.Unmarshal([]byte(os.Getenv("CDK_CONTEXT_JSON")), &context)
	return err == nil && context.Bundled != nil && len(context.Bundled) == 0
}
