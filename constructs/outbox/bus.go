package outbox

import (
	"encoding/json"
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/internal/keypolicy"
)

// defaultBus is the name of the bus that every account has.
const defaultBus = "default"

// newEventBus adds a bus. CloudFormation wants a name for it; the stack's name in it keeps two copies of
// an app in one account apart.
//
// With a customer-managed key the bus needs a dead-letter queue of its own, for events that it cannot
// encrypt or decrypt. Source: EventBridge user guide, eb-encryption-event-bus-dlq.
func newEventBus(scope constructs.Construct, key awskms.IKey, deadLetterQueue awssqs.IQueue) awsevents.IEventBus {
	id := constructs.Node_Of(scope).Id()
	addr := *constructs.Node_Of(scope).Addr()
	props := &awsevents.EventBusProps{
		EventBusName: jsii.String(fmt.Sprintf("%s-%s-%s", *awscdk.Aws_STACK_NAME(), *id, addr[len(addr)-8:])),
	}
	if key != nil {
		keypolicy.AllowEvents(scope, key)
		props.KmsKey = key
		props.DeadLetterQueue = deadLetterQueue
	}
	return awsevents.NewEventBus(scope, jsii.String(eventBusID), props)
}

// newArchive keeps everything that is on the bus. A replay goes to the rules again, not in order.
func newArchive(scope constructs.Construct, bus awsevents.IEventBus, p TransactionalOutboxProps) awsevents.CfnArchive {
	props := &awsevents.CfnArchiveProps{
		SourceArn:     bus.EventBusArn(),
		RetentionDays: p.ArchiveRetention.ToDays(nil),
	}
	if p.EncryptionKey != nil {
		keypolicy.AllowEvents(scope, p.EncryptionKey)
		props.KmsKeyIdentifier = p.EncryptionKey.KeyArn()
	}
	return awsevents.NewCfnArchive(scope, jsii.String(archiveID), props)
}

// letRulesSendTo lets the rules of the bus, and nobody else, send to the queue, and returns what must be
// in place before a rule is: EventBridge does not retry where it lacks permission, and without a
// dead-letter queue that it may use the event is lost. That is why the policy names the rules by a
// pattern: a policy that referred to the rule itself could only follow it.
// Source: EventBridge user guide, eb-rule-dlq and eb-use-resource-based.
//
// The policy of an imported queue belongs to its owner. The synthesis then warns and shows the
// statement that the owner must add.
func (f *flow) letRulesSendTo(queue awssqs.IQueue) constructs.IDependable {
	statement := awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("events.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sqs:SendMessage"),
		Resources:  &[]*string{queue.QueueArn()},
		Conditions: &map[string]any{"ArnLike": map[string]any{"aws:SourceArn": f.ruleARNs()}},
	})
	result := queue.AddToResourcePolicy(statement)
	if *result.StatementAdded {
		return result.PolicyDependable
	}
	shown, err := json.Marshal(awscdk.Stack_Of(f.scope).Resolve(statement.ToStatementJson()))
	if err != nil {
		panic(fmt.Sprintf("queue policy: %v", err))
	}
	path := *constructs.Node_Of(queue).Path()
	warn(f.scope, "queue-policy:"+path, fmt.Sprintf("the policy of the imported queue %s cannot be changed from here: its owner must add %s", path, shown))
	return nil
}

// ruleARNs is a pattern for the rules of the bus. Those of the default bus have no bus name in their ARN.
func (f *flow) ruleARNs() *string {
	rules := *f.eventBus.EventBusName() + "/*"
	if *f.eventBus.EventBusName() == defaultBus {
		rules = "*"
	}
	return awscdk.Stack_Of(f.scope).FormatArn(&awscdk.ArnComponents{
		Service:      jsii.String("events"),
		Resource:     jsii.String("rule"),
		ResourceName: &rules,
	})
}

// needRuleDeadLetterQueue gives an imported outbox the queue for what its first rule cannot deliver.
func (f *flow) needRuleDeadLetterQueue() {
	if f.ruleDeadLetterQueue == nil {
		f.ruleDeadLetterQueue = newQueue(f.scope, ruleDeadLetterQueueID, f.encryptionKey, deadLetters())
	}
}
