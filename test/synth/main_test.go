// Package synth holds every test that uses jsii. They share one kernel, because the start of a kernel takes more than a
// second, and a kernel is not safe for concurrent use, so no test here calls t.Parallel.
package synth

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

func TestMain(m *testing.M) {
	// An app runs in the folder of its cdk.json, and the entries of functions are relative to it.
	if err := os.Chdir(filepath.Join("..", "..")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Templates say how functions were built: a developer's own flags are not their business.
	os.Setenv("GOFLAGS", "-buildvcs=false")
	// It takes longer than all the rest of a synthesis; TestCDKValidatesTheTemplates has it look at what we deploy.
	if err := os.Setenv("CDK_VALIDATION", "false"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if !underRace {
		jsii.Close()
	}
	os.Exit(code)
}

// underRace is set when the race detector is on. It finds a race within jsii.Close, which waits for the
// kernel twice, and would fail the tests for it. Without Close the kernel ends with this process.
var underRace bool

// noBundling is the context under which no function is built; the CDK CLI sets the same for `cdk list`.
var noBundling = map[string]any{"aws:cdk:bundling-stacks": []string{}}

// newApp returns an app with the context of cdk.json (the feature flags), the given context in addition, and a cloud
// assembly that is deleted after the test.
func newApp(t *testing.T, context ...map[string]any) awscdk.App {
	t.Helper()
	merged := cdkJSONContext(t)
	merged["aws:cdk:enable-path-metadata"] = true // as the CLI sets it
	for _, c := range context {
		for key, value := range c {
			merged[key] = value
		}
	}
	return awscdk.NewApp(&awscdk.AppProps{
		AnalyticsReporting: jsii.Bool(false),
		Context:            &merged,
		Outdir:             jsii.String(t.TempDir()),
	})
}

// newStack returns a stack in an app of its own, without bundling.
func newStack(t *testing.T) awscdk.Stack {
	t.Helper()
	return awscdk.NewStack(newApp(t, noBundling), jsii.String("Stack"), nil)
}

func cdkJSONContext(t *testing.T) map[string]any {
	t.Helper()
	raw, err := os.ReadFile("cdk.json")
	if os.IsNotExist(err) {
		return map[string]any{}
	}
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Context map[string]any `json:"context"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatalf("cdk.json: %v", err)
	}
	if file.Context == nil {
		file.Context = map[string]any{}
	}
	return file.Context
}

// guard runs code that calls jsii and fails the test when it panics, with a string or an error.
func guard(t *testing.T, code func()) {
	t.Helper()
	if message, panicked := recovered(code); panicked {
		t.Fatal(message)
	}
}

// refused runs code that must panic and returns the message of the panic.
func refused(t *testing.T, code func()) string {
	t.Helper()
	message, panicked := recovered(code)
	if !panicked {
		t.Fatal("it was accepted, want a panic")
	}
	return message
}

func recovered(code func()) (message string, panicked bool) {
	defer func() {
		if reason := recover(); reason != nil {
			message, panicked = fmt.Sprint(reason), true
		}
	}()
	code()
	return "", false
}
