package operate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// Clients are the AWS clients of all that the command does. Each field is an interface of the requests that are made, which
// the SDK's own client fits and a test can stand in for.
type Clients struct {
	CloudFormation CloudFormation
	SSM            SSM
	DynamoDB       DynamoDB
	Streams        Streams
	SQS            SQS
	EventBridge    EventBridge
	Pipes          Pipes
	Lambda         Lambda
	CloudWatch     CloudWatch

	// Where names in messages what the clients talk to: "region eu-central-1", or "the local run on port 4510".
	Where string
	// Config is what the clients were made with, for those that only one subcommand needs. In the local run its endpoint is
	// the one for all services.
	Config aws.Config
}

// CloudFormation is what finding a stack needs.
type CloudFormation interface {
	DescribeStacks(context.Context, *cloudformation.DescribeStacksInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error)
	ListStackResources(context.Context, *cloudformation.ListStackResourcesInput, ...func(*cloudformation.Options)) (*cloudformation.ListStackResourcesOutput, error)
}

// SSM is what reading a stack's descriptions needs.
type SSM interface {
	GetParameters(context.Context, *ssm.GetParametersInput, ...func(*ssm.Options)) (*ssm.GetParametersOutput, error)
	GetParametersByPath(context.Context, *ssm.GetParametersByPathInput, ...func(*ssm.Options)) (*ssm.GetParametersByPathOutput, error)
}

// DynamoDB is what reading events and effects needs, and writing what an operator asks for.
type DynamoDB interface {
	DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error)
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// Streams is what reading a table's stream needs.
type Streams interface {
	DescribeStream(context.Context, *dynamodbstreams.DescribeStreamInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.DescribeStreamOutput, error)
	GetShardIterator(context.Context, *dynamodbstreams.GetShardIteratorInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetShardIteratorOutput, error)
	GetRecords(context.Context, *dynamodbstreams.GetRecordsInput, ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetRecordsOutput, error)
}

// SQS is what looking into queues and moving messages needs.
type SQS interface {
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
	DeleteMessage(context.Context, *sqs.DeleteMessageInput, ...func(*sqs.Options)) (*sqs.DeleteMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
}

// EventBridge is what looking after rules, and replaying an archive, needs.
type EventBridge interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
	DescribeRule(context.Context, *eventbridge.DescribeRuleInput, ...func(*eventbridge.Options)) (*eventbridge.DescribeRuleOutput, error)
	ListTargetsByRule(context.Context, *eventbridge.ListTargetsByRuleInput, ...func(*eventbridge.Options)) (*eventbridge.ListTargetsByRuleOutput, error)
	DescribeArchive(context.Context, *eventbridge.DescribeArchiveInput, ...func(*eventbridge.Options)) (*eventbridge.DescribeArchiveOutput, error)
	StartReplay(context.Context, *eventbridge.StartReplayInput, ...func(*eventbridge.Options)) (*eventbridge.StartReplayOutput, error)
	DescribeReplay(context.Context, *eventbridge.DescribeReplayInput, ...func(*eventbridge.Options)) (*eventbridge.DescribeReplayOutput, error)
	CancelReplay(context.Context, *eventbridge.CancelReplayInput, ...func(*eventbridge.Options)) (*eventbridge.CancelReplayOutput, error)
}

// Pipes is what looking after a pipe needs.
type Pipes interface {
	DescribePipe(context.Context, *pipes.DescribePipeInput, ...func(*pipes.Options)) (*pipes.DescribePipeOutput, error)
	StartPipe(context.Context, *pipes.StartPipeInput, ...func(*pipes.Options)) (*pipes.StartPipeOutput, error)
	StopPipe(context.Context, *pipes.StopPipeInput, ...func(*pipes.Options)) (*pipes.StopPipeOutput, error)
}

// Lambda is what looking after consumers' mappings needs.
type Lambda interface {
	GetEventSourceMapping(context.Context, *lambda.GetEventSourceMappingInput, ...func(*lambda.Options)) (*lambda.GetEventSourceMappingOutput, error)
	UpdateEventSourceMapping(context.Context, *lambda.UpdateEventSourceMappingInput, ...func(*lambda.Options)) (*lambda.UpdateEventSourceMappingOutput, error)
	GetFunctionConfiguration(context.Context, *lambda.GetFunctionConfigurationInput, ...func(*lambda.Options)) (*lambda.GetFunctionConfigurationOutput, error)
}

