package local

import (
	"context"
	"fmt"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/metrics"
	"github.com/outboxkit/transactional-outbox/internal/local/topics"
)

// alarmPrincipal is the name of CloudWatch in the policy of a topic.
const alarmPrincipal = "cloudwatch.amazonaws.com"

// notifyTopics returns what sends the notifications of alarms to their topics. On AWS a notification is lost silently when
// the topic does not let the alarm in; here a hop says so. What is not a topic of the stack is named once.
func notifyTopics(topic *topics.Service, policies targetPolicies, sink hop.Sink, notice func(string)) metrics.Notifier {
	noticed := map[string]bool{}
	return func(n metrics.Notification) {
		if !topic.HasTopic(n.ActionARN) {
			if !noticed[n.ActionARN] {
				notice(fmt.Sprintf("Alarms do not notify %s here: it is not a topic of the stack.", n.ActionARN))
			}
			noticed[n.ActionARN] = true
			return
		}
		why := "the topic's policy does not allow the alarm to publish"
		if policies.Allows(n.ActionARN, alarmPrincipal, n.AlarmARN) {
			err := topic.Send(context.Background(), n.ActionARN, n.Subject, n.Message)
			if err == nil {
				return
			}
			why = err.Error()
		}
		sink(hop.Hop{At: time.Now(), Stage: hop.Topic, Resource: n.AlarmID, Target: n.ActionARN, Outcome: hop.Dropped, Count: 1, Detail: n.Subject + ": " + why})
	}
}
