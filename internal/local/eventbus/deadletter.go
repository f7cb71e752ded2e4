package eventbus

import "strconv"

// ofDeadLetter returns the target as whoever sends to its dead-letter queue: a rule does so by the queue's policy, whatever
// the role of its target, and a schedule as its role.
// Source: EventBridge user guide, eb-rule-event-delivery; EventBridge Scheduler user guide, configuring-schedule-dlq.
func (t target) ofDeadLetter() target {
	if !t.timed {
		t.role = ""
	}
	return t
}

// deadLetter returns the dead-letter message: the event, and the reason why it was not delivered.
// Source: EventBridge user guide, eb-rule-event-delivery, "Using dead-letter queues".
func deadLetter(t target, one *delivery, failed *failure, condition string) message {
	if t.timed {
		return timedDeadLetter(t, one, failed, condition)
	}
	attributes := map[string]string{
		"RULE_ARN":       t.ruleARN,
		"TARGET_ARN":     t.arn,
		"ERROR_CODE":     failed.code,
		"ERROR_MESSAGE":  failed.err.Error(),
		"RETRY_ATTEMPTS": strconv.Itoa(one.Retries),
	}
	if condition != "" {
		attributes["EXHAUSTED_RETRY_CONDITION"] = condition
	}
	return message{body: string(one.Event), attributes: attributes}
}

// timedDeadLetter returns the dead-letter message of a schedule: what the target was to receive, and the reason.
// Source: EventBridge Scheduler user guide, configuring-schedule-dlq, "Retrieve the dead-letter event".
func timedDeadLetter(t target, one *delivery, failed *failure, condition string) message {
	o := one.occurrence()
	id, at := o.execution()
	attributes := map[string]string{
		"SCHEDULE_ARN":         t.ruleARN,
		"TARGET_ARN":           t.arn,
		"EXECUTION_ID":         id,
		"SCHEDULED_TIME":       at,
		"ERROR_CODE":           failed.code,
		"ERROR_MESSAGE":        failed.err.Error(),
		"RETRY_ATTEMPTS":       strconv.Itoa(one.Retries),
		"IS_PAYLOAD_TRUNCATED": "false",
	}
	if condition != "" {
		attributes["EXHAUSTED_RETRY_CONDITION"] = condition
	}
	body, err := t.input.apply(o)
	if err != nil {
		body = one.Event
	}
	return message{body: string(body), attributes: attributes}
}
