package outbox

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// AuditProps are the settings of the audit. A function of the construct reads the outbox table's stream by itself, beside
// the pipe, and looks after ConfirmWithin whether each event has had its effect at each consumer whose pattern matches it: the
// consumer's inbox is the receipt. What has no effect yet is an item in a table of its own, is looked at again with growing
// pauses for as long as the event is kept, and can be listed and sent again by the command: outbox audit, outbox repair.
//
// It covers the consumers that are added to this outbox, and of other apps those in Consumers. One without an inbox leaves no
// receipt and cannot be audited: the synthesis warns.
//
// A consumer that is deployed with the outbox is asked for every event; one that joins it later, for those from five minutes
// after its queue was made on. A batch of the stream waits for a third of ConfirmWithin to become full, for 5 minutes at most.
//
// Two readers are all that a shard of a stream allows, and the pipe and the auditor are two; of a global table, only one is
// allowed. So nothing else may read the stream of an outbox table that is audited.
// Source: DynamoDB developer guide, Streams; Lambda developer guide, services-dynamodb-eventsourcemapping.
//
// The metrics are in the namespace TransactionalOutbox with the dimensions Outbox and Consumer: Confirmed, Unconfirmed,
// OldestUnconfirmed (seconds since the commit) and TimeToEffect (milliseconds); AuditRuns, one for each run that did all that was
// due, has the dimension Outbox alone. With Alarms there are
//
//	AuditSilentAlarm        the auditor has done no whole run for 15 minutes
//	AuditDeadLettersAlarm   1 message in the auditor's dead-letter queue: of records that it gave up on or cannot read
//	UnconfirmedAlarm        for each consumer: an event without effect for longer than AlarmAfter
//
// AuditSilentAlarm waits for what is missing, so it goes off when the stack is created, until the auditor has looked.
//
// What it costs in us-east-1, by the list prices of 2026. Nothing is written for an event that goes well:
//
//	per million events with two consumers   2 million keys in batches, half a read unit each,
//	                                        and half as much again where one is ordered          0.19 USD
//	                                        SQS, Lambda, logs; reads of the stream are free      0.01
//	a month                                 43,200 runs: Lambda, receives, a query a consumer    0.10
//	a month and shard                       8,640 batches, where something is always written     0.02
//	                                        metric of the runs, 2 alarms                         0.50
//	a month and consumer                    4 metrics, while they have values, and 1 alarm       1.30
type AuditProps struct {
	// ConfirmWithin is how long after the commit the auditor looks for the effect, 1 minute to 12 hours in whole seconds.
	// Default: 15 minutes.
	ConfirmWithin awscdk.Duration
	// AlarmAfter is how long after the commit an event without effect alarms, in whole seconds, longer than ConfirmWithin and
	// shorter than EventRetention.
	// Default: 1 hour, or 4 times ConfirmWithin where that is longer.
	AlarmAfter awscdk.Duration
	// Consumers are those that other apps have added to this outbox, with what the audit needs to know of them.
	// Default: none.
	Consumers *[]*AuditedConsumer
	// Repair lets the auditor send an event again to the one consumer that misses it, where it waits in no dead-letter
	// queue and the consumer is not behind.
	// Default: it only tells.
	Repair *RepairProps
}

// RepairProps are the settings of repairs that nobody asked for.
type RepairProps struct {
	// MaximumPerMinute is the most events that are sent to one consumer within a minute, 1 to 1000.
	// Default: 60.
	MaximumPerMinute *float64
}

// An AuditedConsumer is a consumer of this outbox that another app has deployed, in the account and region of this one.
type AuditedConsumer struct {
	// Name by which its inbox knows it: [ConsumerProps].Name. Required.
	Name *string
	// InboxTable in which it remembers what it has handled. Required.
	InboxTable awsdynamodb.ITable
	// EventTypes, Sources, AggregateTypes and Detail are what the consumer was told: see [ConsumerProps].
	EventTypes, Sources, AggregateTypes *[]*string
	// Detail is the pattern on the event's detail.
	Detail *map[string]any
	// Ordered is whether it handles the events of an aggregate in order.
	// Default: false.
	Ordered *bool
	// Queue of the consumer. Events from before its creation are not the consumer's. Without it all events are, and the
	// auditor repairs nothing.
	// Default: it is not known.
	Queue awssqs.IQueue
	// DeadLetterQueue of the consumer: what is in it is not repaired. Required with Queue and Repair.
	// Default: it is not known.
	DeadLetterQueue awssqs.IQueue
	// RuleDeadLetterQueue of the imported outbox that the other app has added the consumer to: what its rule could not deliver
	// is not repaired. Required with Queue and Repair.
	// Default: it is not known.
	RuleDeadLetterQueue awssqs.IQueue
}

