package smoke

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

var alarmCheck = Check{
	Number: 5, Title: "an alarm's action notifies",
	Does: "subscribes a temporary queue to an alarm's topic and sets the alarm's state to ALARM; whoever the topic notifies gets a message",
	Open: "whether CloudWatch may publish to a topic that refuses requests without TLS",

	Minutes: 1, Dollars: 0.001, run: alarm,
}

func alarm(ctx context.Context, j *job) error {
	name, topic, err := j.notifyingAlarm(ctx)
	if err != nil {
		return err
	}
	q, err := j.newQueue(ctx, &j.cleanups, "alarms")
	if err != nil {
		return err
	}
	if err := j.letIn(ctx, q, "sns.amazonaws.com", topic); err != nil {
		return err
	}
	if err := j.subscribe(ctx, topic, q); err != nil {
		return err
	}
	began := time.Now()
	j.cleanups.add("the state of alarm "+name, func(ctx context.Context) error { return j.setAlarm(ctx, name, cwtypes.StateValueOk) })
	if err := j.setAlarm(ctx, name, cwtypes.StateValueAlarm); err != nil {
		return err
	}
	err = j.await(ctx, "topic "+topic+" notifies of alarm "+name, func() (bool, error) {
		out, err := j.Clients.Queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
		if err != nil {
			return false, err
		}
		for _, m := range out.Messages {
			if namesAlarm(aws.ToString(m.Body), name) {
				return true, nil
			}
		}
		return false, nil
	})
	if err == nil {
		j.see("notified after %s", time.Since(began).Round(time.Second))
	}
	return err
}

// namesAlarm reports whether a message of SNS is CloudWatch's about the alarm.
// Source: SNS developer guide, "Parsing Amazon SNS message formats"; CloudWatch user guide, "Using Amazon CloudWatch alarms".
func namesAlarm(body, alarm string) bool {
	var message struct{ Message string }
	var about struct{ AlarmName string }
	return json.Unmarshal([]byte(body), &message) == nil && json.Unmarshal([]byte(message.Message), &about) == nil && about.AlarmName == alarm
}

// notifyingAlarm returns an alarm of the stack that is not on, and its topic.
func (j *job) notifyingAlarm(ctx context.Context) (name, topic string, err error) {
	names := j.Stack.Alarms
	if len(names) > maxAlarms {
		names = names[:maxAlarms]
	}
	if len(names) == 0 {
		return "", "", skip("the stack has no alarm: set Alarms of the outbox")
	}
	out, err := j.Clients.Alarms.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: names})
	if err != nil {
		return "", "", fmt.Errorf("read the stack's alarms: %w", err)
	}
	for _, a := range out.MetricAlarms {
		for _, action := range a.AlarmActions {
			if strings.Contains(action, ":sns:") && a.StateValue != cwtypes.StateValueAlarm {
				return aws.ToString(a.AlarmName), action, nil
			}
		}
	}
	return "", "", skip("no alarm of the stack notifies a topic: set Alarms.Topic of the outbox, or alarmEmail of the environment")
}

// maxAlarms is how many one request may name. Source: CloudWatch API reference, DescribeAlarms.
const maxAlarms = 100

func (r *Runner) setAlarm(ctx context.Context, name string, state cwtypes.StateValue) error {
	_, err := r.Clients.Alarms.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{
		AlarmName: &name, StateValue: state, StateReason: aws.String("outbox smoke tries whether somebody is notified; nothing is wrong"),
	})
	if err != nil {
		return fmt.Errorf("set the state of alarm %s: %w", name, err)
	}
	return nil
}

// subscribe subscribes the queue to the topic until the check is done.
// Source: SNS API reference, Subscribe: a queue of the topic's own account needs no confirmation.
func (j *job) subscribe(ctx context.Context, topic string, q queue) error {
	arn, err := j.Clients.Web.sns(ctx, "SubscriptionArn", url.Values{
		"Action": {"Subscribe"}, "TopicArn": {topic}, "Protocol": {"sqs"}, "Endpoint": {q.arn}, "ReturnSubscriptionArn": {"true"},
	})
	if err != nil {
		return fmt.Errorf("subscribe to topic %s: %w", topic, err)
	}
	j.cleanups.add("subscription "+arn, func(ctx context.Context) error {
		_, err := j.Clients.Web.sns(ctx, "", url.Values{"Action": {"Unsubscribe"}, "SubscriptionArn": {arn}})
		return err
	})
	return nil
}
