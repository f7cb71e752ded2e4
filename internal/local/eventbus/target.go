package eventbus

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/async"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// Limits and defaults. Source: EventBridge API reference, RetryPolicy; EventBridge Scheduler API reference, RetryPolicy.
const (
	defaultRetries = 185 // also the maximum
	minAge         = 60
	defaultAge     = 86_400 // seconds; also the maximum
)

// A target is one target of a rule, or that of a schedule.
type target struct {
	id         string
	arn        string // of a queue, a topic, a function or an event bus
	logicalID  string // of the rule or schedule
	ruleARN    string // of the rule or schedule
	service    string // the principal that uses the target
	role       string // ARN of the role as which it does so; empty: the target's policy decides
	trusted    string // ARN of what the role's trust policy sees as the source
	input      input
	group      string // message group id, for FIFO queues
	retries    int    // of a function: of its asynchronous invocations, since handing them over to Lambda always works here
	maxAge     time.Duration
	deadLetter string    // ARN of a queue, or empty
	function   bool      // else a queue or a bus
	timed      bool      // it is that of a schedule
	event      *busEvent // what a schedule sends to a bus
	settings   async.Settings
}

// targetProperties are those that have a meaning for SQS queues, functions and event buses.
type targetProperties struct {
	Id               string
	Arn              string
	RoleArn          string            `json:",omitempty"`
	Input            *string           `json:",omitempty"`
	InputPath        *string           `json:",omitempty"`
	InputTransformer *inputTransformer `json:",omitempty"`
	SqsParameters    *sqsParameters    `json:",omitempty"`
	DeadLetterConfig *deadLetterConfig `json:",omitempty"`
	RetryPolicy      *retryPolicy      `json:",omitempty"`
}

type sqsParameters struct{ MessageGroupId string }

type deadLetterConfig struct{ Arn string }

type retryPolicy struct {
	MaximumRetryAttempts     *template.Int `json:",omitempty"`
	MaximumEventAgeInSeconds *template.Int `json:",omitempty"`
}

// targetID is the syntax of a target's id. Source: EventBridge API reference, Target.
var targetID = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,64}$`)

// newTarget returns a target of a rule, or an error that names everything that is wrong with it.
func newTarget(p targetProperties, c *cloud.Cloud) (target, error) {
	t, problems := makeTarget(p, c)
	if !targetID.MatchString(p.Id) {
		problems = append(problems, errors.New("Id must be 1 to 64 letters, digits, dots, dashes and underscores"))
	}
	if isBus(p.Arn) && (p.Input != nil || p.InputPath != nil || p.InputTransformer != nil) {
		problems = append(problems, errors.New("Input, InputPath and InputTransformer must be empty, because the target is an event bus, which receives the event as it is"))
	}
	var err error
	t.input, err = newInput(p)
	return t, errors.Join(append(problems, err)...)
}

// makeTarget returns what the targets of rules and schedules have in common.
func makeTarget(p targetProperties, c *cloud.Cloud) (target, []error) {
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	t := target{id: p.Id, arn: p.Arn, role: p.RoleArn, retries: defaultRetries, maxAge: defaultAge * time.Second, function: isFunction(p.Arn)}
	if p.SqsParameters != nil {
		t.group = p.SqsParameters.MessageGroupId
	}
	if p.DeadLetterConfig != nil {
		t.deadLetter = p.DeadLetterConfig.Arn
	}
	switch fifo := strings.HasSuffix(p.Arn, ".fifo"); {
	case cloud.IsTopic(p.Arn):
		problems = append(problems, checkTopic(p.Arn, t.group))
	case !isQueue(p.Arn) && !t.function && !isBus(p.Arn):
		refuse("Arn must be the ARN of an SQS queue, an SNS topic, a function or an event bus in the local run, got %q", p.Arn)
	case isBus(p.Arn) && !strings.HasPrefix(p.Arn, c.ARN("events", "event-bus/")):
		refuse("Arn must be that of an event bus in the region %s and the account %s, the only ones of the run, got %q", c.Region, cloud.Account, p.Arn)
	case fifo && t.group == "":
		refuse("SqsParameters.MessageGroupId must be set, because the target is the FIFO queue %q", p.Arn)
	case !fifo && t.group != "":
		refuse("SqsParameters.MessageGroupId must be empty, because the target is not a FIFO queue, got %q", t.group)
	}
	if t.deadLetter != "" && (!isQueue(t.deadLetter) || strings.HasSuffix(t.deadLetter, ".fifo")) {
		refuse("DeadLetterConfig: Arn must be the ARN of a standard SQS queue, got %q", t.deadLetter)
	}
	if p.RetryPolicy != nil {
		p.RetryPolicy.set(&t, refuse)
	}
	return t, problems
}

func (p retryPolicy) set(t *target, refuse func(format string, args ...any)) {
	if n := p.MaximumRetryAttempts; n != nil {
		if t.retries = int(*n); *n < 0 || *n > defaultRetries {
			refuse("RetryPolicy: MaximumRetryAttempts must be a whole number from 0 to %d, got %d", defaultRetries, *n)
		}
	}
	if n := p.MaximumEventAgeInSeconds; n != nil {
		if t.maxAge = time.Duration(*n) * time.Second; *n < minAge || *n > defaultAge {
			refuse("RetryPolicy: MaximumEventAgeInSeconds must be a whole number from %d to %d, got %d", minAge, defaultAge, *n)
		}
	}
}

func isQueue(arn string) bool {
	parts := strings.Split(arn, ":")
	return len(parts) == 6 && parts[2] == "sqs"
}

func isFunction(arn string) bool {
	parts := strings.Split(arn, ":")
	return len(parts) >= 7 && parts[2] == "lambda" && parts[5] == "function"
}

func isBus(arn string) bool {
	parts := strings.SplitN(arn, ":", 6)
	return len(parts) == 6 && parts[2] == "events" && strings.HasPrefix(parts[5], "event-bus/")
}
