package main

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/internal/operate"
)

// described stands in for a stack whose resources are parameters: values by name.
type described struct {
	operate.CloudFormation
	operate.SSM

	values map[string]string
}

func (d described) ListStackResources(context.Context, *cloudformation.ListStackResourcesInput, ...func(*cloudformation.Options)) (*cloudformation.ListStackResourcesOutput, error) {
	out := &cloudformation.ListStackResourcesOutput{}
	for name := range d.values {
		out.StackResourceSummaries = append(out.StackResourceSummaries, cftypes.StackResourceSummary{
			ResourceType: aws.String("AWS::SSM::Parameter"), PhysicalResourceId: &name,
		})
	}
	return out, nil
}

func (d described) GetParameters(_ context.Context, in *ssm.GetParametersInput, _ ...func(*ssm.Options)) (*ssm.GetParametersOutput, error) {
	out := &ssm.GetParametersOutput{}
	for _, name := range in.Names {
		out.Parameters = append(out.Parameters, ssmtypes.Parameter{Name: &name, Value: aws.String(d.values[name])})
	}
	return out, nil
}

// twoOutboxes are the outboxes A and B, each with a consumer Ship.
func twoOutboxes(t *testing.T) operate.Clients {
	t.Helper()
	values := map[string]string{}
	for _, id := range []string{"A", "B"} {
		at := description.Prefix + "Orders/" + id
		for name, value := range map[string]any{
			at + "/outbox":        description.Outbox{Version: "1", Path: "Orders/" + id, RuleDeadLetterQueue: id + "-rules"},
			at + "/consumer/Ship": description.Consumer{Version: "1", ID: "Ship", Name: "Orders/" + id + "/Ship", Pattern: []byte(`{}`), DeadLetterQueue: id + "-ship"},
		} {
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			values[name] = string(text)
		}
	}
	d := described{values: values}
	return operate.Clients{CloudFormation: d, SSM: d}
}

// TestOutboxMeansNoOther: what --outbox leaves out is no command's business, whether it asks for one outbox or for the stack.
func TestOutboxMeansNoOther(t *testing.T) {
	for outbox, want := range map[string]int{"": 2, "B": 1} {
		f := stackFlags{stack: "Orders", outbox: outbox}
		stack, err := f.find(t.Context(), twoOutboxes(t))
		if err != nil || len(stack.Outboxes) != want || len(stack.Consumers) != want {
			t.Fatalf("--outbox %q: got %+v (%v), want %d outboxes and consumers", outbox, stack, err, want)
		}
		if got := len(stack.DeadLetterQueues()); got != 2*want {
			t.Errorf("--outbox %q: %d dead-letter queues, want the rules' and the consumer's of each", outbox, got)
		}
	}
	f := stackFlags{stack: "Orders", outbox: "C"}
	if stack, err := f.find(t.Context(), twoOutboxes(t)); err == nil {
		t.Errorf("--outbox C: got %+v, want an error", stack)
	}
}
