package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/internal/keypolicy"
	"github.com/outboxkit/transactional-outbox/constructs/internal/ownerpolicy"
)

// defaultBus is the name of the bus that every account has.
const defaultBus = "default"

// newEventBus adds a bus. CloudFormation requires a name for it; the stack's name in it keeps two copies of an app in one
// account apart.
//
// With a customer-managed key the bus needs a dead-letter queue too, for events that it cannot encrypt or decrypt.
// Source: EventBridge user guide, eb-encryption-event-bus-dlq.
func newEventBus(f *flow) awsevents.IEventBus {
	props := &awsevents.EventBusProps{EventBusName: jsii.String(f.place.busName())}
	if f.encryptionKey != nil {
		keypolicy.AllowEvents(f.scope, f.encryptionKey)
		props.KmsKey = f.encryptionKey
		props.DeadLetterQueue = f.ruleDeadLetterQueue
	}
	bus := awsevents.NewEventBus(f.scope, jsii.String(eventBusID), props)
	bus.ApplyRemovalPolicy(f.keepNamed())
	if f.encryptionKey != nil {
		f.letSend(f.ruleDeadLetterQueue, bus.EventBusArn())
	}
	return bus
}

// keepNamed returns the removal policy of a resource whose name is fixed. One that a failed first deployment left behind
// would make every further one fail, so RETAIN does not hold for that case.
func (s keepSettings) keepNamed() awscdk.RemovalPolicy {
	if s.keep() == awscdk.RemovalPolicy_RETAIN {
		return awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE
	}
	return s.keep()
}

// newArchive adds an archive of everything that is on the bus but heartbeats, which nobody would replay. A replay goes to the rules again, not in order.
func newArchive(f *flow, p TransactionalOutboxProps) awsevents.CfnArchive {
	props := &awsevents.CfnArchiveProps{
		SourceArn:     f.eventBus.EventBusArn(),
		RetentionDays: p.ArchiveRetention.ToDays(nil),
	}
	if p.Monitor != nil {
		props.EventPattern = map[string]any{"source": []any{map[string]any{"anything-but": []any{f.heartbeatSource()}}}}
	}
	if p.EncryptionKey != nil {
		keypolicy.AllowArchive(f.scope, p.EncryptionKey)
		props.KmsKeyIdentifier = p.EncryptionKey.KeyArn()
	}
	archive := awsevents.NewCfnArchive(f.scope, jsii.String(archiveID), props)
	archive.ApplyRemovalPolicy(f.keep(), nil)
	return archive
}

// letSend lets EventBridge send to the queue for the source, an ARN or a pattern of one. It returns what must be in place
// before a rule is, or nil: EventBridge does not retry where it lacks permission, and without a dead-letter queue that it
// may use the event is lost. That is why rules are named by a pattern: a policy that referred to a rule could only come
// after it.
// Source: EventBridge user guide, eb-rule-dlq.
//
// The policy of an imported queue belongs to its owner. The synthesis then warns and shows the statement to add.
func (f *flow) letSend(queue awssqs.IQueue, source *string) constructs.IDependable {
	result := queue.AddToResourcePolicy(eventBridgeMaySend(queue, source))
	if *result.StatementAdded {
		return result.PolicyDependable
	}
	ownerpolicy.Warn(f.scope, queue, "queue", "events", eventBridgeMaySend(queue, f.rulesOf(*f.physicalBusName())))
	return nil
}

func eventBridgeMaySend(queue awssqs.IQueue, source *string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("events.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sqs:SendMessage"),
		Resources:  &[]*string{queue.QueueArn()},
		Conditions: &map[string]any{"ArnLike": map[string]any{"aws:SourceArn": source}},
	})
}

// ruleARNs returns a pattern for the rules of the bus.
func (f *flow) ruleARNs() *string { return f.rulesOf(*f.eventBus.EventBusName()) }

// rulesOf returns a pattern for the rules of a bus. Those of the default bus have no bus name in their ARN.
func (f *flow) rulesOf(bus string) *string {
	rules := bus + "/*"
	if bus == defaultBus {
		rules = "*"
	}
	return awscdk.Stack_Of(f.scope).FormatArn(&awscdk.ArnComponents{
		Service:      jsii.String("events"),
		Resource:     jsii.String("rule"),
		ResourceName: &rules,
	})
}

// physicalBusName returns the name of the bus as somebody outside of this template knows it.
func (f *flow) physicalBusName() *string {
	if bus, ofThisApp := f.eventBus.Node().DefaultChild().(awsevents.CfnEventBus); ofThisApp {
		return bus.Name()
	}
	return f.eventBus.EventBusName()
}
