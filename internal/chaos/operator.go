package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	pipetypes "github.com/aws/aws-sdk-go-v2/service/pipes/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/internal/operate"
)

// desk is what an operator works with: the AWS clients, and what the command finds out about the stack.
type desk struct {
	operate.Clients
	pipes  *pipes.Client
	lambda *lambda.Client
	bus    *eventbridge.Client
	sqs    *sqs.Client

	outbox *operate.Outbox
	region string
}

// openDesk finds out about the stack that runs. A run that was started again has other ports.
func openDesk(ctx context.Context, run *localrun.Run, stack string) (*desk, error) {
	c := run.Cloud()
	cfg := aws.Config{
		Region: c.Region, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		BaseEndpoint: aws.String(c.Endpoint(cloud.Others)),
	}
	d := &desk{pipes: pipes.NewFromConfig(cfg), lambda: lambda.NewFromConfig(cfg), bus: c.EventBridge(), sqs: c.SQS(), region: c.Region}
	d.Clients = operate.Clients{
		CloudFormation: cloudformation.NewFromConfig(cfg), SSM: ssm.NewFromConfig(cfg), CloudWatch: cloudwatch.NewFromConfig(cfg),
		Pipes: d.pipes, Lambda: d.lambda, EventBridge: d.bus, SQS: d.sqs, DynamoDB: c.DynamoDB(), Streams: c.Streams(), Where: "the local run",
	}
	found, err := operate.Discover(ctx, d.Clients, stack)
	if err != nil {
		return nil, err
	}
	d.outbox, err = found.Outbox("")
	return d, err
}

func (d *desk) consumer(name string) (*operate.Consumer, error) {
	return operate.FindConsumer(d.outbox.Consumers, name)
}

// An operator makes a mistake and puts it right, as people do: through the APIs of AWS.
type operator struct {
	cluster *cluster
	log     *history.Log
	stack   string
	mistake Mistake

	filter *pipetypes.FilterCriteria // of the pipe, while it is another
}

// begin makes the mistake.
func (o *operator) begin(ctx context.Context) error {
	return o.act(ctx, false, map[string]action{
		check.PipeStopped:     stopPipe,
		check.FilterBroken:    o.breakFilter,
		check.RuleDisabled:    disableRule,
		check.QueuePurged:     disableMapping,
		check.MappingDisabled: disableMapping,
	})
}

// end puts it right.
func (o *operator) end(ctx context.Context) error {
	return o.act(ctx, true, map[string]action{
		check.PipeStopped:     startPipe,
		check.FilterBroken:    o.putFilterBack,
		check.RuleDisabled:    enableRule,
		check.QueuePurged:     purgeAndGoOn,
		check.MappingDisabled: enableMapping,
	})
}

// An action is one request or a few. The consumer is nil where the mistake concerns all.
type action func(context.Context, *desk, *operate.Consumer) error

// act does what belongs to the mistake. A request that meets a fault is repeated, as a person repeats it.
func (o *operator) act(ctx context.Context, over bool, actions map[string]action) error {
	began := time.Now()
	defer func() {
		o.log.Mistake(history.Mistake{Kind: o.mistake.Kind, Consumer: o.mistake.Consumer, Over: over, Began: began})
	}()
	act, known := actions[o.mistake.Kind]
	if !known {
		return fmt.Errorf("mistake must be one of %s, got %q", strings.Join(check.Mistakes, ", "), o.mistake.Kind)
	}
	var err error
	for n := 1; n <= maxTries; n++ {
		if err = o.try(ctx, act); err == nil {
			return nil
		}
		if waited := pause(ctx, n); waited != nil {
			return errors.Join(err, waited)
		}
	}
	return fmt.Errorf("%s: %w", o.mistake.Kind, err)
}

func (o *operator) try(ctx context.Context, act action) error {
	run, err := o.cluster.current(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d, err := openDesk(ctx, run, o.stack)
	if err != nil {
		return err
	}
	var consumer *operate.Consumer
	if o.mistake.Consumer != "" {
		if consumer, err = d.consumer(o.mistake.Consumer); err != nil {
			return err
		}
	}
	return act(ctx, d, consumer)
}

func stopPipe(ctx context.Context, d *desk, _ *operate.Consumer) error {
	_, err := d.pipes.StopPipe(ctx, &pipes.StopPipeInput{Name: &d.outbox.Pipe})
	return err
}

func startPipe(ctx context.Context, d *desk, _ *operate.Consumer) error {
	_, err := d.pipes.StartPipe(ctx, &pipes.StartPipeInput{Name: &d.outbox.Pipe})
	return err
}

// nothing is a pattern that no record matches.
const nothing = `{"eventName":["INSERTED"]}`

func (o *operator) breakFilter(ctx context.Context, d *desk, _ *operate.Consumer) error {
	out, err := d.pipes.DescribePipe(ctx, &pipes.DescribePipeInput{Name: &d.outbox.Pipe})
	if err != nil {
		return err
	}
	if o.filter == nil {
		o.filter = out.SourceParameters.FilterCriteria
	}
	return setFilter(ctx, d, out.RoleArn, &pipetypes.FilterCriteria{Filters: []pipetypes.Filter{{Pattern: aws.String(nothing)}}})
}

func (o *operator) putFilterBack(ctx context.Context, d *desk, _ *operate.Consumer) error {
	out, err := d.pipes.DescribePipe(ctx, &pipes.DescribePipeInput{Name: &d.outbox.Pipe})
	if err != nil {
		return err
	}
	return setFilter(ctx, d, out.RoleArn, o.filter)
}

func setFilter(ctx context.Context, d *desk, role *string, filter *pipetypes.FilterCriteria) error {
	_, err := d.pipes.UpdatePipe(ctx, &pipes.UpdatePipeInput{
		Name: &d.outbox.Pipe, RoleArn: role, SourceParameters: &pipetypes.UpdatePipeSourceParameters{FilterCriteria: filter},
	})
	return err
}

func disableRule(ctx context.Context, d *desk, c *operate.Consumer) error {
	_, err := d.bus.DisableRule(ctx, &eventbridge.DisableRuleInput{Name: &c.Rule, EventBusName: &c.Bus})
	return err
}

func enableRule(ctx context.Context, d *desk, c *operate.Consumer) error {
	_, err := d.bus.EnableRule(ctx, &eventbridge.EnableRuleInput{Name: &c.Rule, EventBusName: &c.Bus})
	return err
}

func disableMapping(ctx context.Context, d *desk, c *operate.Consumer) error {
	return setMapping(ctx, d, c, false)
}

func enableMapping(ctx context.Context, d *desk, c *operate.Consumer) error {
	return setMapping(ctx, d, c, true)
}

func setMapping(ctx context.Context, d *desk, c *operate.Consumer, enabled bool) error {
	_, err := d.lambda.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: &c.Mapping, Enabled: &enabled})
	return err
}

// purgeAndGoOn purges the queue in which events have gathered, and enables the mapping again.
func purgeAndGoOn(ctx context.Context, d *desk, c *operate.Consumer) error {
	if _, err := d.sqs.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: &c.Queue}); err != nil {
		return err
	}
	return enableMapping(ctx, d, c)
}
