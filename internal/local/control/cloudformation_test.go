package control_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const body = `{
  "Resources": {
    "Name": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/a <b>", "Type": "String", "Value": "x"}, "Metadata": {"aws:cdk:path": "S/Name/Resource"}},
    "Role": {"Type": "AWS::IAM::Role", "Properties": {}}
  },
  "Outputs": {"Api": {"Value": "https://aws.example/", "Description": "a & b"}, "Name": {"Value": {"Ref": "Name"}}}
}
`

// deploy provisions a stack by the template body.
func (e *endpoint) deploy(t *testing.T, body string) *template.Deployment {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"manifest.json":   `{"version": "36.0.0", "artifacts": {"S": {"type": "aws:cloudformation:stack", "environment": "aws://unknown-account/unknown-region", "properties": {"templateFile": "S.template.json"}}}}`,
		"S.template.json": body,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	assembly, err := template.ReadAssembly(dir)
	if err != nil {
		t.Fatal(err)
	}
	stack, err := assembly.Stack("S")
	if err != nil {
		t.Fatal(err)
	}
	d, err := stack.Provision(context.Background(), template.Environment{Account: "000000000000", Region: "eu-west-1"}, e.Provisions())
	if err != nil {
		t.Fatal(err)
	}
	e.Deployed(d, func(s string) string { return strings.ReplaceAll(s, "https://aws.example", "http://127.0.0.1:4510") })
	return d
}

func TestStack(t *testing.T) {
	e := start(t)
	client := cloudformation.NewFromConfig(e.config)
	if out, err := client.DescribeStacks(t.Context(), nil); err != nil || len(out.Stacks) != 0 {
		t.Fatalf("before the deployment: %v, %v", out, err)
	}
	e.deploy(t, body)
	name := aws.String("S")

	out, err := client.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: name})
	if err != nil {
		t.Fatal(err)
	}
	s := out.Stacks[0]
	if *s.StackName != "S" || s.StackStatus != types.StackStatusCreateComplete || s.CreationTime.IsZero() || len(s.Outputs) != 2 {
		t.Errorf("got %+v", s)
	}
	if o := s.Outputs[0]; *o.OutputKey != "Api" || *o.OutputValue != "http://127.0.0.1:4510/" || *o.Description != "a & b" {
		t.Errorf("the output is %s = %s (%s)", *o.OutputKey, *o.OutputValue, *o.Description)
	}
	byID, err := client.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: s.StackId})
	if err != nil || len(byID.Stacks) != 1 {
		t.Errorf("by the id %s: %v", *s.StackId, err)
	}
	if all, err := client.DescribeStacks(t.Context(), nil); err != nil || len(all.Stacks) != 1 {
		t.Errorf("all: %v, %v", all, err)
	}

	pages := cloudformation.NewListStackResourcesPaginator(client, &cloudformation.ListStackResourcesInput{StackName: name})
	page, err := pages.NextPage(t.Context())
	if err != nil || pages.HasMorePages() {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range page.StackResourceSummaries {
		got[*r.LogicalResourceId] = *r.ResourceType + " " + *r.PhysicalResourceId + " " + string(r.ResourceStatus)
	}
	if got["Name"] != "AWS::SSM::Parameter /a <b> CREATE_COMPLETE" || got["Role"] != "AWS::IAM::Role S-Role CREATE_COMPLETE" {
		t.Errorf("the resources are %v", got)
	}

	described, err := client.DescribeStackResources(t.Context(), &cloudformation.DescribeStackResourcesInput{PhysicalResourceId: aws.String("/a <b>")})
	if err != nil || len(described.StackResources) != 2 || *described.StackResources[0].StackName != "S" {
		t.Errorf("by the physical id: %v, %v", described, err)
	}
	detail, err := client.DescribeStackResource(t.Context(), &cloudformation.DescribeStackResourceInput{StackName: name, LogicalResourceId: aws.String("Name")})
	if err != nil || !strings.Contains(*detail.StackResourceDetail.Metadata, "S/Name/Resource") {
		t.Errorf("the detail: %v, %v", detail, err)
	}
	whole, err := client.GetTemplate(t.Context(), &cloudformation.GetTemplateInput{StackName: name})
	if err != nil || *whole.TemplateBody != body {
		t.Errorf("the template: %v, %v", whole, err)
	}
	listed, err := client.ListStacks(t.Context(), &cloudformation.ListStacksInput{StackStatusFilter: []types.StackStatus{types.StackStatusDeleteComplete}})
	if err != nil || len(listed.StackSummaries) != 0 {
		t.Errorf("deleted stacks: %v, %v", listed, err)
	}
	listed, err = client.ListStacks(t.Context(), &cloudformation.ListStacksInput{StackStatusFilter: []types.StackStatus{types.StackStatusDeleteComplete, types.StackStatusCreateComplete}})
	if err != nil || len(listed.StackSummaries) != 1 {
		t.Errorf("complete stacks: %v, %v", listed, err)
	}
}

func TestUnknownStack(t *testing.T) {
	e := start(t)
	e.deploy(t, body)
	client := cloudformation.NewFromConfig(e.config)
	_, err := client.ListStackResources(t.Context(), &cloudformation.ListStackResourcesInput{StackName: aws.String("Other")})
	if err == nil || !strings.Contains(err.Error(), "ValidationError: Stack with id Other does not exist") {
		t.Errorf("got %v", err)
	}
	_, err = client.DescribeStackResource(t.Context(), &cloudformation.DescribeStackResourceInput{StackName: aws.String("S"), LogicalResourceId: aws.String("Nothing")})
	if err == nil || !strings.Contains(err.Error(), "ValidationError") {
		t.Errorf("got %v", err)
	}
}
