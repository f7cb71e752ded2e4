package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/description"
)

// A Surveyor looks at a stack again and again. What changes once a minute it asks for no more often.
type Surveyor struct {
	clients Clients
	stack   *Stack
	command CommandLine

	deployed   Reading[time.Time] // when the stack was deployed last
	metrics    *metricsReading
	readingsAt time.Time
}

// NewSurveyor returns a Surveyor of the stack, whose advice is in the words of the command line.
func NewSurveyor(c Clients, s *Stack, command CommandLine) *Surveyor {
	return &Surveyor{clients: c, stack: s, command: command}
}

// requestsAtOnce is how many requests are under way at the same time.
const requestsAtOnce = 16

// metricsEvery is how long metrics are used again. CloudWatch has them by the minute, and takes money for each it is asked for.
const metricsEvery = 30 * time.Second

// Survey looks at everything once. What cannot be read is in the status with the reason; the error is the context's.
func (v *Surveyor) Survey(ctx context.Context) (*Status, error) {
	s := &Status{Stack: v.stack.Name, Where: v.clients.Where, At: time.Now().UTC().Truncate(time.Millisecond), Needs: []Need{}}
	s.Outboxes = make([]OutboxStatus, len(v.stack.Outboxes))
	var jobs errgroup.Group
	jobs.SetLimit(requestsAtOnce)
	fresh := v.metrics == nil || s.At.Sub(v.readingsAt) >= metricsEvery
	if fresh { // first, because they take the longest
		jobs.Go(func() error { v.metrics = v.readMetrics(ctx, s.At); return nil })
		jobs.Go(func() error { v.deployed = v.lastDeployment(ctx); return nil })
		v.readingsAt = s.At
	}
	jobs.Go(func() error { s.Alarms = v.alarmsOn(ctx); return nil })
	for i, o := range v.stack.Outboxes {
		v.surveyOutbox(ctx, &jobs, o, &s.Outboxes[i])
	}
	for _, c := range v.stack.Consumers {
		if c.Outbox == nil {
			s.Imported = append(s.Imported, ConsumerStatus{})
		}
	}
	next := 0
	for _, c := range v.stack.Consumers {
		if c.Outbox == nil {
			v.surveyConsumer(ctx, &jobs, c, &s.Imported[next])
			next++
		}
	}
	_ = jobs.Wait() // the jobs put their errors into the status
	if v.metrics.err != "" {
		v.readingsAt = time.Time{} // ask again the next time
	}
	v.metrics.fill(s, v.stack)
	s.Needs = append(s.Needs, v.needs(s)...)
	return s, ctx.Err()
}

// surveyOutbox starts the requests for an outbox and its consumers.
func (v *Surveyor) surveyOutbox(ctx context.Context, jobs *errgroup.Group, o *Outbox, s *OutboxStatus) {
	s.Path = o.Path
	if h := o.Heartbeat; h != nil {
		s.Heartbeat = &HeartbeatStatus{
			MaximumLagSeconds: seconds(h.MaximumLagSeconds), Schedule: v.surveyRule(ctx, jobs, "", h.Schedule), Rule: v.surveyRule(ctx, jobs, o.Bus, h.Rule),
		}
	}
	if a := o.Audit; a != nil {
		s.Audit = &AuditStatus{
			ConfirmWithinSeconds: seconds(a.ConfirmWithinSeconds), AlarmAfterSeconds: seconds(a.AlarmAfterSeconds), RepairPerMinute: a.RepairPerMinute,
			Schedule: v.surveyRule(ctx, jobs, "", a.Schedule),
		}
		into(ctx, jobs, &s.Audit.DeadLetters, func(ctx context.Context) (int64, error) { return v.messages(ctx, a.DeadLetterQueue) })
	}
	into(ctx, jobs, &s.Pipe, func(ctx context.Context) (Part, error) { return v.pipe(ctx, o.Pipe) })
	into(ctx, jobs, &s.PipeDeadLetters, func(ctx context.Context) (int64, error) { return v.messages(ctx, o.PipeDeadLetterQueue) })
	into(ctx, jobs, &s.RuleDeadLetters, func(ctx context.Context) (int64, error) { return v.messages(ctx, o.RuleDeadLetterQueue) })
	s.Consumers = make([]ConsumerStatus, len(o.Consumers))
	for i, c := range o.Consumers {
		v.surveyConsumer(ctx, jobs, c, &s.Consumers[i])
	}
}

