package synth

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

// template is a synthesized template.
type template struct {
	Resources map[string]resource
	Outputs   map[string]any
}

type resource struct {
	Type           string
	Properties     map[string]any
	Metadata       map[string]any
	DependsOn      []string
	DeletionPolicy string
}

// synthesize returns the template of a stack.
func synthesize(t *testing.T, stack awscdk.Stack) template {
	t.Helper()
	var result template
	guard(t, func() {
		assembly := awscdk.Stage_Of(stack).Synth(&awscdk.StageSynthesisOptions{Force: jsii.Bool(true)})
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

// path returns the resource's path in the construct tree, below the stack: "Outbox/Table".
func (r resource) path() string {
	full, _ := r.Metadata["aws:cdk:path"].(string)
	_, below, _ := strings.Cut(full, "/")
	return strings.TrimSuffix(strings.TrimSuffix(below, "/Resource"), "/Default")
}

// at returns the logical id of the resource with a path, and the resource.
func (tpl template) at(t *testing.T, path string) (logicalID string, r resource) {
	t.Helper()
	var known []string
	for id, r := range tpl.Resources {
		if r.path() == path {
			return id, r
		}
		known = append(known, r.path())
	}
	slices.Sort(known)
	t.Fatalf("no resource at %q; there are %s", path, strings.Join(known, ", "))
	return "", resource{}
}

// part returns the resource with a path.
func (tpl template) part(t *testing.T, path string) resource {
	t.Helper()
	_, r := tpl.at(t, path)
	return r
}

// ofType returns the resources of a type by logical id.
func (tpl template) ofType(typ string) map[string]resource {
	found := map[string]resource{}
	for id, r := range tpl.Resources {
		if r.Type == typ {
			found[id] = r
		}
	}
	return found
}

// paths returns the paths of the resources of a type, sorted.
func (tpl template) paths(typ string) []string {
	var found []string
	for _, r := range tpl.ofType(typ) {
		found = append(found, r.path())
	}
	slices.Sort(found)
	return found
}

// dependencies returns the paths of the resources in a resource's DependsOn, sorted.
func (tpl template) dependencies(r resource) []string {
	var found []string
	for _, id := range r.DependsOn {
		found = append(found, tpl.Resources[id].path())
	}
	slices.Sort(found)
	return found
}

// statements returns the statements of a policy document, as readable returns them.
func (tpl template) statements(document any) []any {
	return tpl.readable(document).(map[string]any)["Statement"].([]any)
}

// readable replaces the intrinsics in a value of a template: {"Ref": id} by "${path}", {"Fn::GetAtt": [id, name]} by
// "${path.name}", and Fn::Join by the joined text.
func (tpl template) readable(value any) any {
	switch v := value.(type) {
	case map[string]any:
		if text, ok := tpl.intrinsic(v); ok {
			return text
		}
		result := map[string]any{}
		for key, element := range v {
			result[key] = tpl.readable(element)
		}
		return result
	case []any:
		result := make([]any, len(v))
		for i, element := range v {
			result[i] = tpl.readable(element)
		}
		return result
	default:
		return value
	}
}

func (tpl template) intrinsic(v map[string]any) (text string, ok bool) {
	if len(v) != 1 {
		return "", false
	}
	switch name := slices.Collect(maps.Keys(v))[0]; name {
	case "Ref":
		id := v[name].(string)
		if r, known := tpl.Resources[id]; known {
			id = r.path()
		}
		return "${" + id + "}", true
	case "Fn::GetAtt":
		parts := v[name].([]any)
		return fmt.Sprintf("${%s.%s}", tpl.Resources[parts[0].(string)].path(), parts[1]), true
	case "Fn::Join":
		parts := v[name].([]any)
		var texts []string
		for _, part := range parts[1].([]any) {
			texts = append(texts, fmt.Sprint(tpl.readable(part)))
		}
		return strings.Join(texts, parts[0].(string)), true
	}
	return "", false
}

// same checks that a value of a template equals wantJSON.
func same(t *testing.T, what string, got any, wantJSON string) {
	t.Helper()
	var want any
	if err := json.Unmarshal([]byte(wantJSON), &want); err != nil {
		t.Fatalf("%s: the expected value is not JSON: %v", what, err)
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

// list checks that got equals want.
func list(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s are %q, want %q", what, got, want)
	}
}
