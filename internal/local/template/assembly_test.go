package template_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// testdata/assembly was written by aws-cdk-lib 2.250.0, without the artifacts that this package ignores.
func TestReadAssembly(t *testing.T) {
	a, err := template.ReadAssembly("testdata/assembly")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"Prod/Nested", "Other", "Orders-dev"}; !slices.Equal(a.Names(), want) {
		t.Errorf("names are %v, want %v", a.Names(), want)
	}
	for asked, want := range map[string]struct{ id, name, dir, account, region string }{
		"Orders-dev":         {"Orders-dev", "Orders-dev", "testdata/assembly", "", ""},
		"Other":              {"Other", "other-name", "testdata/assembly", "123456789012", "eu-west-1"},
		"other-name":         {"Other", "other-name", "testdata/assembly", "123456789012", "eu-west-1"},
		"Prod/Nested":        {"ProdNestedE16221BC", "Prod-Nested", "testdata/assembly/assembly-Prod", "", ""},
		"Prod-Nested":        {"ProdNestedE16221BC", "Prod-Nested", "testdata/assembly/assembly-Prod", "", ""},
		"ProdNestedE16221BC": {"ProdNestedE16221BC", "Prod-Nested", "testdata/assembly/assembly-Prod", "", ""},
	} {
		s, err := a.Stack(asked)
		if err != nil {
			t.Errorf("%s: %v", asked, err)
			continue
		}
		if s.ID != want.id || s.Name != want.name || s.Dir != filepath.FromSlash(want.dir) || s.Account != want.account || s.Region != want.region {
			t.Errorf("%s is %+v, want %+v", asked, s, want)
		}
	}
}

func TestProvisionWhatCDKWrites(t *testing.T) {
	s := ordersStack(t)
	d, err := s.Provision(t.Context(), environment, fakes(ordersTypes...))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Resources) != 16 || len(d.Skipped) != 6 {
		t.Errorf("%d resources and %d skipped, want 16 and 6", len(d.Resources), len(d.Skipped))
	}
	want := []template.Output{
		{Name: "ApiEndpoint4F160690", Value: "https://ApiF70053CD-ref.execute-api.eu-central-1.amazonaws.com/ApiDeploymentStageprod3EB9684E-ref/"},
		{Name: "QueueUrl", Value: "Queue4A7E3555-ref", Description: "where orders wait"},
	}
	if !slices.Equal(d.Outputs, want) {
		t.Errorf("outputs are %v, want %v", d.Outputs, want)
	}
	fn, ok := d.Find("arn:aws:test:::Fn9270CBC0")
	if !ok || fn.Name != "Fn" || !strings.HasPrefix(fn.Metadata["aws:asset:path"].(string), "asset.") {
		t.Errorf("function is %+v", fn)
	}
}

func TestConstructPathsComeFromTheManifestToo(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "manifest.json"), `{"artifacts": {"S": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "t.json"},
		"metadata": {"/S/Outbox/Queue/Resource": [{"type": "aws:cdk:logicalId", "data": "Queue"}, {"type": "aws:cdk:other", "data": {"x": 1}}]}}}}`)
	write(t, filepath.Join(dir, "t.json"), `{"Resources": {"Queue": {"Type": "T"}}}`)
	a, err := template.ReadAssembly(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Stack("S")
	if err != nil {
		t.Fatal(err)
	}
	if d := provision(t, s); d.Resources[0].Name != "Outbox/Queue" {
		t.Errorf("name is %q", d.Resources[0].Name)
	}
}

