package eventbus

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// schedulerPrincipal is the name of EventBridge Scheduler in a trust policy.
const schedulerPrincipal = "scheduler.amazonaws.com"

// timerTarget is the templated target of a schedule.
type timerTarget struct {
	Arn, RoleArn          string
	Input                 *string
	SqsParameters         *sqsParameters
	EventBridgeParameters *struct{ DetailType, Source string }
	DeadLetterConfig      *deadLetterConfig
	RetryPolicy           *retryPolicy
}

// setTarget sets the target, or returns an error that names everything that is wrong with it.
func (t *timer) setTarget(p timerTarget, c *cloud.Cloud) error {
	if strings.HasPrefix(p.Arn, "arn:aws:scheduler:::aws-sdk:") {
		return fmt.Errorf("Target: Arn must be that of a queue, a topic, a function or an event bus in the local run, got the universal target %q", p.Arn)
	}
	made, problems := makeTarget(targetProperties{
		Arn: p.Arn, RoleArn: p.RoleArn, SqsParameters: p.SqsParameters, DeadLetterConfig: p.DeadLetterConfig, RetryPolicy: p.RetryPolicy,
	}, c)
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	made.timed, made.logicalID, made.ruleARN, made.service = true, t.logicalID, t.arn, schedulerPrincipal
	// Source: EventBridge Scheduler user guide, cross-service-confused-deputy-prevention: the source is the group.
	made.trusted = c.ARN("scheduler", "schedule-group/"+t.group)
	if p.RoleArn == "" {
		refuse("RoleArn must be set")
	}
	switch e := p.EventBridgeParameters; {
	case isBus(p.Arn) && e == nil:
		refuse("EventBridgeParameters must be set, because the target is an event bus")
	case isBus(p.Arn):
		made.event = &busEvent{Source: e.Source, DetailType: e.DetailType}
		answer, refused := entry{Source: e.Source, DetailType: e.DetailType, Detail: "{}"}.refusal()
		if refused {
			refuse("EventBridgeParameters: %s", answer.ErrorMessage)
		}
	case e != nil:
		refuse("EventBridgeParameters must be empty, because the target is not an event bus")
	}
	if p.Input != nil {
		made.input = input{constant: json.RawMessage(*p.Input), attributes: true}
		sample := occurrence{event: json.RawMessage(`{"time":"2026-01-01T00:00:00Z"}`), attempt: 1}
		if !isQueue(p.Arn) && !json.Valid(sample.withAttributes(made.input.constant)) {
			refuse("Input must be JSON for a function and for an event bus, got %q", *p.Input)
		}
	}
	t.target = made
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("Target: %w", err)
	}
	return nil
}

// delivery returns the delivery of a schedule that was due at a time. Its event is the notification that a target gets
// for which no Input is set, and keeps id and time of the execution.
// Source: EventBridge Scheduler API reference, Target, Input.
func (t *timer) delivery(due, now time.Time, region string) *delivery {
	event := encode(event{
		Version: "0", ID: uuid.NewString(), DetailType: "Scheduled Event", Source: "aws.scheduler", Account: cloud.Account,
		Time: due.UTC().Format(time.RFC3339), Region: region, Resources: []string{t.arn}, Detail: json.RawMessage(`"{}"`),
	})
	accepted := now
	if t.window > 0 {
		accepted = now.Add(rand.N(t.window))
	}
	return &delivery{RuleARN: t.arn, Event: event, AcceptedAt: accepted, Scheduled: true}
}

// execution returns the id and the time of a schedule's execution.
func (o occurrence) execution() (id, scheduled string) {
	var e struct{ ID, Time string }
	_ = json.Unmarshal(o.event, &e) // which delivery has written
	return e.ID, e.Time
}

// withAttributes returns a schedule's input with the values of the context attributes.
// Source: EventBridge Scheduler user guide, managing-schedule-context-attributes.
func (o occurrence) withAttributes(input json.RawMessage) json.RawMessage {
	id, scheduled := o.execution()
	return json.RawMessage(strings.NewReplacer(
		"<aws.scheduler.schedule-arn>", o.source,
		"<aws.scheduler.scheduled-time>", scheduled,
		"<aws.scheduler.execution-id>", id,
		"<aws.scheduler.attempt-number>", fmt.Sprint(o.attempt),
	).Replace(string(input)))
}
