package eventbus

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// timerResource returns a schedule, changed by properties of the same names.
func timerResource(change, target map[string]any) template.Resource {
	properties := map[string]any{"ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": map[string]any{"Mode": "OFF"}}
	all := map[string]any{"Arn": queueARN, "RoleArn": roleARN}
	for name, value := range target {
		all[name] = value
	}
	properties["Target"] = all
	for name, value := range change {
		properties[name] = value
	}
	return template.Resource{LogicalID: "Timer", PhysicalName: "timer", Properties: properties}
}

// timed runs a schedule for a while.
func timed(w *clockwork, r template.Resource, d time.Duration) {
	w.t.Helper()
	if _, err := w.provisionTimer(w.t.Context(), r); err != nil {
		w.t.Fatal(err)
	}
	w.run(d)
}

// The clock of a bubble begins on 2000-01-01 at 0:00 UTC.
func TestWhenASchedule(t *testing.T) {
	const hour = time.Hour
	for name, c := range map[string]struct {
		change map[string]any
		want   []time.Duration
	}{
		"is a rate":               {nil, []time.Duration{0, hour, 2 * hour, 3 * hour}},
		"has a start":             {map[string]any{"StartDate": "2000-01-01T01:30:00Z"}, []time.Duration{90 * time.Minute, 150 * time.Minute}},
		"has an end":              {map[string]any{"EndDate": "2000-01-01T01:00:00.000Z"}, []time.Duration{0, hour}},
		"is a cron":               {map[string]any{"ScheduleExpression": "cron(0 3 * * ? *)"}, []time.Duration{3 * hour}},
		"is a cron in a zone":     {map[string]any{"ScheduleExpression": "cron(0 3 * * ? *)", "ScheduleExpressionTimezone": "Europe/Berlin"}, []time.Duration{2 * hour}},
		"is due once":             {map[string]any{"ScheduleExpression": "at(2000-01-01T02:00:00)", "ActionAfterCompletion": "DELETE"}, []time.Duration{2 * hour}},
		"is due once in a zone":   {map[string]any{"ScheduleExpression": "at(1999-12-31T20:00:00)", "ScheduleExpressionTimezone": "America/New_York"}, []time.Duration{hour}},
		"is disabled":             {map[string]any{"State": "DISABLED"}, nil},
		"was due before":          {map[string]any{"ScheduleExpression": "at(1999-12-31T20:00:00)"}, nil},
		"is due once after dates": {map[string]any{"ScheduleExpression": "at(2000-01-01T02:00:00)", "EndDate": "2000-01-01T01:00:00Z"}, []time.Duration{2 * hour}},
	} {
		inBubble(t, name, func(t *testing.T, path string) {
			w := newClockwork(t, path, rarely)
			timed(w, timerResource(c.change, map[string]any{"Arn": functionARN}), 3*hour+time.Minute)
			expect(t, "calls", w.calls, c.want)
		})
	}
}

// A rate goes on where it was, and is not due again because the run starts.
func TestARateGoesOnAfterARestart(t *testing.T) {
	inBubble(t, "", func(t *testing.T, path string) {
		w := newClockwork(t, path, rarely)
		timed(w, timerResource(nil, map[string]any{"Arn": functionARN}), 90*time.Minute)
		afterKill(t, w.db)
		w.db.Close()
		w = newClockwork(t, path, rarely)
		timed(w, timerResource(nil, map[string]any{"Arn": functionARN}), time.Hour)
		expect(t, "calls", w.calls, []time.Duration{30 * time.Minute})
	})
}

