// Package synth holds every test that touches jsii, because all of them share one kernel: starting one
// costs more than a second, and it is not safe for concurrent use. So there is no t.Parallel in here.
package synth

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
	code := m.Run()
	jsii.Close()
	os.Exit(code)
}

// noBundling is the context under which no function is built; the CDK CLI sets the same for `cdk list`.
var noBundling = map[string]any{"aws:cdk:bundling-stacks": []string{}}

// newApp is an app with the context of cdk.json (the feature flags), further context on top, and a
// cloud assembly that goes away with the test.
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

// newStack is a stack of its own app, without bundling.
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

// guard runs code that calls jsii and turns its panic, a string or an error, into a failure of the test.
func guard(t *testing.T, code func()) {
	t.Helper()
	if message, panicked := recovered(code); panicked {
		t.Fatal(message)
	}
}

// refused runs code that must panic and returns what it says.
func refused(t *testing.T, code func()) string {
	t.Helper()
	message, panicked := recovered(code)
	if !panicked {
		t.Fatal("it was accepted, it should have been refused")
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

// template is a synthesized template.
type template struct {
	Resources map[string]resource
	Outputs   map[string]any
}

type resource struct {
	Type           string
	Properties     map[string]any
	Metadata       map[string]any
	DependsOn      any
	DeletionPolicy string
}

// synthesize returns the template of a stack.
func synthesize(t *testing.T, stack awscdk.Stack) template {
	t.Helper()
	var result template
	guard(t, func() {
		assembly := awscdk.App_Of(stack).Synth(&awscdk.StageSynthesisOptions{Force: jsii.Bool(true)})
		raw, err := os.ReadFile(*assembly.GetStackArtifact(stack.ArtifactId()).TemplateFullPath())
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &result); err != nil {
			t.Fatal(err)
		}
	})
	return result
}

// at finds the resource with a construct path below the stack, for example "Outbox/Table".
// A path that CDK ends in "/Resource" may be given without it.
func (tpl template) at(t *testing.T, path string) (logicalID string, r resource) {
	t.Helper()
	var known []string
	for id, r := range tpl.Resources {
		full, _ := r.Metadata["aws:cdk:path"].(string)
		_, below, _ := strings.Cut(full, "/")
		if below == path || below == path+"/Resource" {
			return id, r
		}
		known = append(known, below)
	}
	t.Fatalf("no resource at %q; there are %s", path, strings.Join(known, ", "))
	return "", resource{}
}

// ofType lists the resources of a type by logical id.
func (tpl template) ofType(typ string) map[string]resource {
	found := map[string]resource{}
	for id, r := range tpl.Resources {
		if r.Type == typ {
			found[id] = r
		}
	}
	return found
}

// same compares a part of a template with what it should be, given as JSON.
func same(t *testing.T, what string, got any, wantJSON string) {
	t.Helper()
	var want any
	if err := json.Unmarshal([]byte(wantJSON), &want); err != nil {
		t.Fatalf("%s: the expected value is no JSON: %v", what, err)
	}
	if g, w := canonical(t, got), canonical(t, want); g != w {
		t.Errorf("%s is\n%s\nwant\n%s", what, g, w)
	}
}

func canonical(t *testing.T, value any) string {
	t.Helper()
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
