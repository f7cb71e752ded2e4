package synth

import (
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

func TestOutboxPipe(t *testing.T) {
	tpl := synthesizeOutbox(t, outbox.TransactionalOutboxProps{})
	same(t, "properties", tpl.readable(tpl.part(t, "Outbox/Pipe").Properties), `{
		"RoleArn": "${Outbox/PipeRole.Arn}",
		"Source": "${Outbox/Table.StreamArn}",
		"SourceParameters": {
			"DynamoDBStreamParameters": {
				"StartingPosition": "TRIM_HORIZON",
				"BatchSize": 10,
				"MaximumRecordAgeInSeconds": 72000,
				"MaximumRetryAttempts": 20,
				"OnPartialBatchItemFailure": "AUTOMATIC_BISECT",
				"DeadLetterConfig": {"Arn": "${Outbox/PipeDeadLetterQueue.Arn}"}
			},
			"FilterCriteria": {"Filters": [{"Pattern": "{\"dynamodb\":{\"NewImage\":{\"recordType\":{\"S\":[\"outbox.event\"]},\"source\":{\"S\":[\"orders\"]}}},\"eventName\":[\"INSERT\"]}"}]}
		},
		"Target": "${Outbox/EventBus.Arn}",
		"TargetParameters": {
			"EventBridgeEventBusParameters": {"DetailType": "$.dynamodb.NewImage.type.S", "Source": "$.dynamodb.NewImage.source.S"},
			"InputTemplate": "{\"id\": <$.dynamodb.NewImage.id.S>, \"type\": <$.dynamodb.NewImage.type.S>, \"aggregateType\": <$.dynamodb.NewImage.aggregateType.S>, \"aggregateId\": <$.dynamodb.NewImage.aggregateId.S>, \"version\": <$.dynamodb.NewImage.version.N>, \"occurredAt\": <$.dynamodb.NewImage.occurredAt.N>, \"data\": <$.dynamodb.NewImage.data>, \"traceparent\": <$.dynamodb.NewImage.traceparent>, \"correlationId\": <$.dynamodb.NewImage.correlationId.S>, \"causationId\": <$.dynamodb.NewImage.causationId>}"
		},
		"LogConfiguration": {"Level": "ERROR", "CloudwatchLogsLogDestination": {"LogGroupArn": "${Outbox/PipeLogGroup.Arn}"}}
	}`)
}

func TestOutboxPipeOverrides(t *testing.T) {
	tpl := synthesizeOutbox(t, outbox.TransactionalOutboxProps{
		MaximumRecordAge:      awscdk.Duration_Hours(jsii.Number(2)),
		MaximumRetryAttempts:  jsii.Number(0),
		MaximumBatchingWindow: awscdk.Duration_Seconds(jsii.Number(1)),
		ParallelizationFactor: jsii.Number(10),
		LogRetention:          awslogs.RetentionDays_ONE_WEEK,
	})
	source := tpl.part(t, "Outbox/Pipe").Properties["SourceParameters"].(map[string]any)["DynamoDBStreamParameters"].(map[string]any)
	delete(source, "DeadLetterConfig")
	same(t, "source parameters", source, `{
		"StartingPosition": "TRIM_HORIZON", "BatchSize": 10, "OnPartialBatchItemFailure": "AUTOMATIC_BISECT",
		"MaximumRecordAgeInSeconds": 7200, "MaximumRetryAttempts": 0, "MaximumBatchingWindowInSeconds": 1, "ParallelizationFactor": 10
	}`)
	same(t, "log retention", tpl.part(t, "Outbox/PipeLogGroup").Properties["RetentionInDays"], `7`)
}

func TestOutboxPipeRoleMayDoNothingElse(t *testing.T) {
	tpl := synthesizeOutbox(t, outbox.TransactionalOutboxProps{})
	role := tpl.part(t, "Outbox/PipeRole")
	same(t, "trust", tpl.statements(role.Properties["AssumeRolePolicyDocument"]), `[{
		"Effect": "Allow", "Principal": {"Service": "pipes.amazonaws.com"}, "Action": "sts:AssumeRole",
		"Condition": {"StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"}}
	}]`)
	// Inline, so that the pipe is not created before them.
	policies := role.Properties["Policies"].([]any)
	same(t, "number of policies", len(policies), `1`)
	same(t, "policy", tpl.statements(policies[0].(map[string]any)["PolicyDocument"]), `[
		{"Effect": "Allow", "Action": ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], "Resource": "${Outbox/Table.StreamArn}"},
		{"Effect": "Allow", "Action": "dynamodb:ListStreams", "Resource": "*"},
		{"Effect": "Allow", "Action": "events:PutEvents", "Resource": "${Outbox/EventBus.Arn}"},
		{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "${Outbox/PipeDeadLetterQueue.Arn}"},
		{"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "${Outbox/PipeLogGroup.Arn}"}
	]`)
	list(t, "policies apart from the role", tpl.paths("AWS::IAM::Policy"))
}

// What the pipe put on the bus before a rule exists would not reach its consumer, and a stream that is seconds old cannot
// be read. So CloudFormation creates every other part of the outbox first, but for the alarms that watch the pipe, and the
// parameters that say what all parts are called.
func TestPipeIsCreatedLast(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack, outbox.TransactionalOutboxProps{
			ArchiveRetention: awscdk.Duration_Days(jsii.Number(1)),
			Alarms:           &outbox.AlarmProps{},
		})
		for _, id := range []string{"Billing", "Shipping"} {
			box.AddConsumer(&id, &outbox.ConsumerProps{GoFunction: greeter()})
		}
	})
	tpl := synthesize(t, stack)
	pipe, _ := tpl.at(t, "Outbox/Pipe")
	before := map[string]bool{}
	tpl.needs(pipe, before)
	for id, part := range tpl.Resources {
		if !before[id] && part.Type != "AWS::CloudWatch::Alarm" && part.Type != "AWS::SSM::Parameter" {
			t.Errorf("the pipe may be created before %s", part.path())
		}
	}
}

// needs adds a resource and everything that CloudFormation creates before it.
func (tpl template) needs(id string, found map[string]bool) {
	r, known := tpl.Resources[id]
	if !known || found[id] {
		return
	}
	found[id] = true
	for _, other := range r.DependsOn {
		tpl.needs(other, found)
	}
	tpl.refersTo(r.Properties, found)
}

func (tpl template) refersTo(value any, found map[string]bool) {
	switch v := value.(type) {
	case map[string]any:
		if id, ok := v["Ref"].(string); ok {
			tpl.needs(id, found)
		}
		if parts, ok := v["Fn::GetAtt"].([]any); ok {
			tpl.needs(parts[0].(string), found)
		}
		for _, element := range v {
			tpl.refersTo(element, found)
		}
	case []any:
		for _, element := range v {
			tpl.refersTo(element, found)
		}
	}
}

// A table that is shared with other applications must not let them publish under this one's name.
func TestPipeLetsThroughItsOwnSourceOnly(t *testing.T) {
	tpl := synthesizeOutbox(t, outbox.TransactionalOutboxProps{Source: jsii.String("invoices")})
	filter := canonical(t, tpl.part(t, "Outbox/Pipe").Properties["SourceParameters"].(map[string]any)["FilterCriteria"])
	if want := `\"source\":{\"S\":[\"invoices\"]}`; !strings.Contains(filter, want) {
		t.Errorf("the filter is %s, want in it %s", filter, want)
	}
}