const (
	defaultConfirmWithin   = 15 * minute
	longestConfirmWithin   = 12 * time.Hour
	defaultAlarmAfter      = time.Hour
	defaultRepairPerMinute = 60
	mostRepairsPerMinute   = 1000
)

// auditConfig is a copy of the properties in which every setting that has a default has a value.
type auditConfig struct {
	confirmWithin, alarmAfter span
	perMinute                 *float64 // nil without Repair
	elsewhere                 []*AuditedConsumer
}

// withDefaults applies the defaults; without an audit there are none.
func (p *AuditProps) withDefaults() *auditConfig {
	if p == nil {
		return nil
	}
	c := &auditConfig{confirmWithin: spanOf(p.ConfirmWithin), alarmAfter: spanOf(p.AlarmAfter)}
	if !c.confirmWithin.given() {
		c.confirmWithin = spanFor(defaultConfirmWithin)
	}
	if !c.alarmAfter.given() {
		c.alarmAfter = spanFor(max(defaultAlarmAfter, 4*c.confirmWithin.length))
	}
	if p.Repair != nil {
		c.perMinute = orDefault(p.Repair.MaximumPerMinute, defaultRepairPerMinute)
	}
	if p.Consumers != nil {
		c.elsewhere = *p.Consumers
	}
	return c
}

// check finds what is wrong with the audit of an outbox at the place.
func (c *auditConfig) check(found *problems, box outboxConfig, at place) {
	if c == nil {
		return
	}
	found.knownDuration("Audit.ConfirmWithin", c.confirmWithin, minute, longestConfirmWithin)
	found.knownDuration("Audit.AlarmAfter", c.alarmAfter, minute, box.eventRetention.atMost(longestDays*day))
	if c.confirmWithin.known && c.alarmAfter.known && c.alarmAfter.length <= c.confirmWithin.length {
		found.add("Audit.AlarmAfter must be longer than Audit.ConfirmWithin, which is %s, got %s", words(c.confirmWithin.length), words(c.alarmAfter.length))
	}
	found.number("Audit.Repair.MaximumPerMinute", c.perMinute, 1, mostRepairsPerMinute)
	if box.Source == nil {
		return
	}
	names := map[string]bool{}
	for i, consumer := range c.elsewhere {
		name := fmt.Sprintf("Audit.Consumers[%d]", i)
		if consumer == nil {
			found.add("%s must be a consumer, got nil", name)
			continue
		}
		var own problems
		c.checkConsumer(&own, consumer, box, at, names)
		found.addAll(name, errors.Join(own...))
	}
}

func (c *auditConfig) checkConsumer(found *problems, consumer *AuditedConsumer, box outboxConfig, at place, names map[string]bool) {
	switch {
	case consumer.Name == nil:
		found.add("Name is missing: by which its inbox knows it")
	case !record.IsConsumerName(*consumer.Name):
		found.add("Name must be %s, got %q", record.ConsumerNames, *consumer.Name)
	case names[*consumer.Name]:
		found.add("Name must differ from that of the others, got %q again", *consumer.Name)
	default:
		names[*consumer.Name] = true
	}
	if consumer.InboxTable == nil {
		found.add("InboxTable is missing: without an inbox, nobody can tell what a consumer has done")
	} else {
		found.sameAccountOfTable("InboxTable", consumer.InboxTable, at.stack, "the auditor finds it by its name")
	}
	consumer.checkQueues(found, at, c.perMinute != nil)
	consumer.settings(&flow{source: box.Source}, at).checkPattern(found)
}

