package operate

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	pipetypes "github.com/aws/aws-sdk-go-v2/service/pipes/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/outboxkit/transactional-outbox/internal/description"
)

// plant stands in for the services that a deployed stack uses, besides DynamoDB. All its parts work unless a test breaks one.
type plant struct {
	CloudFormation
	Pipes
	Lambda
	EventBridge
	SQS
	CloudWatch

	mu       sync.Mutex
	requests map[string]int // by operation
	slow     time.Duration  // what a request takes
	now, max int            // requests under way

	deployed time.Time
	pipe     *pipes.DescribePipeOutput     // nil: gone
	mappings map[string]string             // UUID → state; absent: gone
	problems map[string]string             // UUID → LastProcessingResult
	waited   atomic.Int32                  // the longest wait of a receive, in seconds
	rules    map[string]string             // name → state; absent: gone
	queues   map[string]map[string]string  // URL → attributes
	messages map[string][]sqstypes.Message // URL → what is in it
	sent     map[string][]string           // URL → bodies
	metrics  map[string][]datapoint        // name and value of the dimension → newest first
	alarms   []cwtypes.MetricAlarm         // all
	refused  map[string]bool               // operations without permission
	onSend   func(url string, body string) error
}

// newPlant returns the services of a stack, all in order.
func newPlant(stack *Stack) *plant {
	p := &plant{
		requests: map[string]int{}, deployed: time.Now().Add(-time.Hour),
		pipe:     &pipes.DescribePipeOutput{CurrentState: pipetypes.PipeStateRunning},
		mappings: map[string]string{}, problems: map[string]string{}, rules: map[string]string{}, queues: map[string]map[string]string{},
		messages: map[string][]sqstypes.Message{}, sent: map[string][]string{}, metrics: map[string][]datapoint{}, refused: map[string]bool{},
	}
	for _, name := range []string{"heartbeat-schedule", "heartbeat-rule", "audit-schedule"} {
		p.rules[name] = "ENABLED"
	}
	for _, o := range stack.Outboxes {
		p.queue(o.PipeDeadLetterQueue, o.RuleDeadLetterQueue)
		if o.Audit != nil {
			p.queue(o.Audit.DeadLetterQueue, o.Audit.Pending)
		}
		p.metrics["HeartbeatLag "+o.Path] = []datapoint{{time.Now().Add(-30*time.Second - 100*time.Millisecond), 800}}
	}
	for _, c := range stack.Consumers {
		p.mappings[c.Mapping], p.rules[c.Rule] = "Enabled", "ENABLED"
		p.queue(c.Queue, c.DeadLetterQueue)
	}
	return p
}

func (p *plant) queue(urls ...string) {
	for _, url := range urls {
		p.queues[url] = map[string]string{
			"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0", "ApproximateNumberOfMessagesDelayed": "0",
			"CreatedTimestamp": fmt.Sprint(time.Now().Add(-24 * time.Hour).Unix()),
			"QueueArn":         "arn:aws:sqs:eu-central-1:111122223333:" + path.Base(url),
		}
	}
}

// clients returns the plant as clients, with the tables of DynamoDB Local.
func (p *plant) clients() Clients {
	return Clients{
		CloudFormation: p, Pipes: p, Lambda: p, EventBridge: p, SQS: p, CloudWatch: p, DynamoDB: db, Where: "region eu-central-1",
	}
}

// request counts a request, and refuses it where the test says so.
func (p *plant) request(service, operation string) error {
	p.mu.Lock()
	p.requests[operation]++
	p.now++
	p.max = max(p.max, p.now)
	refused := p.refused[operation]
	p.mu.Unlock()
	time.Sleep(p.slow)
	p.mu.Lock()
	p.now--
	p.mu.Unlock()
	if refused {
		return failure(service, operation, "AccessDeniedException", "User: you is not authorized to perform: "+operation)
	}
	return nil
}

