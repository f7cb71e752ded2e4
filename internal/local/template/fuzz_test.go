package template

import (
	"context"
	"strings"
	"testing"
)

// FuzzTemplate looks for templates that make reading or provisioning panic, or that have two different results. It does
// not use the disk, which would make it ten times slower.
func FuzzTemplate(f *testing.F) {
	for _, document := range []string{
		`{"Resources": {"A": {"Type": "T", "Properties": {"X": {"Fn::If": ["C", {"Fn::Sub": ["${B.Arn}${!x}${y}", {"y": 1}]}, {"Ref": "AWS::NoValue"}]}}}, "B": {"Type": "AWS::IAM::Role"}},
			"Conditions": {"C": {"Fn::Or": [{"Fn::Equals": [1, {"Ref": "P"}]}, {"Condition": "D"}]}, "D": {"Fn::Not": [{"Condition": "C"}]}}, "Parameters": {"P": {"Type": "Number", "Default": 1}}}`,
		`{"Resources": {"A": {"Type": "T", "DependsOn": "B"}, "B": {"Type": "T", "Properties": {"X": {"Fn::GetAtt": ["A", "Arn"]}}}}}`,
		`{"Outputs": {"O": {"Value": {"Fn::Select": [0, {"Fn::Split": [",", {"Fn::Join": ["", ["a", {"Fn::Base64": "b"}]]}]}]}}}, "Mappings": {"M": {"a": {"b": ["c"]}}}}`,
		`{"Outputs": {"O": {"Value": {"Fn::ToJsonString": [{"Fn::FindInMap": ["M", "a", "b"]}, {"Fn::Length": [1]}]}}}, "Mappings": {"M": {"a": {"b": ["c"]}}}, "Transform": "AWS::LanguageExtensions"}`,
	} {
		f.Add([]byte(document))
	}
	provisions := map[string]Provision{"T": func(_ context.Context, r Resource) (Attributes, error) {
		return Attributes{Ref: r.PhysicalName, GetAtt: map[string]string{"Arn": "arn:" + r.LogicalID}}, nil
	}}
	f.Fuzz(func(t *testing.T, document []byte) {
		run := func() string {
			s := &Stack{ID: "S", Name: "S", DisplayName: "S"}
			if err := decode(document, &s.template); err != nil {
				return err.Error()
			}
			d, err := s.Provision(t.Context(), Environment{Account: "000000000000", Region: "eu-central-1"}, provisions)
			if err != nil {
				return err.Error()
			}
			var b strings.Builder
			for _, r := range d.Resources {
				b.WriteString(r.LogicalID + " " + r.Name + " " + r.PhysicalName + "\n")
			}
			for _, o := range d.Outputs {
				b.WriteString(o.Name + "=" + o.Value + "\n")
			}
			return b.String()
		}
		if first, again := run(), run(); first != again {
			t.Fatalf("%s gives %q, then %q", document, first, again)
		}
	})
}
