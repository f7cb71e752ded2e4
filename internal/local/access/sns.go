package access

import (
	"net/http"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/control/wire"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const publish = "sns:Publish"

// topicRequests returns the request of a call to SNS. A batch needs the permission of its single action, and a subscription
// is a matter of its topic.
// Source: Service authorization reference, list_amazonsns.
func topicRequests(r *wire.Request) []iam.Request {
	var on struct{ TopicArn, TargetArn, SubscriptionArn string }
	_ = r.Decode(&on) // the endpoint refuses what it cannot read
	resource := "*"
	switch {
	case on.TopicArn != "":
		resource = on.TopicArn
	case on.TargetArn != "":
		resource = on.TargetArn
	case strings.Count(on.SubscriptionArn, ":") > 5:
		resource = on.SubscriptionArn[:strings.LastIndex(on.SubscriptionArn, ":")]
	}
	return []iam.Request{{Action: "sns:" + strings.TrimSuffix(r.Operation, "Batch"), Resource: resource}}
}

// topicDenial returns a denial as SNS words it: actions begin with the name of the service in capitals.
// Source: SNS API reference, Publish, AuthorizationError; aws-ia/terraform-aws-control_tower_account_factory issue 151 for the
// wording.
func topicDenial(denied *Denial) *wire.Error {
	action := "SNS" + strings.TrimPrefix(denied.Request.Action, "sns")
	return &wire.Error{Status: http.StatusForbidden, Code: "AuthorizationError", Message: denied.text(action)}
}

// noteSubscription notes the endpoint and the dead-letter queue of a subscription. AWS makes a subscription whose endpoint
// does not let the topic send, and its messages are lost.
// Source: SNS developer guide, subscribe-sqs-queue-to-sns-topic and sns-dead-letter-queues.
func (a *Authority) noteSubscription(r template.Resource, topicARN string, p subscription) {
	if p.Protocol == "sqs" || p.Protocol == "lambda" {
		a.noteSender(r.LogicalID, "sns.amazonaws.com", topicARN, p.Endpoint, p.RedrivePolicy.DeadLetterTargetArn)
	}
}

// A subscription is what is noted of one.
type subscription struct {
	TopicArn, Protocol, Endpoint string
	RedrivePolicy                struct {
		DeadLetterTargetArn string `json:"deadLetterTargetArn"`
	}
}

// noteTopic notes the subscriptions that a topic has inline.
func (a *Authority) noteTopic(r template.Resource, arn string) error {
	var p struct{ Subscription []subscription }
	if err := read(r, &p); err != nil {
		return err
	}
	for _, inline := range p.Subscription {
		a.noteSubscription(r, arn, inline)
	}
	return nil
}

// noteAlarm notes the topics that an alarm notifies.
// Source: CloudWatch user guide, Notify_Users_Alarm_Changes.
func (a *Authority) noteAlarm(r template.Resource, arn string) error {
	var p struct{ AlarmActions, OKActions, InsufficientDataActions []string }
	if err := read(r, &p); err != nil {
		return err
	}
	a.noteSender(r.LogicalID, "cloudwatch.amazonaws.com", arn, slices.Concat(p.AlarmActions, p.OKActions, p.InsufficientDataActions)...)
	return nil
}