// surveyRule starts the request for a rule, if its name is known. No bus is the default one.
func (v *Surveyor) surveyRule(ctx context.Context, jobs *errgroup.Group, bus, name string) *Reading[Part] {
	if name == "" {
		return nil
	}
	r := &Reading[Part]{}
	into(ctx, jobs, r, func(ctx context.Context) (Part, error) { return v.rule(ctx, bus, name) })
	return r
}

// surveyConsumer starts the requests for a consumer, for those of its parts that its description names.
func (v *Surveyor) surveyConsumer(ctx context.Context, jobs *errgroup.Group, c *Consumer, s *ConsumerStatus) {
	s.Consumer, s.Name, s.of = c.Label(), c.Name, c
	if c.Mapping != "" {
		s.Mapping = &Reading[Part]{}
		into(ctx, jobs, s.Mapping, func(ctx context.Context) (Part, error) { return v.mapping(ctx, c.Mapping) })
	}
	if c.Rule != "" {
		s.Rule = &Reading[Part]{}
		into(ctx, jobs, s.Rule, func(ctx context.Context) (Part, error) { return v.rule(ctx, c.Bus, c.Rule) })
	}
	if c.Queue != "" {
		s.Queue, s.OldestAge = &Reading[Depth]{}, &Reading[Age]{}
		into(ctx, jobs, s.Queue, func(ctx context.Context) (Depth, error) { return v.depth(ctx, c.Queue) })
	}
	if c.DeadLetterQueue != "" {
		s.DeadLetters = &Reading[int64]{}
		into(ctx, jobs, s.DeadLetters, func(ctx context.Context) (int64, error) { return v.messages(ctx, c.DeadLetterQueue) })
	}
	if c.Outbox == nil && c.RuleDeadLetterQueue != "" {
		s.RuleDeadLetters = &Reading[int64]{}
		into(ctx, jobs, s.RuleDeadLetters, func(ctx context.Context) (int64, error) { return v.messages(ctx, c.RuleDeadLetterQueue) })
	}
	if a := auditOf(c); a != nil && c.Name != "" {
		s.Unconfirmed = &Reading[Unconfirmed]{}
		into(ctx, jobs, s.Unconfirmed, func(ctx context.Context) (Unconfirmed, error) { return v.unconfirmed(ctx, a.Table, c.Name) })
	}
}

func auditOf(c *Consumer) *description.Audit {
	if c.Outbox == nil {
		return nil
	}
	return c.Outbox.Audit
}

// into starts a job that fills a reading.
func into[T any](ctx context.Context, jobs *errgroup.Group, r *Reading[T], read func(context.Context) (T, error)) {
	jobs.Go(func() error {
		value, err := read(ctx)
		r.Value = value
		if err != nil {
			r.Error = brief(err)
		}
		return nil
	})
}

// brief returns an error of the SDK in one short line: what was refused, and what the service says.
func brief(err error) string {
	var op *smithy.OperationError
	var api smithy.APIError
	switch {
	case errors.As(err, &op) && errors.As(err, &api):
		return fmt.Sprintf("%s %s: %s: %s", op.ServiceID, op.OperationName, api.ErrorCode(), api.ErrorMessage())
	case errors.As(err, &op):
		return fmt.Sprintf("%s %s: %v", op.ServiceID, op.OperationName, op.Err)
	}
	return err.Error()
}

// hasCode reports whether a service has answered with one of the error codes.
func hasCode(err error, codes ...string) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	for _, code := range codes {
		if api.ErrorCode() == code || strings.HasSuffix(api.ErrorCode(), "."+code) {
			return true
		}
	}
	return false
}