// failure is an error as the SDK returns it.
func failure(service, operation, code, message string) error {
	return &smithy.OperationError{ServiceID: service, OperationName: operation, Err: &smithy.GenericAPIError{Code: code, Message: message}}
}

func (p *plant) DescribeStacks(_ context.Context, in *cloudformation.DescribeStacksInput, _ ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error) {
	return &cloudformation.DescribeStacksOutput{Stacks: []cftypes.Stack{{StackName: in.StackName, CreationTime: &p.deployed}}}, p.request("CloudFormation", "DescribeStacks")
}

func (p *plant) DescribePipe(context.Context, *pipes.DescribePipeInput, ...func(*pipes.Options)) (*pipes.DescribePipeOutput, error) {
	if err := p.request("Pipes", "DescribePipe"); err != nil {
		return nil, err
	}
	if p.pipe == nil {
		return nil, failure("Pipes", "DescribePipe", "NotFoundException", "Pipe does not exist")
	}
	return p.pipe, nil
}

func (p *plant) GetEventSourceMapping(_ context.Context, in *lambda.GetEventSourceMappingInput, _ ...func(*lambda.Options)) (*lambda.GetEventSourceMappingOutput, error) {
	if err := p.request("Lambda", "GetEventSourceMapping"); err != nil {
		return nil, err
	}
	state, ok := p.mappings[*in.UUID]
	if !ok {
		return nil, failure("Lambda", "GetEventSourceMapping", "ResourceNotFoundException", "The resource you requested does not exist.")
	}
	out := &lambda.GetEventSourceMappingOutput{State: &state, LastProcessingResult: aws.String("OK")}
	if problem := p.problems[*in.UUID]; problem != "" {
		out.LastProcessingResult = &problem
	}
	return out, nil
}

func (p *plant) DescribeRule(_ context.Context, in *eventbridge.DescribeRuleInput, _ ...func(*eventbridge.Options)) (*eventbridge.DescribeRuleOutput, error) {
	if err := p.request("EventBridge", "DescribeRule"); err != nil {
		return nil, err
	}
	state, ok := p.rules[*in.Name]
	if bus := aws.ToString(in.EventBusName); !ok || (bus == "") != strings.HasSuffix(*in.Name, "-schedule") || bus != "" && bus != "orders-bus" {
		return nil, failure("EventBridge", "DescribeRule", "ResourceNotFoundException", "Rule does not exist on EventBus.")
	}
	return &eventbridge.DescribeRuleOutput{State: bustypes.RuleState(state)}, nil
}

func (p *plant) GetQueueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	if err := p.request("SQS", "GetQueueAttributes"); err != nil {
		return nil, err
	}
	attributes, ok := p.queues[*in.QueueUrl]
	if !ok {
		return nil, &smithy.OperationError{ServiceID: "SQS", OperationName: "GetQueueAttributes", Err: &sqstypes.QueueDoesNotExist{Message: aws.String("The specified queue does not exist.")}}
	}
	return &sqs.GetQueueAttributesOutput{Attributes: attributes}, nil
}

// ReceiveMessage gives all of a queue at once, and hides nothing.
func (p *plant) ReceiveMessage(_ context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if err := p.request("SQS", "ReceiveMessage"); err != nil {
		return nil, err
	}
	if !strings.Contains(*in.QueueUrl, "dead") {
		return nil, fmt.Errorf("%s is no dead-letter queue: a receive uses up one of its consumer's", *in.QueueUrl)
	}
	p.waited.Store(max(p.waited.Load(), in.WaitTimeSeconds))
	return &sqs.ReceiveMessageOutput{Messages: p.messages[*in.QueueUrl]}, nil
}

func (p *plant) ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	return &sqs.ChangeMessageVisibilityBatchOutput{}, p.request("SQS", "ChangeMessageVisibilityBatch")
}

func (p *plant) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	if err := p.request("SQS", "SendMessage"); err != nil {
		return nil, err
	}
	if p.onSend != nil {
		if err := p.onSend(*in.QueueUrl, *in.MessageBody); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent[*in.QueueUrl] = append(p.sent[*in.QueueUrl], *in.MessageBody)
	return &sqs.SendMessageOutput{}, nil
}

