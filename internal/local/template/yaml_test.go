package template_test

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// standalone writes a template to a file and reads it.
func standalone(t *testing.T, name, text string) (*template.Stack, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	write(t, file, text)
	return template.ReadTemplate(file, "")
}

// A template in YAML means what the same template in JSON means.
func TestYAML(t *testing.T) {
	const document = `
AWSTemplateFormatVersion: 2010-09-09
Parameters:
Mappings:
  Names:
    eu-central-1: {city: Frankfurt}
Conditions:
  Here: !Equals [!Ref AWS::Region, eu-central-1]
  There: !Not [!Condition Here]
Resources:
  Z:
    Type: T
  A:
    Type: T
    Properties:
      Short: [!Ref Z, !GetAtt Z.Arn, !GetAtt [Z, Arn], !Sub "${Z}-${AWS::Region}", !Join [",", [a, !Ref Z]]]
      Full:
        - Ref: Z
        - Fn::Sub: ["${V}", {V: !GetAtt Z.Arn}]
      Chosen: !If [Here, yes, no]
      City: !FindInMap [Names, !Ref "AWS::Region", city]
      First: !Select [0, !Split [",", "a,b"]]
      Coded: !Base64 x
      Scalars: [1, 1.50, 0123, 0x10, true, True, off, ~, "1", 2010-09-09, 1e3, <b&>]
      Text: |
        one
        two
    DependsOn: Z
Outputs:
  City:
    Value: !FindInMap [Names, !Ref "AWS::Region", city]
`
	s, err := standalone(t, "my_template.yaml", document)
	if err != nil {
		t.Fatal(err)
	}
	d := provision(t, s)
	if d.Stack != "my-template" || d.Resources[0].LogicalID != "Z" || d.Resources[1].Dir != s.Dir || d.Resources[1].Root != "" {
		t.Errorf("it is %+v", d)
	}
	raw, _ := json.Marshal(d.Resources[1].Properties)
	want := `{
		"Short": ["Z-ref", "arn:aws:test:::Z", "arn:aws:test:::Z", "Z-ref-eu-central-1", "a,Z-ref"],
		"Full": ["Z-ref", "arn:aws:test:::Z"],
		"Chosen": "yes", "City": "Frankfurt", "First": "a", "Coded": "eA==",
		"Scalars": [1, 1.50, "0123", "0x10", true, true, "off", "1", "2010-09-09", 1e3, "<b&>"],
		"Text": "one\ntwo\n"
	}`
	if !reflect.DeepEqual(parse(t, raw), parse(t, []byte(want))) {
		t.Errorf("got %s", raw)
	}
	if !strings.Contains(d.Template, "!If [Here, yes, no]") {
		t.Errorf("its text is %s", d.Template)
	}
}

func TestAStandaloneTemplateInJSON(t *testing.T) {
	s, err := standalone(t, "orders.template.json", `{"Resources": {"A": {"Type": "T"}}}`)
	if err != nil || s.Name != "orders-template" {
		t.Fatalf("%+v, %v", s, err)
	}
	if named, err := template.ReadTemplate(filepath.Join(s.Dir, "orders.template.json"), "Orders"); err != nil || named.Name != "Orders" {
		t.Errorf("%+v, %v", named, err)
	}
	if d := provision(t, s); d.Resources[0].PhysicalName != "orders-template-A" {
		t.Errorf("its resource is %+v", d.Resources[0])
	}
}

func TestYAMLThatIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no YAML":                {"a: [", "the template must be JSON or YAML: yaml: line 1: "},
		"nothing":                {"# nothing\n", "the template must be JSON or YAML: the file is empty"},
		"a text":                 {"hello", "cannot unmarshal string"},
		"several documents":      {"Resources: {}\n---\nResources: {}\n", "the file must have one YAML document, got several"},
		"an alias":               {"Resources:\n  A: &a {Type: T}\n  B: *a\n", "line 3: a template must have no aliases, because CloudFormation does not read them, got *a"},
		"a merge":                {"Resources:\n  A: {<<: {Type: T}}\n", "line 2: a template must have no merges (<<)"},
		"a key twice":            {"Resources:\n  A: {Type: T}\n  A: {Type: T}\n", "line 3: A must be there once, got two"},
		"a key that is a list":   {"Resources:\n  [a]: b\n", "line 2: a key must be a text"},
		"a loop":                 {"Resources:\n  Fn::ForEach::Topics: [T, [a], {}]\n", "Resources: Fn::ForEach::Topics: the local run does not support it: loops are not expanded locally"},
		"an unknown function":    {"Resources: {A: {Type: T, Properties: {X: !Foo bar}}}\n", "A (T): X.Fn::Foo: the local run does not know it"},
		"networks":               {"Resources: {A: {Type: T, Properties: {X: !Cidr [a, 1, 2]}}}\n", "X.Fn::Cidr: the local run does not support it: there are no networks locally"},
		"SAM":                    {"Transform: [AWS::Serverless-2016-10-31]\nResources: {A: {Type: AWS::Serverless::Function}}\n", "stack t: transform AWS::Serverless-2016-10-31: the local run does not support it: run `sam build`, translate .aws-sam/build/template.yaml to CloudFormation as docs/local.md shows, and name the result with --template"},
		"a nested stack":         {"Resources: {A: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: x}}}\n", "A (AWS::CloudFormation::Stack): nested stacks do not run here"},
		"a file that is missing": {"", "template of "},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := standalone(t, "t.yaml", c.text)
			if name == "a file that is missing" {
				_, err = template.ReadTemplate(filepath.Join(t.TempDir(), "none.yaml"), "")
			}
			if err == nil {
				_, err = s.Provision(t.Context(), environment, fakes("T"))
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %v, want one line with %q", err, c.want)
			}
		})
	}
}
