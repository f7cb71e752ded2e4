package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// TestAuditorAndHeartbeat makes the two functions that the construct ships do everything that they do, with the permissions
// that it gives them: a heartbeat goes round, and an effect that is missing comes on the auditor's list and leaves it.
// The test does not wait for the schedules, and the times that events are collected for and that effects may take are shorter
// than in the application's template.
func TestAuditorAndHeartbeat(t *testing.T) {
	t.Parallel()
	run := start(t, patched(t, func(p tmpl) {
		description := p.find("AWS::SSM::Parameter", "Outbox/Description")
		raw, err := json.Marshal(description["Properties"])
		if err != nil {
			t.Fatal(err)
		}
		shorter := strings.Replace(string(raw), `confirmWithinSeconds\":\"900\"`, `confirmWithinSeconds\":\"2\"`, 1)
		if shorter == string(raw) {
			t.Fatal("the description does not say that effects may take 900 seconds")
		}
		description["Properties"] = json.RawMessage(shorter)
		p.properties("AWS::Lambda::EventSourceMapping", "Outbox/AuditMapping")["MaximumBatchingWindowInSeconds"] = 0
	}))
	t.Cleanup(func() { noteRequests(t, run) }) // before the run ends: the policies are those of the unchanged template
	t.Run("a heartbeat goes round", func(t *testing.T) {
		invoke(t, run, "Outbox/Heartbeat")
		if _, err := run.Wait(within(t), 1, func(h hop.Hop) bool { return h.Outcome == hop.OK && strings.Contains(h.Target, "HeartbeatQueue") }); err != nil {
			t.Fatalf("the heartbeat is not in its queue: %v", err)
		}
		queue := ref(t, run, "AWS::SQS::Queue", "Outbox/HeartbeatQueue")
		beats := 1
		eventually(t, "the heartbeats but the last are received and deleted", func(ctx context.Context) bool {
			invoke(t, run, "Outbox/Heartbeat")
			beats++
			out, err := run.Cloud().SQS().GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
				QueueUrl: &queue, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll},
			})
			if err != nil {
				return false
			}
			visible, hidden := out.Attributes["ApproximateNumberOfMessages"], out.Attributes["ApproximateNumberOfMessagesNotVisible"]
			return beats >= 3 && (visible == "0" || visible == "1") && hidden == "0"
		})
	})
	operate(t, run, "pause", "--consumer", "PublisherTwo", "--yes").check(t, 0)
	writeLater(t, run, post(t, run, tea))
	t.Run("a message that is not due is hidden", func(t *testing.T) { copyPending(t, run) })
	t.Run("what is missing is on the list", func(t *testing.T) {
		eventually(t, "an item for PublisherTwo", func(context.Context) bool {
			invoke(t, run, "Outbox/Auditor")
			return len(unconfirmed(t, run)) > 0
		})
	})
	t.Run("and leaves it", func(t *testing.T) {
		operate(t, run, "resume", "--consumer", "PublisherTwo", "--yes").check(t, 0)
		eventually(t, "an empty list", func(context.Context) bool {
			items := unconfirmed(t, run)
			for _, item := range items {
				item["nextCheckAt"] = &types.AttributeValueMemberN{Value: "1"}
				_, err := run.Cloud().DynamoDB().PutItem(within(t), &dynamodb.PutItemInput{
					TableName: aws.String(ref(t, run, "AWS::DynamoDB::Table", "Outbox/AuditTable")), Item: item, ConditionExpression: aws.String("attribute_exists(" + record.AttrPK + ")"),
				})
				if err != nil {
					t.Logf("the item has just left the list: %v", err)
				}
			}
			invoke(t, run, "Outbox/Auditor")
			return len(items) == 0
		})
	})
	for _, notice := range run.Notices() {
		if strings.HasPrefix(notice, "IAM: ") {
			t.Errorf("denied: %s", notice)
		}
	}
}