func (p *plant) GetMetricData(_ context.Context, in *cloudwatch.GetMetricDataInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricDataOutput, error) {
	if err := p.request("CloudWatch", "GetMetricData"); err != nil {
		return nil, err
	}
	if !in.StartTime.Before(*in.EndTime) {
		return nil, errors.New("ValidationError: The parameter StartTime must be less than the parameter EndTime")
	}
	out := &cloudwatch.GetMetricDataOutput{}
	for _, q := range in.MetricDataQueries {
		result := cwtypes.MetricDataResult{Id: q.Id}
		values := make([]string, 0, 2)
		for _, d := range q.MetricStat.Metric.Dimensions {
			values = append(values, *d.Value)
		}
		for _, point := range p.metrics[*q.MetricStat.Metric.MetricName+" "+strings.Join(values, " ")] {
			if point.at.After(*in.StartTime) && point.at.Before(*in.EndTime) {
				result.Timestamps = append(result.Timestamps, point.at)
				result.Values = append(result.Values, point.value)
			}
		}
		out.MetricDataResults = append(out.MetricDataResults, result)
	}
	return out, nil
}

func (p *plant) DescribeAlarms(_ context.Context, in *cloudwatch.DescribeAlarmsInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmsOutput, error) {
	if err := p.request("CloudWatch", "DescribeAlarms"); err != nil {
		return nil, err
	}
	out := &cloudwatch.DescribeAlarmsOutput{}
	for _, a := range p.alarms {
		for _, name := range in.AlarmNames {
			if name == *a.AlarmName && a.StateValue == in.StateValue {
				out.MetricAlarms = append(out.MetricAlarms, a)
			}
		}
	}
	return out, nil
}

const plantQueues = "https://sqs.eu-central-1.amazonaws.com/111122223333/"

// stackOf returns a stack of one outbox with heartbeat, and a consumer for each id.
func stackOf(ids ...string) *Stack {
	o := &Outbox{Outbox: description.Outbox{
		Version: "1", Path: "Orders/Outbox", Source: "orders", Table: "Events", EventRetentionSeconds: "604800", Bus: "orders-bus", Pipe: "orders-pipe", MaximumRecordAgeSeconds: "72000",
		PipeDeadLetterQueue: plantQueues + "pipe-dead", RuleDeadLetterQueue: plantQueues + "rule-dead",
		Heartbeat: &description.Heartbeat{Function: "heartbeat", Source: "orders.heartbeat", Queue: plantQueues + "heartbeat", MaximumLagSeconds: "300", Schedule: "heartbeat-schedule", Rule: "heartbeat-rule"},
	}}
	for _, id := range ids {
		o.Consumers = append(o.Consumers, &Consumer{Outbox: o, Consumer: description.Consumer{
			Version: "1", ID: id, Name: "Orders/Outbox/" + id, Inbox: "TABLE", Pattern: []byte(`{"source":["orders"]}`), Bus: "orders-bus", Rule: id + "-rule",
			Queue: plantQueues + id, DeadLetterQueue: plantQueues + id + "-dead", MaxReceiveCount: "5", RuleDeadLetterQueue: o.RuleDeadLetterQueue,
			Function: id + "-function", Mapping: id + "-mapping",
		}})
	}
	return &Stack{Name: "Orders", Outboxes: []*Outbox{o}, Consumers: o.Consumers, Alarms: []string{"PipeSilent"}}
}

// audited gives the stack's outbox an auditor with the table.
func audited(s *Stack, table string) *Stack {
	s.Outboxes[0].Audit = &description.Audit{
		Function: "auditor", Table: table, Pending: plantQueues + "pending", DeadLetterQueue: plantQueues + "auditor-dead",
		ConfirmWithinSeconds: "900", AlarmAfterSeconds: "3600", Schedule: "audit-schedule",
	}
	return s
}
