package template_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// TestProvisionsInDependencyOrder checks that each resource comes after those it refers to, and else in the template's
// order.
func TestProvisionsInDependencyOrder(t *testing.T) {
	s := stack(t, `{"Resources": {
		"Queue": {"Type": "T", "Properties": {"Dlq": {"Fn::GetAtt": ["Dlq", "Arn"]}}},
		"Rule": {"Type": "T", "Properties": {"Targets": [{"Arn": {"Fn::Sub": "${Queue.Arn}/${Bus}"}}]}, "DependsOn": ["Last"]},
		"Bus": {"Type": "T", "DependsOn": "Nested"},
		"Dlq": {"Type": "T"},
		"Nested": {"Type": "T", "Properties": {"A": {"Fn::Join": ["", [{"Fn::Select": [0, [{"Ref": "Deep"}]]}]]}}},
		"Deep": {"Type": "T"},
		"Last": {"Type": "T"},
		"Free": {"Type": "T"}
	}}`)
	for range 20 {
		d := provision(t, s)
		var order []string
		for _, r := range d.Resources {
			order = append(order, r.LogicalID)
		}
		if want := []string{"Dlq", "Queue", "Deep", "Nested", "Bus", "Last", "Rule", "Free"}; !slices.Equal(order, want) {
			t.Fatalf("order is %v, want %v", order, want)
		}
	}
}