// ref returns what Ref returns for the resource of the type with that construct path.
func ref(t *testing.T, run *localrun.Run, kind, path string) string {
	t.Helper()
	for _, r := range run.Summary.Resources {
		if r.Type == kind && strings.HasPrefix(r.Name+"/", path+"/") {
			return r.Ref
		}
	}
	t.Fatalf("no %s has the path %q", kind, path)
	return ""
}

// invoke invokes a function as its schedule does, and fails when the function fails.
func invoke(t *testing.T, run *localrun.Run, path string) {
	t.Helper()
	client := lambda.New(lambda.Options{
		Region: run.Summary.Region, BaseEndpoint: aws.String(run.Cloud().Endpoint(cloud.Others)),
		Credentials: credentials.NewStaticCredentialsProvider(cloud.DeveloperKey, cloud.DeveloperKey, ""),
	})
	event := fmt.Sprintf(`{"source":"aws.events","account":%q,"region":%q}`, cloud.Account, run.Summary.Region)
	out, err := client.Invoke(within(t), &lambda.InvokeInput{FunctionName: aws.String(ref(t, run, "AWS::Lambda::Function", path)), Payload: []byte(event)})
	if err != nil || out.FunctionError != nil {
		t.Fatalf("%s fails: %v %s", path, err, out.Payload)
	}
}

// writeLater writes the event of an order again, as that of another order and as if half an hour later: the audit expects no
// effect of the first minutes of a stack, and takes a writer's clock that is within an hour of DynamoDB's.
func writeLater(t *testing.T, run *localrun.Run, order string) {
	t.Helper()
	const later = "written-later"
	out, err := run.Cloud().DynamoDB().GetItem(within(t), &dynamodb.GetItemInput{
		TableName: aws.String(run.Summary.Outputs["OutboxTableName"]), Key: outboxKey(order),
	})
	if err != nil || out.Item == nil {
		t.Fatalf("the order's event: %v, %v", out, err)
	}
	maps.Copy(out.Item, outboxKey(later))
	out.Item[record.AttrID] = &types.AttributeValueMemberS{Value: later + "-1"}
	out.Item[record.AttrAggregateID] = &types.AttributeValueMemberS{Value: later}
	out.Item[record.AttrWrittenAt] = &types.AttributeValueMemberN{Value: strconv.FormatInt(time.Now().Add(30*time.Minute).UnixMilli(), 10)}
	writeTogether(t, run, out.Item)
}

// outboxKey returns the key of the first event of an order.
func outboxKey(order string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		record.AttrPK: &types.AttributeValueMemberS{Value: record.PartitionKey("Order", order)},
		record.AttrSK: &types.AttributeValueMemberS{Value: record.SortKey(order + "-1")},
	}
}

// copyPending waits for what the auditor has put into its queue and sends it there again, due in an hour. On AWS such
// messages are those of an audit that waits longer than the queue can.
func copyPending(t *testing.T, run *localrun.Run) {
	t.Helper()
	queue := ref(t, run, "AWS::SQS::Queue", "Outbox/AuditQueue")
	var pending map[string]any
	eventually(t, "an event waits to be looked for", func(ctx context.Context) bool {
		out, err := run.Cloud().SQS().ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &queue, VisibilityTimeout: 1, WaitTimeSeconds: 1})
		return err == nil && len(out.Messages) > 0 && json.Unmarshal([]byte(*out.Messages[0].Body), &pending) == nil
	})
	pending["dueAt"] = time.Now().Add(time.Hour)
	body, err := json.Marshal(pending)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Cloud().SQS().SendMessage(within(t), &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: aws.String(string(body))}); err != nil {
		t.Fatal(err)
	}
}

// unconfirmed returns the items of the auditor's list.
func unconfirmed(t *testing.T, run *localrun.Run) []map[string]types.AttributeValue {
	t.Helper()
	out, err := run.Cloud().DynamoDB().Scan(within(t), &dynamodb.ScanInput{TableName: aws.String(ref(t, run, "AWS::DynamoDB::Table", "Outbox/AuditTable"))})
	if err != nil {
		t.Fatal(err)
	}
	return out.Items
}