func TestAFlexibleTimeWindow(t *testing.T) {
	inBubble(t, "", func(t *testing.T, path string) {
		w := newClockwork(t, path, rarely)
		change := map[string]any{"FlexibleTimeWindow": map[string]any{"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 20}}
		timed(w, timerResource(change, map[string]any{"Arn": functionARN, "Input": `"<aws.scheduler.scheduled-time>"`}), 40*time.Hour)
		spread := map[time.Duration]bool{}
		for i, at := range w.calls {
			late := at % time.Hour
			spread[late] = true
			if late >= 20*time.Minute || !strings.HasSuffix(w.events[i], `:00:00Z"`) {
				t.Errorf("call at %v with %s", at, w.events[i])
			}
		}
		if len(w.calls) < 38 || len(spread) < 10 {
			t.Errorf("%d calls at %d times of the hour", len(w.calls), len(spread))
		}
	})
}

func TestWhatAScheduleSends(t *testing.T) {
	inBubble(t, "to a queue", func(t *testing.T, path string) {
		w := newClockwork(t, path, rarely)
		timed(w, timerResource(map[string]any{"ScheduleExpression": "at(2000-01-01T00:05:00)"}, map[string]any{
			"Arn": queueARN + ".fifo", "SqsParameters": map[string]any{"MessageGroupId": "g"},
			"Input": "<aws.scheduler.schedule-arn> at <aws.scheduler.scheduled-time>, attempt <aws.scheduler.attempt-number>",
		}), time.Hour)
		expect(t, "messages", w.sent[queueARN+".fifo"], []message{{
			body: "arn:aws:scheduler:eu-west-1:000000000000:schedule/default/timer at 2000-01-01T00:05:00Z, attempt 1", group: "g",
		}})
		expect(t, "stage", w.hops[0].Stage, hop.Schedule)
	})
	inBubble(t, "without an input", func(t *testing.T, path string) {
		w := newClockwork(t, path, rarely)
		timed(w, timerResource(nil, map[string]any{"Arn": functionARN}), time.Minute)
		var got map[string]any
		if err := json.Unmarshal([]byte(w.events[0]), &got); err != nil || got["source"] != "aws.scheduler" || got["detail"] != "{}" {
			t.Errorf("%s (%v)", w.events[0], err)
		}
	})
	inBubble(t, "to a bus", func(t *testing.T, path string) {
		w := newClockwork(t, path, rarely)
		if _, err := w.provisionTimer(t.Context(), timerResource(map[string]any{"ScheduleExpression": "at(2000-01-01T00:00:30)"}, map[string]any{
			"Arn": anyBus + "second", "EventBridgeParameters": map[string]any{"Source": "orders", "DetailType": "Tick"}, "Input": `{"id":"tick","n":<aws.scheduler.attempt-number>}`,
		})); err != nil {
			t.Fatal(err)
		}
		got := w.put(ruleOf("second", "R", map[string]any{"Id": "T", "Arn": queueARN, "InputPath": "$.detail"}))
		expect(t, "bodies", got, []string{`{"id":"tick","n":1}`})
	})
}

func TestWhatAScheduleGivesUp(t *testing.T) {
	inBubble(t, "", func(t *testing.T, path string) {
		w := newClockwork(t, path, rarely)
		w.dispatcher.exists = func(arn string) bool { return arn == queueARN || arn == deadLetterARN }
		send := w.dispatcher.sender
		w.dispatcher.sender = senderFunc(func(ctx context.Context, arn string, m message) error {
			if arn == queueARN {
				return &failure{codeTarget, false, errors.New("busy")}
			}
			return send.send(ctx, arn, m)
		})
		timed(w, timerResource(map[string]any{"ScheduleExpression": "at(2000-01-01T00:05:00)"}, map[string]any{
			"Input": "attempt <aws.scheduler.attempt-number>", "DeadLetterConfig": map[string]any{"Arn": deadLetterARN},
			"RetryPolicy": map[string]any{"MaximumRetryAttempts": 2},
		}), time.Hour)
		got := w.sent[deadLetterARN]
		if len(got) != 1 {
			t.Fatalf("dead-letter messages %+v, hops %+v", got, w.hops)
		}
		id := got[0].attributes["EXECUTION_ID"]
		expect(t, "dead-letter message", got[0], message{body: "attempt 3", attributes: map[string]string{
			"SCHEDULE_ARN": "arn:aws:scheduler:eu-west-1:000000000000:schedule/default/timer", "TARGET_ARN": queueARN, "EXECUTION_ID": id,
			"SCHEDULED_TIME": "2000-01-01T00:05:00Z", "ERROR_CODE": "ERROR_FROM_TARGET", "ERROR_MESSAGE": "busy", "RETRY_ATTEMPTS": "2",
			"IS_PAYLOAD_TRUNCATED": "false", "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
		}})
	})
}

// A schedule asks for its role everywhere, on behalf of its group.
func TestTheRoleOfASchedule(t *testing.T) {
	inBubble(t, "", func(t *testing.T, path string) {
		w := newClockwork(t, path, rarely)
		var questions []string
		w.dispatcher.policies = asked{&questions}
		if _, err := w.provisionTimerGroup(t.Context(), template.Resource{PhysicalName: "mine"}); err != nil {
			t.Fatal(err)
		}
		if err := w.Prepare(t.Context()); err != nil {
			t.Error(err)
		}
		timed(w, timerResource(map[string]any{"GroupName": "mine"}, map[string]any{"DeadLetterConfig": map[string]any{"Arn": deadLetterARN}}), time.Minute)
		const role = "role " + roleARN + " scheduler.amazonaws.com arn:aws:scheduler:eu-west-1:000000000000:schedule-group/mine "
		expect(t, "questions", questions, []string{role + queueARN + "\n", role + deadLetterARN + "\n"})
	})
}

func TestSchedulesThatAreRefused(t *testing.T) {
	w := listen(t, filepath.Join(t.TempDir(), "j.db"))
	window := func(mode string, minutes any) map[string]any {
		return map[string]any{"FlexibleTimeWindow": map[string]any{"Mode": mode, "MaximumWindowInMinutes": minutes}}
	}
	for name, c := range map[string]struct {
		change, target map[string]any
		want           string
	}{
		"name":                  {map[string]any{"Name": "a b"}, nil, "Name must be 1 to 64 letters"},
		"expression":            {map[string]any{"ScheduleExpression": "daily"}, nil, "ScheduleExpression: a schedule must be rate"},
		"zone":                  {map[string]any{"ScheduleExpressionTimezone": "Mars"}, nil, `ScheduleExpressionTimezone must be a time zone such as Europe/Berlin, got "Mars"`},
		"start":                 {map[string]any{"StartDate": "tomorrow"}, nil, `StartDate must be a time stamp as in RFC 3339, got "tomorrow"`},
		"end before start":      {map[string]any{"StartDate": "2026-01-02T00:00:00Z", "EndDate": "2026-01-01T00:00:00Z"}, nil, "EndDate must be after StartDate"},
		"state":                 {map[string]any{"State": "ON"}, nil, `State must be ENABLED or DISABLED, got "ON"`},
		"after completion":      {map[string]any{"ActionAfterCompletion": "KEEP"}, nil, `ActionAfterCompletion must be NONE or DELETE, got "KEEP"`},
		"no window":             {window("", nil), nil, `Mode must be OFF or FLEXIBLE, got ""`},
		"minutes without mode":  {window("OFF", 1), nil, "MaximumWindowInMinutes must be empty"},
		"too long a window":     {window("FLEXIBLE", 1441), nil, "MaximumWindowInMinutes must be a whole number from 1 to 1440"},
		"universal target":      {nil, map[string]any{"Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"}, `got the universal target "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"`},
		"a stream":              {nil, map[string]any{"Arn": "arn:aws:kinesis:eu-west-1:000000000000:stream/s"}, "Target: Arn must be the ARN of an SQS queue, an SNS topic, a function or an event bus"},
		"a bus elsewhere":       {nil, map[string]any{"Arn": "arn:aws:events:eu-west-1:222222222222:event-bus/b"}, "Target: Arn must be that of an event bus in the region eu-west-1 and the account 000000000000"},
		"no role":               {nil, map[string]any{"RoleArn": ""}, "RoleArn must be set"},
		"input of a function":   {nil, map[string]any{"Arn": functionARN, "Input": "text"}, "Input must be JSON for a function"},
		"a bus without event":   {nil, map[string]any{"Arn": anyBus + "b"}, "EventBridgeParameters must be set"},
		"a queue with an event": {nil, map[string]any{"EventBridgeParameters": map[string]any{}}, "EventBridgeParameters must be empty"},
		"an event of AWS":       {nil, map[string]any{"Arn": anyBus + "b", "EventBridgeParameters": map[string]any{"Source": "aws.x", "DetailType": "d"}}, "Not authorized for the source"},
		"retries":               {nil, map[string]any{"RetryPolicy": map[string]any{"MaximumRetryAttempts": 186}}, "MaximumRetryAttempts must be a whole number from 0 to 185, got 186"},
		"a FIFO queue's group":  {nil, map[string]any{"Arn": queueARN + ".fifo"}, "MessageGroupId must be set"},
		"a FIFO queue for dead": {nil, map[string]any{"DeadLetterConfig": map[string]any{"Arn": deadLetterARN + ".fifo"}}, "DeadLetterConfig: Arn must be the ARN of a standard SQS queue"},
		"a task":                {nil, map[string]any{"EcsParameters": map[string]any{}}, "property Target.EcsParameters is not supported by the local run"},
	} {
		_, err := w.provisionTimer(t.Context(), timerResource(c.change, c.target))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := w.provisionTimerGroup(t.Context(), template.Resource{PhysicalName: "default"}); err == nil {
		t.Error("a second default group was taken")
	}
	if _, err := w.provisionTimer(t.Context(), timerResource(map[string]any{"GroupName": "theirs"}, nil)); err != nil {
		t.Error(err)
	}
	if err := w.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), `schedule Timer: GroupName must be that of a group of the stack or "default", got "theirs"`) {
		t.Errorf("Prepare: %v", err)
	}
}
