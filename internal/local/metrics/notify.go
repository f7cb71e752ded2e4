package metrics

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// A Notification is what an alarm sends to one of its actions when it comes to another state.
type Notification struct {
	AlarmID, AlarmARN string // logical id and ARN
	ActionARN         string // a topic, or what the local run does not have
	Subject, Message  string
}

// A Notifier takes the notifications of alarms, one at a time. It must not call the store.
type Notifier func(Notification)

// NotifyBy makes alarms that come to another state notify their actions. It must be called before [Store.Run].
func (s *Store) NotifyBy(n Notifier) { s.notifier = n }

// notify notifies the actions of an alarm that has come to its state from another one. Its caller holds evaluating.
func (s *Store) notify(d Description, before string) {
	if s.notifier == nil || d.ActionsEnabled != nil && !bool(*d.ActionsEnabled) {
		return
	}
	actions := map[string][]string{OK: d.OKActions, Alarm: d.AlarmActions, InsufficientData: d.InsufficientDataActions}[d.State]
	for _, action := range actions {
		s.notifier(Notification{d.LogicalID, d.ARN, action, d.subject(), d.message(before)})
	}
}

// maxSubject limits the characters of a subject. Source: SNS API reference, Publish.
const maxSubject = 100

func (d Description) subject() string {
	subject := []rune(fmt.Sprintf("%s: %q in %s", d.State, d.AlarmName, d.region()))
	return string(subject[:min(len(subject), maxSubject)])
}

// region returns the region of the alarm. CloudWatch writes its name in words, such as EU (Ireland).
func (d Description) region() string { return strings.Split(d.ARN, ":")[3] }

// A stateChange is CloudWatch's message about an alarm. The fields are those of a message that AWS has sent.
// Source: aws/aws-lambda-go, events/testdata/cloudwatch-alarm-sns-payload-single-metric.json.
type stateChange struct {
	AlarmName               string
	AlarmDescription        *string
	AWSAccountId            string
	NewStateValue           string
	NewStateReason          string
	StateChangeTime         string
	Region                  string
	AlarmArn                string
	OldStateValue           string
	OKActions               []string
	AlarmActions            []string
	InsufficientDataActions []string
	Trigger                 trigger
}

type trigger struct {
	MetricName                       string `json:",omitempty"`
	Namespace                        string `json:",omitempty"`
	StatisticType                    string `json:",omitempty"`
	Statistic                        string `json:",omitempty"`
	Unit                             *string
	Dimensions                       []triggerDimension
	Period                           int
	EvaluationPeriods                int
	DatapointsToAlarm                *int `json:",omitempty"`
	ComparisonOperator               string
	Threshold                        float64
	TreatMissingData                 string
	EvaluateLowSampleCountPercentile string
}

type triggerDimension struct {
	Value string `json:"value"`
	Name  string `json:"name"`
}

// changeForm is the form of StateChangeTime.
const changeForm = "2006-01-02T15:04:05.000-0700"

func (d Description) message(before string) string {
	change := stateChange{
		AlarmName: d.AlarmName, AWSAccountId: cloud.Account, NewStateValue: d.State, NewStateReason: d.Reason,
		StateChangeTime: d.Changed.UTC().Format(changeForm), Region: d.region(), AlarmArn: d.ARN, OldStateValue: before,
		OKActions: list(d.OKActions), AlarmActions: list(d.AlarmActions), InsufficientDataActions: list(d.InsufficientDataActions),
		Trigger: d.trigger(),
	}
	if d.AlarmDescription != "" {
		change.AlarmDescription = &d.AlarmDescription
	}
	encoded, _ := json.Marshal(change) // texts and numbers always encode
	return string(encoded)
}

func (d Description) trigger() trigger {
	t := trigger{
		MetricName: d.MetricName, Namespace: d.Namespace, StatisticType: "Statistic", Statistic: strings.ToUpper(d.Statistic),
		Dimensions: []triggerDimension{}, Period: d.Seconds, EvaluationPeriods: int(d.EvaluationPeriods),
		ComparisonOperator: d.ComparisonOperator, Threshold: d.Limit, TreatMissingData: d.TreatMissingData,
	}
	if n := d.DatapointsToAlarm; n != nil {
		whole := int(*n)
		t.DatapointsToAlarm = &whole
	}
	dimensions := d.Dimensions
	if len(d.Metrics) == 1 && d.Metrics[0].MetricStat != nil {
		of := d.Metrics[0].MetricStat
		t.MetricName, t.Namespace, t.Statistic, dimensions = of.Metric.MetricName, of.Metric.Namespace, strings.ToUpper(of.Stat), of.Metric.Dimensions
	}
	for _, one := range dimensions {
		t.Dimensions = append(t.Dimensions, triggerDimension{one.Value, one.Name})
	}
	return t
}

// list returns the texts as a list that is never null.
func list(texts []string) []string { return append([]string{}, texts...) }
