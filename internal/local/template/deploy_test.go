package template_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// An app describes the stacks of an assembly: their templates, and what the manifest says of them beside.
type app []struct{ id, manifest, template string }

// write writes the assembly and reads it.
func (a app) write(t *testing.T) *template.Assembly {
	t.Helper()
	dir := t.TempDir()
	var artifacts []string
	for _, s := range a {
		artifacts = append(artifacts, fmt.Sprintf(`%q: {"type": "aws:cloudformation:stack", "properties": {"templateFile": "%s.json"}%s}`, s.id, s.id, s.manifest))
		write(t, filepath.Join(dir, s.id+".json"), s.template)
	}
	write(t, filepath.Join(dir, "manifest.json"), `{"artifacts": {`+strings.Join(artifacts, ",")+`}}`)
	assembly, err := template.ReadAssembly(dir)
	if err != nil {
		t.Fatal(err)
	}
	return assembly
}

// deploy deploys the stacks with these names, or all.
func (a app) deploy(t *testing.T, names ...string) ([]*template.Deployment, error) {
	t.Helper()
	assembly := a.write(t)
	if names == nil {
		names = assembly.Names()
	}
	stacks, err := assembly.Select(names...)
	if err != nil {
		return nil, err
	}
	return template.Deploy(t.Context(), environment, stacks, fakes("T", "AWS::SSM::Parameter"))
}

const (
	exporting = `{"Resources": {"Bus": {"Type": "T"}}, "Outputs": {"Bus": {"Value": {"Ref": "Bus"}, "Export": {"Name": {"Fn::Sub": "${AWS::StackName}:Bus"}}}}}`
	importing = `{"Resources": {"Rule": {"Type": "T", "Properties": {"Bus": {"Fn::ImportValue": "A:Bus"}}}}}`
	reading   = `{"Resources": {"Rule": {"Type": "T", "Properties": {"Bus": {"Fn::GetStackOutput": {"StackName": "A", "OutputName": "Bus"}}}}}}`
	storing   = `{"Resources": {"Name": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": {"Fn::Sub": "/${AWS::Region}/bus"}, "Type": "String", "Value": {"Fn::Sub": "${Bus}, other"}}}, "Bus": {"Type": "T"}}}`
	looking   = `{"Parameters": {"Bus": {"Type": "AWS::SSM::Parameter::Value<%s>", "Default": "/eu-central-1/bus"}}, "Resources": {"Rule": {"Type": "T", "Properties": {"Bus": {"Ref": "Bus"}}}}}`
)