func TestAssembliesThatCannotBeRead(t *testing.T) {
	const oneStack = `{"artifacts": {"S": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "t.json"}}}}`
	for name, c := range map[string]struct {
		files       map[string]string
		stack, want string
	}{
		"nothing there":          {nil, "", "is not a cloud assembly (it has no manifest.json): run `npx cdk synth` or `make synth` first"},
		"no JSON":                {map[string]string{"manifest.json": `{`}, "", "manifest.json: unexpected end of JSON input: run `npx cdk synth` or `make synth` again"},
		"no artifacts":           {map[string]string{"manifest.json": `{}`}, "", "manifest.json: artifacts: the value must be a JSON object: run"},
		"no stacks":              {map[string]string{"manifest.json": `{"artifacts": {}}`}, "", "must have at least one stack"},
		"a stage without one":    {map[string]string{"manifest.json": `{"artifacts": {"P": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "x"}}}}`}, "", "it has no manifest.json"},
		"no template":            {map[string]string{"manifest.json": oneStack}, "", "template of S: open "},
		"a broken template":      {map[string]string{"manifest.json": oneStack, "t.json": `{"Resources": []}`}, "", "t.json: the value must be a JSON object"},
		"a loop of resources":    {map[string]string{"manifest.json": oneStack, "t.json": `{"Resources": {"Fn::ForEach::Topics": ["T", ["a"], {"${T}": {}}]}}`}, "", "t.json: Resources: Fn::ForEach::Topics: the local run does not support it: loops are not expanded locally: write a loop in the CDK app"},
		"a macro of resources":   {map[string]string{"manifest.json": oneStack, "t.json": `{"Resources": {"Fn::Transform": {"Name": "M"}}}`}, "", "t.json: Resources: Fn::Transform: the local run does not support it: macros run in AWS only"},
		"a repeated resource":    {map[string]string{"manifest.json": oneStack, "t.json": `{"Resources": {"A": {}, "A": {}}}`}, "", "t.json: A must be declared once, got two"},
		"a stage in itself":      {map[string]string{"manifest.json": `{"artifacts": {"P": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "./"}}}}`}, "", `directoryName must be a folder below the cloud assembly, got "./"`},
		"a stage without a name": {map[string]string{"manifest.json": `{"artifacts": {"P": {"type": "cdk:cloud-assembly", "properties": {}}}}`}, "", `directoryName must be a folder below the cloud assembly, got ""`},
		"an unknown stack":       {map[string]string{"manifest.json": oneStack}, "Orders", `, got "Orders"`},
		"a template elsewhere":   {map[string]string{"manifest.json": strings.Replace(oneStack, "t.json", "../t.json", 1)}, "", `artifact S: a name of a file must not lead out of the cloud assembly, got "../t.json"`},
		"a stage elsewhere":      {map[string]string{"manifest.json": `{"artifacts": {"P": {"type": "cdk:cloud-assembly", "properties": {"directoryName": "/etc"}}}}`}, "", `artifact P: a name of a file must not lead out of the cloud assembly, got "/etc"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range c.files {
				write(t, filepath.Join(dir, file), content)
			}
			a, err := template.ReadAssembly(dir)
			if err == nil {
				_, err = a.Stack(c.stack)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "template.yaml")
	write(t, file, "Resources: {}")
	if _, err := template.ReadAssembly(file); err == nil || !strings.HasPrefix(err.Error(), "the cloud assembly must be the folder that `cdk synth` writes, got the file "+file) {
		t.Errorf("error is %v", err)
	}
	a, err := template.ReadAssembly("testdata/assembly")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Stack(""); err == nil || !strings.HasSuffix(err.Error(), "has several stacks; choose one with --stack: Prod/Nested, Other, Orders-dev") {
		t.Errorf("error is %v", err)
	}
}

// ordersTypes lists the types of testdata/assembly that are not skipped.
var ordersTypes = []string{
	"AWS::DynamoDB::GlobalTable", "AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "AWS::Events::EventBus", "AWS::Events::Archive", "AWS::Events::Rule",
	"AWS::Lambda::Function", "AWS::Lambda::EventSourceMapping", "AWS::ApiGateway::RestApi", "AWS::ApiGateway::Resource",
	"AWS::ApiGateway::Method", "AWS::ApiGateway::Deployment", "AWS::ApiGateway::Stage", "AWS::CloudWatch::Alarm",
}

func ordersStack(t testing.TB) *template.Stack {
	t.Helper()
	a, err := template.ReadAssembly("testdata/assembly")
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Stack("Orders-dev")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// BenchmarkProvision reads and provisions a stack of about twenty resources; a second would be too long.
func BenchmarkProvision(b *testing.B) {
	for b.Loop() {
		if _, err := ordersStack(b).Provision(b.Context(), environment, fakes(ordersTypes...)); err != nil {
			b.Fatal(err)
		}
	}
}