// checkQueues checks the queues, of which the dead-letter queues must be known where events are sent again.
func (a *AuditedConsumer) checkQueues(found *problems, at place, repairs bool) {
	taken := map[string]string{}
	for _, q := range []struct {
		name     string
		queue    awssqs.IQueue
		required bool
	}{
		{"Queue", a.Queue, false},
		{"DeadLetterQueue", a.DeadLetterQueue, repairs && a.Queue != nil},
		{"RuleDeadLetterQueue", a.RuleDeadLetterQueue, repairs && a.Queue != nil},
	} {
		if q.queue == nil {
			if q.required {
				found.add("%s is missing: with Repair, what waits there would be sent again", q.name)
			}
			continue
		}
		arn := *q.queue.QueueArn()
		found.sameAccountOf(q.name, arn, q.queue, at.stack, "the auditor's role reaches no others")
		if fifo := q.queue.Fifo(); fifo != nil && *fifo {
			found.add("%s must be a standard queue, as the constructs make it, got the FIFO queue %s", q.name, *q.queue.Node().Path())
		}
		if other := taken[arn]; other != "" {
			found.add("%s must differ from %s, got %s for both", q.name, other, *q.queue.Node().Path())
		}
		taken[arn] = q.name
	}
}

// settings returns the consumer as if it were added here, as far as it is known.
func (a *AuditedConsumer) settings(f *flow, at place) *consumerConfig {
	c := &consumerConfig{
		ConsumerProps: ConsumerProps{
			Name: a.Name, EventTypes: a.EventTypes, Sources: a.Sources, AggregateTypes: a.AggregateTypes, Detail: a.Detail, Ordered: a.Ordered,
			Inbox: Inbox_TABLE,
		},
		flow: f, at: at,
	}
	if c.Sources == nil {
		c.Sources = &[]*string{f.source}
	}
	return c
}

// knownDuration checks for whole seconds from lowest to highest that are known at synth.
func (f *problems) knownDuration(name string, value span, lowest, highest time.Duration) {
	if !value.known {
		f.add("%s must be known when the app is synthesized, got a token", name)
	}
	f.duration(name, value, lowest, highest)
}

// elsewhere returns the index of the consumer of another app that has the name, -1 for none.
func (a *auditor) elsewhere(name string) int {
	if a == nil {
		return -1
	}
	return slices.IndexFunc(a.props.elsewhere, func(c *AuditedConsumer) bool { return *c.Name == name })
}

// coverElsewhere makes the auditor look for the effects of the consumers that other apps have deployed.
func (a *auditor) coverElsewhere() {
	if a == nil || len(a.props.elsewhere) == 0 {
		return
	}
	o := a.outbox
	audited := constructs.NewConstruct(o, jsii.String(auditedID))
	for _, consumer := range a.props.elsewhere {
		scope := constructs.NewConstruct(audited, consumer.Name)
		d := description.Consumer{
			Version:    descriptionLayout,
			ID:         *consumer.Name,
			Name:       *consumer.Name,
			Inbox:      string(Inbox_TABLE),
			Ordered:    consumer.Ordered != nil && *consumer.Ordered,
			InboxTable: *consumer.InboxTable.TableName(),
			Pattern:    marshal(consumer.settings(&o.flow, o.place).pattern()),
		}
		if consumer.Queue != nil {
			d.Queue = *consumer.Queue.QueueUrl()
		}
		if consumer.DeadLetterQueue != nil {
			d.DeadLetterQueue = *consumer.DeadLetterQueue.QueueUrl()
		}
		if consumer.RuleDeadLetterQueue != nil {
			d.RuleDeadLetterQueue = *consumer.RuleDeadLetterQueue.QueueUrl()
		}
		// No consumer of this app has a parameter of that name: with a dot in its id, it has a hash at the end.
		name := *o.parameterPath() + "/consumer/audited." + inParameterName(d.ID)
		a.beginAfter(newParameter(scope, o.place.stack, name, "A consumer that another app has deployed, for the auditor and the command outbox", d))
		a.grantInbox(consumer.InboxTable, d.Name, d.Ordered)
		a.grantQueues(consumer.Queue, consumer.DeadLetterQueue, consumer.RuleDeadLetterQueue)
		a.addConsumerAlarms(scope, d.Name)
	}
}