// A stack comes after those that it needs, and gets their values.
func TestStacksGiveOneAnotherValues(t *testing.T) {
	for name, c := range map[string]struct {
		app  app
		want any
	}{
		"an export":             {app{{"B", "", importing}, {"A", "", exporting}}, "Bus-ref"},
		"an output":             {app{{"B", "", reading}, {"A", "", exporting}}, "Bus-ref"},
		"an SSM parameter":      {app{{"B", "", fmt.Sprintf(looking, "String")}, {"A", "", storing}}, "Bus-ref, other"},
		"a list in a parameter": {app{{"B", "", fmt.Sprintf(looking, "List<String>")}, {"A", "", storing}}, []any{"Bus-ref", "other"}},
	} {
		t.Run(name, func(t *testing.T) {
			deployments, err := c.app.deploy(t)
			if err != nil {
				t.Fatal(err)
			}
			if order := []string{deployments[0].Stack, deployments[1].Stack}; !slices.Equal(order, []string{"A", "B"}) {
				t.Errorf("the order is %v", order)
			}
			if got := deployments[1].Resources[0].Properties["Bus"]; !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestStacksAreInTheOrderOfTheirDependencies(t *testing.T) {
	const empty = `{"Resources": {}}`
	deployments, err := app{{"C", `, "dependencies": ["C.assets", "A"]`, empty}, {"B", "", empty}, {"A", `, "dependencies": ["elsewhere"]`, empty}}.deploy(t)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, d := range deployments {
		order = append(order, d.Stack)
	}
	if !slices.Equal(order, []string{"A", "C", "B"}) {
		t.Errorf("the order is %v, want A before C, and else that of the app", order)
	}
}

func TestStacksThatCannotRun(t *testing.T) {
	const empty = `{"Resources": {}}`
	both := strings.Replace(importing, `"Resources"`, `"Outputs": {"X": {"Value": "x", "Export": {"Name": "B:X"}}}, "Resources"`, 1)
	for name, c := range map[string]struct {
		app   app
		names []string
		want  string
	}{
		"an export of a stack that is left out": {app{{"A", `, "displayName": "Prod/A"`, exporting}, {"B", "", importing}}, []string{"B"}, `B: Rule (T): Bus.Fn::ImportValue: no stack of the run exports "A:Bus": add --stack Prod/A, which does`},
		"an export of no stack":                 {app{{"B", "", importing}}, nil, `no stack of the run exports "A:Bus": add the stack that does, or a value with --stand-in export=A:Bus=VALUE`},
		"an output of a stack that is left out": {app{{"A", "", exporting}, {"B", "", reading}}, []string{"B"}, `Bus.Fn::GetStackOutput: stack A is not in the run: add --stack A`},
		"an output of no stack":                 {app{{"A", "", empty}, {"B", "", reading}}, nil, `StackName and OutputName must be an output of a stack of the run, got Bus of A`},
		"an output of another region and account": {
			app{{"A", "", strings.Replace(reading, `"OutputName"`, `"Region": "eu-west-9", "RoleArn": "arn:x", "OutputName"`, 1)}},
			nil,
			"Region must be eu-central-1, the only one of the run, got \"eu-west-9\"\nRule (T): Bus.Fn::GetStackOutput: RoleArn must be empty, because the run has one account, got \"arn:x\"",
		},
		"an SSM parameter of no stack":         {app{{"B", "", fmt.Sprintf(looking, "String")}}, nil, `parameter Bus must be the name of an SSM parameter that a stack of the run makes, got "/eu-central-1/bus": add the stack that does, or a value with --stand-in ssm=/eu-central-1/bus=VALUE`},
		"a name that depends on a resource":    {app{{"A", "", strings.Replace(exporting, "AWS::StackName", "Bus", 1)}}, nil, "output Bus: Export.Name: Fn::Sub: ${Bus}: there is no resource or parameter Bus here"},
		"an export of two stacks":              {app{{"A", "", exporting}, {"B", "", strings.Replace(exporting, "${AWS::StackName}", "A", 1)}}, nil, `stack B: output Bus: an export must have a name of its own, got "A:Bus", which stack A has too`},
		"a circle of imports":                  {app{{"A", "", strings.Replace(exporting, `"T"`, `"T", "Properties": {"X": {"Fn::ImportValue": "B:X"}}`, 1)}, {"B", "", both}}, nil, "the stacks need each other in a circle: A → B → A"},
		"a circle of imports and dependencies": {app{{"A", `, "dependencies": ["B"]`, exporting}, {"B", "", importing}}, nil, "in a circle: A → B → A"},
		"an import of its own":                 {app{{"A", "", strings.Replace(exporting, `"T"`, `"T", "Properties": {"X": {"Fn::ImportValue": "A:Bus"}}`, 1)}}, nil, "in a circle: A → A"},
		"several regions and accounts":         {app{{"A", `, "environment": "aws://1/r1"`, empty}, {"B", `, "environment": "aws://2/r2"`, empty}}, nil, "must have one region, got r1 of A and r2 of B: run one of them, or leave the region open in the app\nthe stacks of a run must have one account, got 1 of A and 2 of B"},
		"one name":                             {app{{"A", "", empty}, {"B", `, "displayName": "Prod/B"`, empty}, {"C", `, "properties": {"templateFile": "C.json", "stackName": "A"}`, empty}}, []string{"A", "C"}, "must have different names, got A for A and C"},
		"a stack twice":                        {app{{"A", `, "displayName": "Prod/A"`, empty}}, []string{"A", "Prod/A"}, "the stack Prod/A must be named once, got A and Prod/A"},
		"no such stacks":                       {app{{"A", "", empty}}, []string{"X", "Y"}, `got "X"` + "\n" + `the stack must be one of A in `},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := c.app.deploy(t, c.names...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

// What is wrong with several stacks is said at once, and nothing is created.
func TestAllProblemsOfAllStacks(t *testing.T) {
	bad := `{"Resources": {"X": {"Type": "T", "Properties": {"A": {"Ref": "Nobody"}}}}}`
	_, err := app{{"A", "", bad}, {"B", "", bad}}.deploy(t)
	for _, want := range []string{"stack A: X (T): A.Ref: there is no", "stack B: X (T): A.Ref: there is no"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}

// A stack whose import could not be made is named and not tried, the others are.
func TestAStackThatNeedsOneThatFailed(t *testing.T) {
	stacks, err := app{{"A", "", exporting}, {"B", "", importing}, {"C", "", `{"Resources": {"Queue": {"Type": "T"}}}`}}.write(t).Select("A", "B", "C")
	if err != nil {
		t.Fatal(err)
	}
	_, err = template.Deploy(t.Context(), environment, stacks, map[string]template.Provision{
		"T": func(_ context.Context, r template.Resource) (template.Attributes, error) {
			return template.Attributes{}, errors.New(r.LogicalID + " failed")
		},
	})
	want := "Bus (T): Bus failed\nstack B is not checked yet, because it needs A\nQueue (T): Queue failed"
	if err == nil || err.Error() != want {
		t.Errorf("error is %v, want %q", err, want)
	}
}

// What two stacks call the same has its stack before its name, and what one stack has alone has not.
func TestNamesThatSeveralStacksHave(t *testing.T) {
	path := func(path string) string { return `"Type": "T", "Metadata": {"aws:cdk:path": "` + path + `/Resource"}` }
	deployments, err := app{
		{"A", "", `{"Resources": {"Queue": {` + path("A/Box/Queue") + `}, "Own": {` + path("A/Own") + `}, "Key": {"Type": "AWS::KMS::Key"}}}`},
		{"B", `, "displayName": "Prod/B"`, `{"Resources": {"Queue": {` + path("Prod/B/Box/Queue") + `, "DependsOn": ["Other"]}, "Other": {"Type": "T"}, "Key": {"Type": "AWS::KMS::Key"}}}`},
	}.deploy(t)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range deployments {
		for _, r := range d.Resources {
			got = append(got, strings.Join([]string{r.LogicalID, r.TemplateID(), r.Name, r.Stack, r.PhysicalName}, " "))
		}
	}
	want := []string{"A/Queue Queue A/Box/Queue A A-Queue", "Own Own Own A A-Own", "Other Other Other B B-Other", "B/Queue Queue Prod/B/Box/Queue B B-Queue"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, name := range []string{"Queue", "B/Queue"} {
		if found, ok := deployments[1].Find(name); !ok || found.LogicalID != "B/Queue" {
			t.Errorf("%s of B is %+v", name, found)
		}
	}
	if found, ok := deployments[0].Find("B/Queue"); ok {
		t.Errorf("B/Queue of A is %+v", found)
	}
}

func TestOutputsSayTheirExports(t *testing.T) {
	deployments, err := app{{"A", "", exporting}}.deploy(t)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := json.Marshal(deployments[0].Outputs)
	if want := `[{"Name":"Bus","Value":"Bus-ref","Description":"","Export":"A:Bus"}]`; string(raw) != want || deployments[0].Template != exporting {
		t.Errorf("outputs are %s, want %s; template %s", raw, want, deployments[0].Template)
	}
}
