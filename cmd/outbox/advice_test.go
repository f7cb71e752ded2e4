package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	pipetypes "github.com/aws/aws-sdk-go-v2/service/pipes/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/internal/operate"
)

// ruin stands in for a stack in which everything is wrong that can be.
type ruin struct {
	operate.CloudFormation
	operate.Pipes
	operate.Lambda
	operate.EventBridge
	operate.SQS
	operate.CloudWatch
	operate.DynamoDB

	gone bool // what can be gone is, not only disabled
}

func (r ruin) notFound(code string) error {
	if r.gone {
		return &smithy.GenericAPIError{Code: code}
	}
	return nil
}

func (ruin) DescribeStacks(context.Context, *cloudformation.DescribeStacksInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error) {
	return &cloudformation.DescribeStacksOutput{}, nil
}

func (r ruin) DescribePipe(context.Context, *pipes.DescribePipeInput, ...func(*pipes.Options)) (*pipes.DescribePipeOutput, error) {
	return &pipes.DescribePipeOutput{CurrentState: pipetypes.PipeStateStopped}, r.notFound("NotFoundException")
}

func (r ruin) GetEventSourceMapping(context.Context, *lambda.GetEventSourceMappingInput, ...func(*lambda.Options)) (*lambda.GetEventSourceMappingOutput, error) {
	return &lambda.GetEventSourceMappingOutput{State: aws.String("Disabled")}, r.notFound("ResourceNotFoundException")
}

func (r ruin) DescribeRule(context.Context, *eventbridge.DescribeRuleInput, ...func(*eventbridge.Options)) (*eventbridge.DescribeRuleOutput, error) {
	return &eventbridge.DescribeRuleOutput{State: "DISABLED"}, r.notFound("ResourceNotFoundException")
}

func (ruin) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{"ApproximateNumberOfMessages": "1", "QueueArn": "arn:aws:sqs:eu-central-1:111122223333:q"}}, nil
}

func (ruin) GetMetricData(context.Context, *cloudwatch.GetMetricDataInput, ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricDataOutput, error) {
	return &cloudwatch.GetMetricDataOutput{}, nil
}

func (ruin) DescribeAlarms(context.Context, *cloudwatch.DescribeAlarmsInput, ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmsOutput, error) {
	return nil, errors.New("refused")
}

func (ruin) Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	it := map[string]types.AttributeValue{}
	for _, name := range []string{"id", "source", "type", "aggregateType", "aggregateId"} {
		it[name] = &types.AttributeValueMemberS{Value: "x"}
	}
	it["version"], it["writtenAt"] = &types.AttributeValueMemberN{Value: "1"}, &types.AttributeValueMemberN{Value: "1"}
	return &dynamodb.QueryOutput{Items: []map[string]types.AttributeValue{it}}, nil
}

// ruined returns a stack of two outboxes, so that each command line must say which is meant.
func ruined() *operate.Stack {
	s := &operate.Stack{Name: "Orders", Alarms: []string{"a"}}
	for _, path := range []string{"Orders/Outbox", "Orders/Other Outbox"} {
		o := &operate.Outbox{Outbox: description.Outbox{
			Path: path, Pipe: "p", PipeDeadLetterQueue: "q", RuleDeadLetterQueue: "q",
			Heartbeat: &description.Heartbeat{}, Audit: &description.Audit{DeadLetterQueue: "q", AlarmAfterSeconds: "60"},
		}}
		c := &operate.Consumer{Outbox: o, Consumer: description.Consumer{
			ID: "it's one", Name: path + "/c", Inbox: "TABLE", Pattern: []byte(`{"source":["it's"]}`), Bus: "b", Rule: "r", Queue: "q", DeadLetterQueue: "q", Function: "f", Mapping: "m",
		}}
		o.Consumers = []*operate.Consumer{c}
		s.Outboxes, s.Consumers = append(s.Outboxes, o), append(s.Consumers, c)
	}
	return s
}

// TestWhatIsAdvisedCanBeTyped: each command line that is shown gets as far as its command.
func TestWhatIsAdvisedCanBeTyped(t *testing.T) {
	seen := map[string]bool{}
	for _, command := range []operate.CommandLine{{Stack: "Orders", Port: operate.DefaultPort}, {Local: true, Port: 4600, Outbox: "Other Outbox"}} {
		for _, gone := range []bool{false, true} {
			r := ruin{gone: gone}
			clients := operate.Clients{CloudFormation: r, Pipes: r, Lambda: r, EventBridge: r, SQS: r, CloudWatch: r, DynamoDB: r}
			status, err := operate.NewSurveyor(clients, ruined(), command).Survey(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, need := range status.Needs {
				typed(t, need.Do, seen)
			}
		}
		for _, text := range []string{traceText(command), ledgerText(command)} {
			for line := range strings.Lines(text) {
				typed(t, strings.TrimSpace(line), seen)
			}
		}
	}
	for _, want := range []string{"resume", "repair", "audit", "dead-letters list", "dead-letters discard"} {
		if !seen[want] {
			t.Errorf("nothing advises outbox %s", want)
		}
	}
}

func traceText(command operate.CommandLine) string {
	var b strings.Builder
	trace := operate.Trace{Events: []operate.TracedEvent{{AggregateType: "Order", AggregateID: "it's 1", Consumers: []operate.TracedEffect{
		{Consumer: "Ship", State: operate.Nowhere}, {Consumer: "Bill it", State: operate.DeadLettered},
	}}}}
	trace.Write(&b, command)
	return b.String()
}

func ledgerText(command operate.CommandLine) string {
	var b strings.Builder
	ledger := operate.Ledger{Full: true, Until: time.Now(), Earlier: 1, Consumers: []operate.LedgerRow{{Consumer: "Ship", Missing: 1, DeadLetters: 1}}}
	ledger.Write(&b, command, 120)
	return b.String()
}

// typed parses the command lines of ours in a piece of advice, as a shell and the command do.
func typed(t *testing.T, advice string, seen map[string]bool) {
	t.Helper()
	_, line, found := strings.Cut(" "+advice, " outbox ")
	if !found || strings.HasPrefix(advice, "outbox Orders") || strings.HasPrefix(advice, "outbox ,") {
		return
	}
	line, then, _ := strings.Cut(line, "; then ")
	if then != "" {
		typed(t, then, seen)
	}
	words, err := shellWords(line)
	if err != nil {
		t.Errorf("%q: %v", advice, err)
		return
	}
	root := newRoot(streams{})
	cmd, rest, err := root.Find(words)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil && cmd.Args != nil {
		err = cmd.Args(cmd, cmd.Flags().Args())
	}
	if err == nil && cmd.PreRunE != nil {
		err = cmd.PreRunE(cmd, nil)
	}
	if err != nil {
		t.Errorf("what is advised cannot be typed: %q: %v", advice, err)
		return
	}
	seen[strings.TrimPrefix(cmd.CommandPath(), "outbox ")] = true
}

// shellWords splits a line at spaces outside of single quotes, the only ones that advice has.
func shellWords(line string) (words []string, err error) {
	var word strings.Builder
	quoted, begun := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\'':
			quoted, begun = !quoted, true
		case c == '\\' && !quoted && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			begun = true
		case c == ' ' && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	if quoted {
		err = fmt.Errorf("a quote in %q has no end", line)
	}
	return words, err
}
