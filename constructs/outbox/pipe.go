package outbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awspipes"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/internal/keypolicy"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// newPipe adds the pipe from the table's stream to the bus. Its filter lets through the events of this outbox only.
//
// CfnPipe, because CDK's construct for pipes is not stable yet.
func newPipe(f *flow, deadLetterQueue awssqs.IQueue, p TransactionalOutboxProps) awspipes.CfnPipe {
	logGroup := newPipeLogGroup(f.scope, p)
	role := newPipeRole(f, deadLetterQueue, logGroup)
	parts := f.scope.Node().Children()
	pipe := awspipes.NewCfnPipe(f.scope, jsii.String(pipeID), &awspipes.CfnPipeProps{
		RoleArn: role.RoleArn(),
		Source:  f.table.TableStreamArn(),
		SourceParameters: &awspipes.CfnPipe_PipeSourceParametersProperty{
			DynamoDbStreamParameters: &awspipes.CfnPipe_PipeSourceDynamoDBStreamParametersProperty{
				StartingPosition:               jsii.String(string(p.StartingPosition)),
				BatchSize:                      jsii.Number(pipeBatchSize),
				MaximumBatchingWindowInSeconds: secondsOf(p.MaximumBatchingWindow),
				MaximumRecordAgeInSeconds:      secondsOf(p.MaximumRecordAge),
				MaximumRetryAttempts:           p.MaximumRetryAttempts,
				ParallelizationFactor:          p.ParallelizationFactor,
				// Halves a failing batch until the poison record is alone.
				OnPartialBatchItemFailure: jsii.String("AUTOMATIC_BISECT"),
				DeadLetterConfig:          &awspipes.CfnPipe_DeadLetterConfigProperty{Arn: deadLetterQueue.QueueArn()},
			},
			FilterCriteria: &awspipes.CfnPipe_FilterCriteriaProperty{
				Filters: []any{&awspipes.CfnPipe_FilterProperty{Pattern: jsii.String(newEventsOf(f.pipedSources(p)...))}},
			},
		},
		Target: f.eventBus.EventBusArn(),
		TargetParameters: &awspipes.CfnPipe_PipeTargetParametersProperty{
			InputTemplate: jsii.String(detailTemplate()),
			EventBridgeEventBusParameters: &awspipes.CfnPipe_PipeTargetEventBridgeEventBusParametersProperty{
				DetailType: jsii.String(attributePath(record.AttrType)),
				Source:     jsii.String(attributePath(record.AttrSource)),
			},
		},
		// IncludeExecutionData stays off: it would write the events' data into the log.
		LogConfiguration: &awspipes.CfnPipe_PipeLogConfigurationProperty{
			Level: jsii.String("ERROR"),
			CloudwatchLogsLogDestination: &awspipes.CfnPipe_CloudwatchLogsLogDestinationProperty{
				LogGroupArn: logGroup.LogGroupArn(),
			},
		},
	})
	var before []constructs.IDependable
	for _, part := range *parts {
		before = append(before, part)
	}
	pipe.Node().AddDependency(before...)
	return pipe
}

// createBeforePipe makes CloudFormation create the part of a consumer before the pipe, for two reasons:
//
//   - The pipe starts at the oldest record as soon as it exists. An event that it put on the bus before a consumer's
//     rule is there would not reach that consumer.
//   - A stream that is seconds old cannot be read yet, and the creation of the pipe then fails with "Cannot access
//     stream". So the pipe comes after everything else of the outbox, at the first deployment and when the stream is
//     replaced. Source: aws-cdk issue 31211, terraform-provider-aws issue 40572.
//
// The pipe of an imported outbox exists already.
func (f *flow) createBeforePipe(part constructs.IConstruct) {
	if f.pipe != nil {
		f.pipe.Node().AddDependency(part)
	}
}

// pipedSources are the sources whose events the pipe lets through.
func (f *flow) pipedSources(p TransactionalOutboxProps) []string {
	if p.Monitor == nil {
		return []string{*f.source}
	}
	return []string{*f.source, *f.heartbeatSource()}
}