func (v *Surveyor) pipe(ctx context.Context, name string) (Part, error) {
	out, err := v.clients.Pipes.DescribePipe(ctx, &pipes.DescribePipeInput{Name: &name})
	if hasCode(err, "NotFoundException") {
		return Part{State: Missing}, nil
	}
	if err != nil {
		return Part{}, err
	}
	return Part{State: string(out.CurrentState), Reason: aws.ToString(out.StateReason)}, nil
}

// mapping returns the state of an event source mapping. Its reason is what Lambda says of a poll that did not go well.
// Source: Lambda API reference, EventSourceMappingConfiguration, LastProcessingResult.
func (v *Surveyor) mapping(ctx context.Context, id string) (Part, error) {
	out, err := v.clients.Lambda.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: &id})
	if hasCode(err, "ResourceNotFoundException") {
		return Part{State: Missing}, nil
	}
	if err != nil {
		return Part{}, err
	}
	p := Part{State: aws.ToString(out.State)}
	if result := aws.ToString(out.LastProcessingResult); strings.HasPrefix(result, "PROBLEM") {
		p.Reason = result
	}
	return p, nil
}

func (v *Surveyor) rule(ctx context.Context, bus, name string) (Part, error) {
	in := &eventbridge.DescribeRuleInput{Name: &name}
	set(&in.EventBusName, bus)
	out, err := v.clients.EventBridge.DescribeRule(ctx, in)
	if hasCode(err, "ResourceNotFoundException") {
		return Part{State: Missing}, nil
	}
	if err != nil {
		return Part{}, err
	}
	return Part{State: string(out.State)}, nil
}

// depth returns how many messages a queue has.
func (v *Surveyor) depth(ctx context.Context, url string) (Depth, error) {
	const (
		visible = sqstypes.QueueAttributeNameApproximateNumberOfMessages
		hidden  = sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible
		delayed = sqstypes.QueueAttributeNameApproximateNumberOfMessagesDelayed
		arn     = sqstypes.QueueAttributeNameQueueArn
	)
	out, err := v.clients.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{visible, hidden, delayed, arn},
	})
	if err != nil {
		return Depth{}, err
	}
	number := func(name sqstypes.QueueAttributeName) int64 { return seconds(out.Attributes[string(name)]) }
	return Depth{Waiting: number(visible) + number(delayed), InFlight: number(hidden), arn: out.Attributes[string(arn)]}, nil
}

// messages returns how many messages a queue has, whoever has received them and not deleted.
func (v *Surveyor) messages(ctx context.Context, url string) (int64, error) {
	d, err := v.depth(ctx, url)
	return d.Waiting + d.InFlight, err
}

// maxUnconfirmed is how many items of the audit's table are counted: they fit one read of 1 MB.
const maxUnconfirmed = 1000

// unconfirmed counts what the auditor has on its list of a consumer. The oldest event comes first.
func (v *Surveyor) unconfirmed(ctx context.Context, table, consumer string) (Unconfirmed, error) {
	page, next, err := audit.List{Client: v.clients.DynamoDB, Table: table}.Page(ctx, consumer, "", maxUnconfirmed)
	if err != nil {
		return Unconfirmed{}, err
	}
	u := Unconfirmed{Count: int64(len(page)), More: next != ""}
	if len(page) > 0 {
		u.Oldest = page[0].WrittenAt.UTC()
	}
	return u, nil
}

// lastDeployment returns when the stack was made or changed.
func (v *Surveyor) lastDeployment(ctx context.Context) Reading[time.Time] {
	out, err := v.clients.CloudFormation.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &v.stack.Name})
	if err != nil {
		return Reading[time.Time]{Error: brief(err)}
	}
	if len(out.Stacks) == 0 {
		return Reading[time.Time]{}
	}
	return Reading[time.Time]{Value: aws.ToTime(cmp.Or(out.Stacks[0].LastUpdatedTime, out.Stacks[0].CreationTime))}
}

// seconds returns a whole number of a description or an attribute, 0 for none.
func seconds(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}