func TestTemplatesThatCannotRun(t *testing.T) {
	for name, c := range map[string]struct{ template, want string }{
		"a circle": {
			`{"Resources": {"A": {"Type": "T", "DependsOn": "B"}, "B": {"Type": "T", "Properties": {"X": {"Ref": "C"}}}, "C": {"Type": "T", "Properties": {"X": {"Fn::Sub": "${A.Arn}"}}}}}`,
			"stack Orders-dev: the resources refer to each other in a circle: A → B → C → A",
		},
		"a circle of one": {`{"Resources": {"A": {"Type": "T", "Properties": {"X": {"Ref": "A"}}}}}`, "in a circle: A → A"},
		"an unknown dependency": {
			`{"Resources": {"A": {"Type": "T", "DependsOn": "B"}}}`,
			`A (T): DependsOn: there is no resource or parameter "B" in the template`,
		},
		"all unsupported types at once": {
			`{"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}, "A": {"Type": "T"}, "Vpc": {"Type": "AWS::EC2::VPC"}}}`,
			"stack Orders-dev: Bucket (AWS::S3::Bucket): the local run does not support this resource type\n" +
				"Vpc (AWS::EC2::VPC): the local run does not support this resource type",
		},
		"all unsupported intrinsics at once": {
			`{"Resources": {"A": {"Type": "T", "Properties": {"X": {"Fn::GetAZs": ""}, "Y": {"Fn::Cidr": []}}}}, "Outputs": {"O": {"Value": {"Fn::ImportValue": "x"}}}}`,
			"stack Orders-dev: A (T): X.Fn::GetAZs: the local run does not support it: there are no availability zones locally\n" +
				"A (T): Y.Fn::Cidr: the local run does not support it: there are no networks locally\n" +
				"output O: Fn::ImportValue: no stack of the run exports \"x\": add the stack that does, or a value with --stand-in export=x=VALUE",
		},
		"an id that is a path":       {`{"Resources": {"../../A": {"Type": "T"}}}`, `a logical id must be letters and digits, got "../../A"`},
		"a transform":                {`{"Transform": "AWS::Serverless-2016-10-31", "Resources": {}}`, "transform AWS::Serverless-2016-10-31: the local run does not support it: run `sam build`, translate"},
		"a macro with parameters":    {`{"Transform": [{"Name": "AWS::Include", "Parameters": {}}], "Resources": {}}`, "transform AWS::Include: the local run does not support it: macros run in AWS only: deploy the template once"},
		"a transform and a type":     {`{"Transform": "M", "Resources": {"B": {"Type": "AWS::S3::Bucket"}}}`, "macros run in AWS only: deploy the template once, and include in the CDK app (cloudformation-include) what `aws cloudformation get-template --template-stage Processed` returns\nB (AWS::S3::Bucket): the local run"},
		"a loop among properties":    {`{"Resources": {"A": {"Type": "T", "Properties": {"X": 1, "Fn::ForEach::Y": ["I", ["a"], {}]}}}}`, "A (T): Fn::ForEach::Y: the local run does not support it: loops are not expanded locally: write a loop in the CDK app"},
		"a macro of a property":      {`{"Resources": {"A": {"Type": "T", "Properties": {"X": {"Fn::Transform": {"Name": "M"}}}}}}`, "A (T): X.Fn::Transform: the local run does not support it: macros run in AWS only: deploy the template once"},
		"an unknown condition":       {`{"Resources": {"A": {"Type": "T", "Condition": "C"}}}`, "A: there is no condition C"},
		"a condition on resources":   {`{"Conditions": {"C": {"Fn::Equals": [{"Ref": "A"}, "x"]}}, "Resources": {"A": {"Type": "T", "Condition": "C"}}}`, "A: condition C: Fn::Equals: Ref: there is no resource or parameter A here"},
		"an output's condition":      {`{"Resources": {}, "Outputs": {"O": {"Condition": "C", "Value": 1}}}`, "output O: there is no condition C"},
		"an output that is a list":   {`{"Resources": {}, "Outputs": {"O": {"Value": [1]}}}`, "output O: the value must be a string"},
		"properties of a wrong type": {`{"Resources": {"A": {"Type": "T", "Properties": [1]}}}`, "A (T): Properties must be an object"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := stack(t, c.template).Provision(t.Context(), environment, fakes("T"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

func TestNothingIsCreatedFromATemplateThatCannotRun(t *testing.T) {
	created := 0
	_, err := stack(t, `{"Resources": {"A": {"Type": "T"}, "B": {"Type": "T", "Properties": {"X": {"Fn::ImportValue": "x"}}}}}`).Provision(
		t.Context(), environment, map[string]template.Provision{"T": func(context.Context, template.Resource) (template.Attributes, error) {
			created++
			return template.Attributes{}, nil
		}})
	if err == nil || created != 0 {
		t.Errorf("%d resources are created, error %v", created, err)
	}
}

func TestProvisionErrorsNameTheResource(t *testing.T) {
	taken := errors.New("port taken")
	_, err := stack(t, `{"Resources": {"Queue": {"Type": "T"}}}`).Provision(t.Context(), environment, map[string]template.Provision{
		"T": func(context.Context, template.Resource) (template.Attributes, error) {
			return template.Attributes{}, taken
		},
	})
	if !errors.Is(err, taken) || err.Error() != "Queue (T): port taken" {
		t.Errorf("error is %v", err)
	}
}

func TestProvisionStopsWhenItsContextIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	created := 0
	_, err := stack(t, `{"Resources": {"A": {"Type": "T"}, "B": {"Type": "T"}}}`).Provision(ctx, environment, map[string]template.Provision{
		"T": func(context.Context, template.Resource) (template.Attributes, error) {
			created++
			cancel()
			return template.Attributes{}, nil
		},
	})
	if !errors.Is(err, context.Canceled) || created != 1 {
		t.Errorf("%d resources are created, error %v", created, err)
	}
}

func TestConditionsChooseResourcesAndOutputs(t *testing.T) {
	d := provision(t, stack(t, `{
		"Conditions": {"Yes": {"Fn::Equals": [1, 1]}, "No": {"Fn::Equals": [1, 2]}},
		"Resources": {"A": {"Type": "T", "Condition": "Yes", "DependsOn": ["B"]}, "B": {"Type": "T", "Condition": "No"}, "C": {"Type": "AWS::S3::Bucket", "Condition": "No"}},
		"Outputs": {"Z": {"Condition": "Yes", "Description": "what A is", "Value": {"Ref": "A"}}, "Y": {"Condition": "No", "Value": {"Ref": "B"}}, "X": {"Value": 5}}
	}`))
	if len(d.Resources) != 1 || d.Resources[0].LogicalID != "A" || len(d.Skipped) != 0 {
		t.Errorf("resources are %v, skipped %v", d.Resources, d.Skipped)
	}
	want := []template.Output{{Name: "Z", Value: "A-ref", Description: "what A is"}, {Name: "X", Value: "5"}}
	if !slices.Equal(d.Outputs, want) {
		t.Errorf("outputs are %v, want %v", d.Outputs, want)
	}
}

func TestSkippedResourcesStillResolve(t *testing.T) {
	var env any
	d, err := stack(t, `{"Resources": {
		"Fn": {"Type": "T", "Properties": {"Env": [{"Ref": "Role"}, {"Fn::GetAtt": ["Role", "Arn"]}, {"Ref": "Topic"}, {"Fn::GetAtt": ["Key", "KeyId"]}, {"Fn::Sub": "${Logs.Arn}"}]}, "DependsOn": ["Role"]},
		"Role": {"Type": "AWS::IAM::Role", "Properties": {"X": {"Fn::ImportValue": "not looked at"}}, "Metadata": {"aws:cdk:path": "Orders-dev/Fn/ServiceRole/Resource"}},
		"Topic": {"Type": "AWS::SNS::Topic"}, "Key": {"Type": "AWS::KMS::Key"}, "Logs": {"Type": "AWS::Logs::LogGroup"}
	}}`).Provision(t.Context(), environment, map[string]template.Provision{
		"T": func(_ context.Context, r template.Resource) (template.Attributes, error) {
			env = r.Properties["Env"]
			return template.Attributes{}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []any{
		"Orders-dev-Role", "arn:aws:iam:eu-central-1:000000000000:role/Orders-dev-Role", "arn:aws:sns:eu-central-1:000000000000:topic/Orders-dev-Topic",
		"Orders-dev-Key-keyid", "arn:aws:logs:eu-central-1:000000000000:log-group:Orders-dev-Logs:*",
	}
	if !reflect.DeepEqual(env, want) {
		t.Errorf("got %v, want %v", env, want)
	}
	role := template.Skipped{LogicalID: "Role", Type: "AWS::IAM::Role", Name: "Fn/ServiceRole", Ref: "Orders-dev-Role", Reason: "only roles call anything locally, and with --iam=off they may do everything"}
	if len(d.Skipped) != 4 || d.Skipped[0] != role {
		t.Errorf("skipped are %v", d.Skipped)
	}
}

// What a custom domain needs on AWS and not here is skipped by name.
func TestCertificatesAndRecordsAreSkipped(t *testing.T) {
	d := provision(t, stack(t, `{"Resources": {
		"Certificate": {"Type": "AWS::CertificateManager::Certificate"}, "Zone": {"Type": "AWS::Route53::HostedZone"}, "Record": {"Type": "AWS::Route53::RecordSet", "Properties": {"HostedZoneId": {"Ref": "Zone"}}}
	}, "Outputs": {"Certificate": {"Value": {"Ref": "Certificate"}}}}`))
	var reasons []string
	for _, skipped := range d.Skipped {
		reasons = append(reasons, skipped.Reason)
	}
	if want := []string{"custom domains are served on loopback, without TLS", "names are resolved only by AWS", "names are resolved only by AWS"}; !slices.Equal(reasons, want) {
		t.Errorf("skipped are %q, want %q", reasons, want)
	}
	if arn := d.Outputs[0].Value; !strings.HasPrefix(arn, "arn:aws:") {
		t.Errorf("the certificate is %s", arn)
	}
}

func TestATypeThatIsProvisionedIsNotSkipped(t *testing.T) {
	d, err := stack(t, `{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}`).Provision(t.Context(), environment, fakes("AWS::SNS::Topic"))
	if err != nil || len(d.Resources) != 1 {
		t.Errorf("resources are %v, error %v", d, err)
	}
}

func TestResourcesHaveNames(t *testing.T) {
	long := strings.Repeat("Very", 16)
	d := provision(t, stack(t, fmt.Sprintf(`{"Resources": {
		"Queue": {"Type": "T", "Metadata": {"aws:cdk:path": "Orders-dev/Outbox/PublisherOne/Queue/Resource"}},
		"Default": {"Type": "T", "Metadata": {"aws:cdk:path": "Orders-dev/Api/Default"}},
		"Plain": {"Type": "T", "Metadata": {"aws:cdk:path": "Orders-dev/Plain"}},
		"NoPath": {"Type": "T"},
		"%[1]sA": {"Type": "T"}, "%[1]sB": {"Type": "T"}
	}}`, long)))
	names := map[string]bool{}
	for i, want := range []string{"Outbox/PublisherOne/Queue", "Api", "Plain", "NoPath"} {
		if got := d.Resources[i].Name; got != want {
			t.Errorf("name is %q, want %q", got, want)
		}
	}
	for _, r := range d.Resources {
		if len(r.PhysicalName) > 64 || names[r.PhysicalName] || !strings.HasPrefix(r.PhysicalName, "Orders-dev-"+r.LogicalID[:5]) {
			t.Errorf("physical name of %s is %s (%d characters)", r.LogicalID, r.PhysicalName, len(r.PhysicalName))
		}
		names[r.PhysicalName] = true
	}
}

func TestFind(t *testing.T) {
	d, err := stack(t, `{"Resources": {"Table": {"Type": "T"}, "Queue": {"Type": "T"}}}`).Provision(t.Context(), environment, map[string]template.Provision{
		"T": func(_ context.Context, r template.Resource) (template.Attributes, error) {
			return template.Attributes{
				Ref:    map[string]string{"Table": "Queue", "Queue": "http://queue"}[r.LogicalID],
				GetAtt: map[string]string{"Arn": "arn:aws:test:::" + r.LogicalID, "StreamArn": "arn:aws:test:::" + r.LogicalID + "/stream", "Name": "same"},
			}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for reference, want := range map[string]string{
		"Table": "Table", "Queue": "Queue", "http://queue": "Queue", "arn:aws:test:::Table": "Table", "arn:aws:test:::Table/stream": "Table", "same": "", "": "",
	} {
		if got, ok := d.Find(reference); got.LogicalID != want || ok != (want != "") {
			t.Errorf("%q finds %q, want %q", reference, got.LogicalID, want)
		}
	}
}