// CloudWatch is what reading metrics and alarms needs.
type CloudWatch interface {
	GetMetricData(context.Context, *cloudwatch.GetMetricDataInput, ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricDataOutput, error)
	DescribeAlarms(context.Context, *cloudwatch.DescribeAlarmsInput, ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmsOutput, error)
}

// OnAWS returns clients with the SDK's ordinary configuration: environment, profile, role.
func OnAWS(ctx context.Context) (Clients, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return Clients{}, fmt.Errorf("read the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return Clients{}, errors.New("no AWS region is set: set AWS_REGION, or AWS_PROFILE to a profile that has one")
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return Clients{}, fmt.Errorf("no AWS credentials can be had, as `aws sts get-caller-identity` shows too: %w", err)
	}
	return newClients(cfg, Endpoints{}, "region "+cfg.Region), nil
}

// DefaultPort is the local run's own default.
const DefaultPort = 4510

// The ports of the local run's endpoints, counted from that of its REST API.
const (
	portOfDynamoDB = 1 + iota
	portOfSQS
	portOfEventBridge
	portOfControl // for every other service
	localPorts
)

// MaximumPort is the highest port of a REST API whose endpoints have ports too.
const MaximumPort = 65536 - localPorts

// Locally returns clients for the local run whose REST API has the port. It returns an error when nothing listens there.
func Locally(ctx context.Context, port int) (Clients, error) {
	for n := portOfDynamoDB; n < localPorts; n++ {
		if err := listens(ctx, port+n); err != nil {
			return Clients{}, fmt.Errorf("no local run answers on port %d (%w): start one with `outbox local`, or say its --port", port, err)
		}
	}
	url := func(n int) string { return "http://" + loopback(port+n) }
	return AtEndpoints(localRegion(), Endpoints{
		DynamoDB: url(portOfDynamoDB), SQS: url(portOfSQS), EventBridge: url(portOfEventBridge), Others: url(portOfControl),
	}, fmt.Sprintf("the local run on port %d", port)), nil
}

// AtEndpoints returns clients for a local run with the endpoints, which messages call where.
func AtEndpoints(region string, at Endpoints, where string) Clients {
	cfg := aws.Config{
		Region: region,
		// The local run accepts any key. It is no secret: nothing behind it leaves loopback.
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		BaseEndpoint: aws.String(at.Others),
	}
	return newClients(cfg, at, where)
}

// localRegion returns the region that a local run takes where its app names none.
func localRegion() string {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if region := os.Getenv(name); region != "" {
			return region
		}
	}
	return "us-east-1"
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// listens reports an error when nothing listens on the port.
func listens(ctx context.Context, port int) error {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", loopback(port))
	if err != nil {
		return err
	}
	return conn.Close()
}

// Endpoints are the URLs of services; those of AWS where they are empty.
type Endpoints struct{ DynamoDB, SQS, EventBridge, Others string }

func newClients(cfg aws.Config, at Endpoints, where string) Clients {
	return Clients{
		CloudFormation: cloudformation.NewFromConfig(cfg, func(o *cloudformation.Options) { set(&o.BaseEndpoint, at.Others) }),
		SSM:            ssm.NewFromConfig(cfg, func(o *ssm.Options) { set(&o.BaseEndpoint, at.Others) }),
		DynamoDB:       dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { set(&o.BaseEndpoint, at.DynamoDB) }),
		Streams:        dynamodbstreams.NewFromConfig(cfg, func(o *dynamodbstreams.Options) { set(&o.BaseEndpoint, at.DynamoDB) }),
		SQS:            sqs.NewFromConfig(cfg, func(o *sqs.Options) { set(&o.BaseEndpoint, at.SQS) }),
		EventBridge:    eventbridge.NewFromConfig(cfg, func(o *eventbridge.Options) { set(&o.BaseEndpoint, at.EventBridge) }),
		Pipes:          pipes.NewFromConfig(cfg, func(o *pipes.Options) { set(&o.BaseEndpoint, at.Others) }),
		Lambda:         lambda.NewFromConfig(cfg, func(o *lambda.Options) { set(&o.BaseEndpoint, at.Others) }),
		CloudWatch:     cloudwatch.NewFromConfig(cfg, func(o *cloudwatch.Options) { set(&o.BaseEndpoint, at.Others) }),
		Where:          where,
		Config:         cfg,
	}
}

// set sets an endpoint, and leaves the SDK's own where there is none.
func set(endpoint **string, url string) {
	if url != "" {
		*endpoint = &url
	}
}