// newEventsOf returns the filter for new events of the sources in a stream. INSERT keeps out TTL deletes and clean-ups; the marker keeps out the other
// items of a table that is shared with business data; the source keeps a writer of the table from publishing in
// another application's name.
func newEventsOf(sources ...string) string {
	is := func(values ...string) map[string]any { return map[string]any{"S": values} }
	pattern, err := json.Marshal(map[string]any{
		"eventName": []string{"INSERT"},
		"dynamodb": map[string]any{"NewImage": map[string]any{
			record.AttrRecordType: is(record.RecordTypeEvent),
			record.AttrSource:     is(sources...),
		}},
	})
	if err != nil {
		panic(fmt.Sprintf("pipe filter: %v", err))
	}
	return string(pattern)
}

// detailTemplate returns the template by which the pipe builds the event's detail from the item. Each path stands
// unquoted, so that the pipe inserts its value as JSON. ADR 10 says why some fields travel in DynamoDB's object form.
// Source: EventBridge user guide, eb-pipes-input-transformation.
func detailTemplate() string {
	var fields []string
	for _, name := range record.DetailFields {
		path := attributePath(name)
		if slices.Contains(record.DetailObjects, name) {
			path = imagePath(name)
		}
		fields = append(fields, fmt.Sprintf("%q: <%s>", name, path))
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// numbers are the attributes of an outbox item that DynamoDB stores as numbers.
var numbers = []string{record.AttrVersion, record.AttrOccurredAt, record.AttrExpiresAt}

// attributePath returns the path of an attribute's value in a stream record.
func attributePath(name string) string {
	if slices.Contains(numbers, name) {
		return imagePath(name) + ".N"
	}
	return imagePath(name) + ".S"
}

// imagePath returns the path of an attribute in a stream record, where it stands with its type.
func imagePath(name string) string { return "$.dynamodb.NewImage." + name }

func newPipeLogGroup(scope constructs.Construct, p TransactionalOutboxProps) awslogs.LogGroup {
	if p.EncryptionKey != nil {
		keypolicy.AllowLogs(scope, p.EncryptionKey)
	}
	return awslogs.NewLogGroup(scope, jsii.String(pipeLogGroupID), &awslogs.LogGroupProps{
		Retention:     p.LogRetention,
		RemovalPolicy: p.RemovalPolicy,
		EncryptionKey: p.EncryptionKey,
	})
}

// newPipeRole adds the role of the pipe. The statements are in the role itself: EventBridge checks them when it creates
// the pipe, and a policy apart could come later.
//
// The trust names the account and not the pipe, which does not exist yet.
// Source: EventBridge user guide, eb-pipes-permissions.
func newPipeRole(f *flow, deadLetterQueue awssqs.IQueue, logGroup awslogs.ILogGroup) awsiam.Role {
	return awsiam.NewRole(f.scope, jsii.String(pipeRoleID), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("pipes.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Stack_Of(f.scope).Account()}},
		}),
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			"Pipe": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: pipeStatements(f, deadLetterQueue, logGroup)}),
		},
	})
}

func pipeStatements(f *flow, deadLetterQueue awssqs.IQueue, logGroup awslogs.ILogGroup) *[]awsiam.PolicyStatement {
	statements := []awsiam.PolicyStatement{
		allow(f.table.TableStreamArn(), "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
		// It takes no resource. Source: service authorization reference, list_amazondynamodb.
		allow(jsii.String("*"), "dynamodb:ListStreams"),
		allow(f.eventBus.EventBusArn(), "events:PutEvents"),
		allow(deadLetterQueue.QueueArn(), "sqs:SendMessage"),
		allow(logGroup.LogGroupArn(), "logs:CreateLogStream", "logs:PutLogEvents"),
	}
	if f.encryptionKey != nil {
		// To read the stream, to publish on the bus, and to send to the dead-letter queue. Without kms:ViaService: AWS does not
		// document through which service a pipe uses a key.
		statements = append(statements, allow(f.encryptionKey.KeyArn(), "kms:Decrypt", "kms:GenerateDataKey"))
	}
	if own := f.table.EncryptionKey(); own != nil && (f.encryptionKey == nil || *own.KeyArn() != *f.encryptionKey.KeyArn()) {
		statements = append(statements, allow(own.KeyArn(), "kms:Decrypt"))
	}
	return &statements
}

func allow(resource *string, actions ...string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings(actions...),
		Resources: &[]*string{resource},
	})
}

// secondsOf returns a duration in seconds, or nil.
func secondsOf(d awscdk.Duration) *float64 {
	if d == nil {
		return nil
	}
	return d.ToSeconds(nil)
}
