package golambda

import (
	"encoding/json"
	"os"
)

// Architecture is an instruction set architecture of Lambda, by its name there.
type Architecture string

// The architectures of Lambda. awslambda.Architecture cannot be asked before the CDK is up.
const (
	ARM64 Architecture = "arm64"
	X86   Architecture = "x86_64"
)

// Prebuild starts building the main packages in these folders in the background and returns at once.
// NewFunction waits for the build it needs, and reports its error. Call it before awscdk.NewApp: the CDK
// takes more than a second to come up, on one processor.
//
// It does nothing when the CDK CLI asks for no bundling at all, as `cdk list` does.
func Prebuild(architecture Architecture, entries ...string) {
	if noBundling() {
		return
	}
	for _, entry := range entries {
		source, err := newTarget(&entry, architecture)
		if err != nil {
			continue // NewFunction says what is wrong
		}
		go source.binary() //nolint:errcheck // NewFunction asks again and gets the same error
	}
}

// noBundling says whether the CLI has no stack bundled. It hands its context to the app in an environment variable.
// Source: AWS CDK reference, aws-cdk-lib.cx_api, CONTEXT_ENV and BUNDLING_STACKS.
func noBundling() bool {
	var context struct {
		Bundled []string `json:"aws:cdk:bundling-stacks"`
	}
	err := json.Unmarshal([]byte(os.Getenv("CDK_CONTEXT_JSON")), &context)
	return err == nil && context.Bundled != nil && len(context.Bundled) == 0
}
