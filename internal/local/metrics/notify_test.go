package metrics

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// An alarm notifies the actions of the state that it comes to, once.
func TestAlarmsNotify(t *testing.T) {
	s, now := newStore()
	var sent []Notification
	s.NotifyBy(func(n Notification) { sent = append(sent, n) })
	properties := map[string]any{
		"Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold",
		"TreatMissingData": "notBreaching", "AlarmActions": []any{"topic", "other"}, "OKActions": []any{"calm"}, "InsufficientDataActions": []any{"unknown"},
	}
	for name, enabled := range map[string]any{strings.Repeat("long", 30): true, "off": "false"} {
		properties["AlarmName"], properties["ActionsEnabled"] = name, enabled
		if _, err := s.ProvisionAlarm(cloud.New("eu-west-1"))(t.Context(), template.Resource{LogicalID: "A", Properties: properties}); err != nil {
			t.Fatal(err)
		}
	}
	actions := func() (all []string) {
		s.Alarms()
		for _, n := range sent {
			all = append(all, n.ActionARN)
		}
		return all
	}
	if got := actions(); !slices.Equal(got, []string{"calm"}) {
		t.Errorf("the first state is told to %v", got)
	}
	s.Put(Metric{"N", "M", nil}, "Count", now.at, 1)
	actions()
	if got := actions(); !slices.Equal(got, []string{"calm", "topic", "other"}) {
		t.Errorf("the alarm is told to %v", got)
	}
	if n := sent[1]; len(n.Subject) != maxSubject || !strings.HasPrefix(n.Subject, `ALARM: "longlong`) || n.AlarmID != "A" {
		t.Errorf("the notification is %+v", n)
	}
	var message struct{ OldStateValue, NewStateValue string }
	if err := json.Unmarshal([]byte(sent[1].Message), &message); err != nil || message.OldStateValue != OK || message.NewStateValue != Alarm {
		t.Errorf("the message is %s, %v", sent[1].Message, err)
	}
}
