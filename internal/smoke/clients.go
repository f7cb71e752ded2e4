package smoke

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/operate"
)

// Clients are what the checks ask, beside what the rest of the command does.
type Clients struct {
	operate.Clients

	Tables Tables
	Queues Queues
	Buses  Buses
	Pipe   Pipe
	Alarms Alarms
	Roles  Roles
	Stacks Stacks
	Web    *Web
}

// Tables is what writing events and reading items needs of DynamoDB.
type Tables interface {
	operate.DynamoDB
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
	DescribeTimeToLive(context.Context, *dynamodb.DescribeTimeToLiveInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTimeToLiveOutput, error)
}

// Queues is what temporary queues need of SQS.
type Queues interface {
	operate.SQS
	CreateQueue(context.Context, *sqs.CreateQueueInput, ...func(*sqs.Options)) (*sqs.CreateQueueOutput, error)
	SetQueueAttributes(context.Context, *sqs.SetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.SetQueueAttributesOutput, error)
	DeleteQueue(context.Context, *sqs.DeleteQueueInput, ...func(*sqs.Options)) (*sqs.DeleteQueueOutput, error)
	ListQueues(context.Context, *sqs.ListQueuesInput, ...func(*sqs.Options)) (*sqs.ListQueuesOutput, error)
}

// Buses is what temporary rules, and a temporary policy of the bus, need of EventBridge.
type Buses interface {
	operate.EventBridge
	PutRule(context.Context, *eventbridge.PutRuleInput, ...func(*eventbridge.Options)) (*eventbridge.PutRuleOutput, error)
	DeleteRule(context.Context, *eventbridge.DeleteRuleInput, ...func(*eventbridge.Options)) (*eventbridge.DeleteRuleOutput, error)
	PutTargets(context.Context, *eventbridge.PutTargetsInput, ...func(*eventbridge.Options)) (*eventbridge.PutTargetsOutput, error)
	RemoveTargets(context.Context, *eventbridge.RemoveTargetsInput, ...func(*eventbridge.Options)) (*eventbridge.RemoveTargetsOutput, error)
	ListRules(context.Context, *eventbridge.ListRulesInput, ...func(*eventbridge.Options)) (*eventbridge.ListRulesOutput, error)
	DescribeEventBus(context.Context, *eventbridge.DescribeEventBusInput, ...func(*eventbridge.Options)) (*eventbridge.DescribeEventBusOutput, error)
	PutPermission(context.Context, *eventbridge.PutPermissionInput, ...func(*eventbridge.Options)) (*eventbridge.PutPermissionOutput, error)
	RemovePermission(context.Context, *eventbridge.RemovePermissionInput, ...func(*eventbridge.Options)) (*eventbridge.RemovePermissionOutput, error)
}

// Pipe is what changing a pipe needs.
type Pipe interface {
	operate.Pipes
	UpdatePipe(context.Context, *pipes.UpdatePipeInput, ...func(*pipes.Options)) (*pipes.UpdatePipeOutput, error)
}

// Alarms is what setting off an alarm needs of CloudWatch.
type Alarms interface {
	operate.CloudWatch
	SetAlarmState(context.Context, *cloudwatch.SetAlarmStateInput, ...func(*cloudwatch.Options)) (*cloudwatch.SetAlarmStateOutput, error)
}

// Roles is what asking the policy simulator needs of IAM.
type Roles interface {
	SimulatePrincipalPolicy(context.Context, *iam.SimulatePrincipalPolicyInput, ...func(*iam.Options)) (*iam.SimulatePrincipalPolicyOutput, error)
}

// Stacks is what looking at a stack, and at one that was destroyed, needs of CloudFormation.
type Stacks interface {
	operate.CloudFormation
	ListStacks(context.Context, *cloudformation.ListStacksInput, ...func(*cloudformation.Options)) (*cloudformation.ListStacksOutput, error)
}

// NewClients returns clients that talk to what the others do.
func NewClients(c operate.Clients) Clients {
	return Clients{
		Clients: c,
		Tables:  dynamodb.NewFromConfig(c.Config),
		Queues:  sqs.NewFromConfig(c.Config),
		Buses:   eventbridge.NewFromConfig(c.Config),
		Pipe:    pipes.NewFromConfig(c.Config),
		Alarms:  cloudwatch.NewFromConfig(c.Config),
		Roles:   iam.NewFromConfig(c.Config),
		Stacks:  cloudformation.NewFromConfig(c.Config),
		Web:     &Web{Config: c.Config},
	}
}
