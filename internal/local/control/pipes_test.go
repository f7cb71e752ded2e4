package control_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	"github.com/aws/aws-sdk-go-v2/service/pipes/types"
)

const withPipe = `{"Resources": {"Pipe": {"Type": "AWS::Pipes::Pipe", "Properties": {
  "Source": "arn:aws:dynamodb:eu-west-1:000000000000:table/T/stream/1", "Target": "arn:aws:events:eu-west-1:000000000000:event-bus/B", "RoleArn": "arn:aws:iam::000000000000:role/r",
  "SourceParameters": {"DynamoDBStreamParameters": {"StartingPosition": "LATEST", "BatchSize": 5}, "FilterCriteria": {"Filters": [{"Pattern": "{\"eventName\":[\"INSERT\"]}"}]}},
  "TargetParameters": {"EventBridgeEventBusParameters": {"Source": "orders", "DetailType": "x"}}
}}}}`

func TestPipes(t *testing.T) {
	e := start(t)
	d := e.deploy(t, withPipe)
	client, name := pipes.NewFromConfig(e.config), &d.Resources[0].Ref
	describe := func() *pipes.DescribePipeOutput {
		t.Helper()
		out, err := client.DescribePipe(t.Context(), &pipes.DescribePipeInput{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	p := describe()
	if *p.Name != *name || p.CurrentState != types.PipeStateRunning || p.DesiredState != types.RequestedPipeStateDescribeResponseRunning ||
		*p.SourceParameters.DynamoDBStreamParameters.BatchSize != 5 || *p.SourceParameters.FilterCriteria.Filters[0].Pattern != `{"eventName":["INSERT"]}` ||
		*p.TargetParameters.EventBridgeEventBusParameters.Source != "orders" || *p.RoleArn != "arn:aws:iam::000000000000:role/r" {
		t.Errorf("got %+v", p)
	}
	stopped, err := client.StopPipe(t.Context(), &pipes.StopPipeInput{Name: name})
	if err != nil || stopped.CurrentState != types.PipeStateStopped {
		t.Fatalf("stop: %+v, %v", stopped, err)
	}
	if p := describe(); p.CurrentState != types.PipeStateStopped || aws.ToString(p.StateReason) == "" {
		t.Errorf("stopped: %s, %s", p.CurrentState, aws.ToString(p.StateReason))
	}
	for state, want := range map[types.PipeState]int{types.PipeStateStopped: 1, types.PipeStateRunning: 0} {
		all, err := client.ListPipes(t.Context(), &pipes.ListPipesInput{CurrentState: state})
		if err != nil || len(all.Pipes) != want {
			t.Errorf("pipes that are %s: %+v, %v", state, all, err)
		}
	}
	started, err := client.StartPipe(t.Context(), &pipes.StartPipeInput{Name: name})
	if err != nil || started.CurrentState != types.PipeStateRunning {
		t.Errorf("start: %+v, %v", started, err)
	}

	update := func(patterns ...string) error {
		criteria := &types.FilterCriteria{Filters: []types.Filter{}}
		for _, pattern := range patterns {
			criteria.Filters = append(criteria.Filters, types.Filter{Pattern: &pattern})
		}
		_, err := client.UpdatePipe(t.Context(), &pipes.UpdatePipeInput{
			Name: name, RoleArn: p.RoleArn, SourceParameters: &types.UpdatePipeSourceParameters{FilterCriteria: criteria},
		})
		return err
	}
	if err := update(`{"eventName":["NOTHING"]}`); err != nil {
		t.Fatal(err)
	}
	if p := describe(); *p.SourceParameters.FilterCriteria.Filters[0].Pattern != `{"eventName":["NOTHING"]}` || p.CurrentState != types.PipeStateRunning {
		t.Errorf("the new filter: %+v", p.SourceParameters)
	}
	var invalid *types.ValidationException
	if err := update(`{"eventName":"x"}`); !errors.As(err, &invalid) {
		t.Errorf("a broken pattern: %v", err)
	}
	if _, err := client.UpdatePipe(t.Context(), &pipes.UpdatePipeInput{Name: name, RoleArn: p.RoleArn, DesiredState: types.RequestedPipeStateStopped}); err != nil || describe().CurrentState != types.PipeStateStopped {
		t.Errorf("the desired state: %v", err)
	}
	_, err = client.UpdatePipe(t.Context(), &pipes.UpdatePipeInput{Name: name, RoleArn: p.RoleArn, Target: aws.String("arn:aws:sqs:eu-west-1:000000000000:q")})
	if !errors.As(err, &invalid) || !strings.Contains(err.Error(), "Target") {
		t.Errorf("another target: %v", err)
	}
	var missing *types.NotFoundException
	if _, err := client.DescribePipe(t.Context(), &pipes.DescribePipeInput{Name: aws.String("nothing")}); !errors.As(err, &missing) {
		t.Errorf("an unknown one: %v", err)
	}
}
