package template_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

var environment = template.Environment{Account: "000000000000", Region: "eu-central-1"}

// surroundingTemplate is the template around each of the values of testdata/intrinsics.json.
const surroundingTemplate = `{
	"Parameters": {
		"Stage": {"Type": "String", "Default": "dev"},
		"Count": {"Type": "Number", "Default": 3},
		"Zones": {"Type": "CommaDelimitedList", "Default": "a, b,c"},
		"BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/cdk-bootstrap/hnb659fds/version"}
	},
	"Mappings": {"RegionMap": {"eu-central-1": {"Name": "Frankfurt"}}},
	"Conditions": {
		"IsDev": {"Fn::Equals": [{"Ref": "Stage"}, "dev"]},
		"IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
		"IsThree": {"Fn::Equals": [{"Ref": "Count"}, 3]},
		"Both": {"Fn::And": [{"Condition": "IsDev"}, {"Condition": "IsProd"}]},
		"Either": {"Fn::Or": [{"Condition": "IsProd"}, {"Condition": "IsDev"}]},
		"AllTrue": {"Fn::And": [{"Condition": "IsDev"}, {"Condition": "IsThree"}]},
		"NoneTrue": {"Fn::Or": [{"Condition": "IsProd"}, {"Condition": "Both"}]},
		"Neither": {"Fn::Not": [{"Condition": "Either"}]},
		"Hen": {"Fn::Not": [{"Condition": "Egg"}]},
		"Egg": {"Fn::Not": [{"Condition": "Hen"}]}
	},
	"Resources": {
		"Probe": {"Type": "Test::Probe", "Properties": {"Value": %s}},
		"OnlyProd": {"Type": "Test::Other", "Condition": "IsProd"},
		"Other": {"Type": "Test::Other"}
	},
	"Rules": {"CheckBootstrapVersion": {"Assertions": [{"Assert": {"Fn::Not": [{"Fn::Contains": [["1"], {"Ref": "BootstrapVersion"}]}]}}]}}
}`

func TestIntrinsics(t *testing.T) {
	type group struct {
		Source string
		Cases  []struct {
			Name        string
			Value, Want json.RawMessage
			Error       string
		}
	}
	for _, g := range read[[]group](t, "testdata/intrinsics.json") {
		t.Run(g.Source, func(t *testing.T) {
			for _, c := range g.Cases {
				t.Run(c.Name, func(t *testing.T) {
					var got any
					_, err := stack(t, fmt.Sprintf(surroundingTemplate, c.Value)).Provision(t.Context(), environment, map[string]template.Provision{
						"Test::Probe": func(_ context.Context, r template.Resource) (template.Attributes, error) {
							got = r.Properties["Value"]
							return template.Attributes{}, nil
						},
						"Test::Other": func(context.Context, template.Resource) (template.Attributes, error) {
							return template.Attributes{Ref: "other-ref", GetAtt: map[string]string{"Arn": "arn:aws:test:::other", "Outputs.Name": "dotted"}}, nil
						},
					})
					if c.Error != "" {
						if err == nil || !strings.Contains(err.Error(), c.Error) {
							t.Fatalf("error is %v, want %q", err, c.Error)
						}
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					raw, err := json.Marshal(got)
					if err != nil {
						t.Fatal(err)
					}
					if !reflect.DeepEqual(parse(t, raw), parse(t, c.Want)) {
						t.Errorf("got %s, want %s", raw, c.Want)
					}
				})
			}
		})
	}
}

// stack writes an assembly with one stack, Orders-dev, and reads it.
func stack(t testing.TB, document string) *template.Stack {
	t.Helper()
	dir := t.TempDir()
	manifest := `{"version": "53.0.0", "artifacts": {"Orders-dev": {"type": "aws:cloudformation:stack",
		"environment": "aws://unknown-account/unknown-region", "properties": {"templateFile": "template.json"}}}}`
	write(t, filepath.Join(dir, "manifest.json"), manifest)
	write(t, filepath.Join(dir, "template.json"), document)
	a, err := template.ReadAssembly(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Stack("")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fakes returns Provisions for the types, whose attributes show the logical id.
func fakes(types ...string) map[string]template.Provision {
	all := map[string]template.Provision{}
	for _, resourceType := range types {
		all[resourceType] = func(_ context.Context, r template.Resource) (template.Attributes, error) {
			return template.Attributes{Ref: r.LogicalID + "-ref", GetAtt: map[string]string{
				"Arn": "arn:aws:test:::" + r.LogicalID, "StreamArn": "arn:aws:test:::" + r.LogicalID + "/stream", "RootResourceId": "root", "QueueName": r.LogicalID,
			}}, nil
		}
	}
	return all
}

func provision(t *testing.T, s *template.Stack) *template.Deployment {
	t.Helper()
	d, err := s.Provision(t.Context(), environment, fakes("T"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func write(t testing.TB, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read[T any](t testing.TB, file string) T {
	t.Helper()
	var value T
	raw, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(raw, &value)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return value
}

func parse(t testing.TB, raw []byte) any {
	t.Helper()
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return value
}
