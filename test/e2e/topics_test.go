package e2e

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// fannedOut returns the stack with a topic that a rule of its bus sends to, and a queue that is subscribed.
func fannedOut(t *testing.T) string {
	t.Helper()
	return patched(t, func(p tmpl) {
		type object = map[string]any
		copies, topic := object{"Fn::GetAtt": []any{"Copies", "Arn"}}, object{"Ref": "Fan"}
		allow := func(service, action string, on, source any) object {
			return object{"Version": "2012-10-17", "Statement": []any{object{
				"Effect": "Allow", "Principal": object{"Service": service}, "Action": action, "Resource": on,
				"Condition": object{"ArnEquals": object{"aws:SourceArn": source}},
			}}}
		}
		add := func(id, kind string, properties object) {
			p.resources[id] = object{"Type": kind, "Properties": properties}
		}
		add("Fan", "AWS::SNS::Topic", object{})
		add("FanPolicy", "AWS::SNS::TopicPolicy", object{
			"Topics": []any{topic}, "PolicyDocument": allow("events.amazonaws.com", "sns:Publish", topic, object{"Fn::GetAtt": []any{"FanRule", "Arn"}}),
		})
		add("FanRule", "AWS::Events::Rule", object{
			"EventBusName": object{"Ref": p.id("AWS::Events::EventBus", "Outbox")}, "EventPattern": object{"detail-type": []any{"OrderCreated"}},
			"Targets": []any{object{"Id": "Fan", "Arn": topic}},
		})
		add("Copies", "AWS::SQS::Queue", object{"QueueName": "copies"})
		add("CopiesPolicy", "AWS::SQS::QueuePolicy", object{
			"Queues": []any{object{"Ref": "Copies"}}, "PolicyDocument": allow("sns.amazonaws.com", "sqs:SendMessage", copies, topic),
		})
		add("CopiesSubscription", "AWS::SNS::Subscription", object{
			"TopicArn": topic, "Protocol": "sqs", "Endpoint": copies, "RawMessageDelivery": true,
			"FilterPolicyScope": "MessageBody", "FilterPolicy": object{"detail": object{"id": []any{object{"exists": true}}}},
		})
	})
}

// TestTopicsOutliveAKill ends the local run with kill -9 right after orders were accepted, and shows that the event of each
// comes through the topic.
func TestTopicsOutliveAKill(t *testing.T) {
	t.Parallel()
	data, app := t.TempDir(), fannedOut(t)
	var orders []string
	for range 2 {
		run := launch(t, app, "--data", data)
		for range 5 {
			orders = append(orders, post(t, run, bought("fanned-out")))
		}
		run.Kill()
	}
	run := start(t, app, "--data", data)
	orders = append(orders, post(t, run, bought("fanned-out")))
	seen := copiesOf(t, run, len(orders))
	for _, order := range orders {
		if !slices.Contains(seen, order+"-1") {
			t.Errorf("the event of order %s did not come", order)
		}
	}
	last := orders[len(orders)-1] + "-1"
	if _, err := run.Wait(within(t), 1, func(h hop.Hop) bool {
		return h.Stage == hop.Topic && h.Resource == "Fan" && h.Outcome == hop.OK && slices.Contains(h.EventIDs, last)
	}); err != nil {
		t.Errorf("no hop of the topic names the event: %v", err)
	}
}

// copiesOf receives from the subscribed queue until it has had n different events, and returns their ids.
func copiesOf(t *testing.T, run *localrun.Run, n int) (ids []string) {
	t.Helper()
	ctx, queues := within(t), run.Cloud().SQS()
	url := run.Cloud().QueueURL("arn:aws:sqs:us-east-1:000000000000:copies")
	for len(ids) < n {
		out, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: aws.String(url), MaxNumberOfMessages: 10, WaitTimeSeconds: 5})
		if err != nil {
			t.Fatalf("%d of %d events came: %v", len(ids), n, err)
		}
		for _, m := range out.Messages {
			var event struct {
				Detail struct {
					ID string `json:"id"`
				} `json:"detail"`
			}
			if err := json.Unmarshal([]byte(*m.Body), &event); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(ids, event.Detail.ID) {
				ids = append(ids, event.Detail.ID)
			}
		}
	}
	return ids
}
