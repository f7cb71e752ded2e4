package local

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// A watcher is a recorder that wakes those who wait for hops.
type watcher struct {
	*recorder
	mu   sync.Mutex
	hops []hop.Hop
	more chan struct{} // closed at the next hop
}

func (w *watcher) Hop(h hop.Hop) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hops = append(w.hops, h)
	close(w.more)
	w.more = make(chan struct{})
}

// await waits for a hop.
func (w *watcher) await(t *testing.T, what string, is func(hop.Hop) bool) hop.Hop {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		w.mu.Lock()
		all, more := slices.Clone(w.hops), w.more
		w.mu.Unlock()
		if i := slices.IndexFunc(all, is); i >= 0 {
			return all[i]
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("%s: no such hop among %d", what, len(all))
		}
	}
}

// logs waits for a line of a function's log.
func (w *watcher) logs(t *testing.T, function, line string) {
	t.Helper()
	w.await(t, line, func(h hop.Hop) bool {
		return h.Stage == hop.Function && h.Resource == function && strings.Contains(h.Detail, line)
	})
}

// startTopics runs the stack of testdata/topics until the test ends.
func startTopics(t *testing.T, o Options) (*Session, *watcher) {
	t.Helper()
	stack, err := os.ReadFile(filepath.Join("testdata", "topics", "stack.json"))
	if err != nil {
		t.Fatal(err)
	}
	o.App = t.TempDir()
	writeApp(t, o.App, string(stack))
	out := &watcher{recorder: &recorder{ready: make(chan console.Summary, 1)}, more: make(chan struct{})}
	session, err := Start(t.Context(), o, out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	return session, out
}

func config(s *Session, service cloud.Service) aws.Config {
	c := aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")}
	for _, e := range s.Summary.Endpoints {
		if e.Service == service {
			c.BaseEndpoint = &e.URL
		}
	}
	return c
}

// A message goes from a function, a rule or a pipe to a topic, from there to a queue and a function, and what a stream's
// mapping gives up and an alarm goes to its topic. What a policy does not allow is named, with the statement to paste.
func TestTopics(t *testing.T) {
	session, out := startTopics(t, Options{})
	// The alarm is in its first state before something happens.
	if _, err := cloudwatch.NewFromConfig(config(session, cloud.Others)).DescribeAlarms(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	invoked, err := lambda.NewFromConfig(config(session, cloud.Others)).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("publisher"), Payload: []byte("{}")})
	if err != nil || invoked.FunctionError != nil {
		t.Fatalf("%v: %s", err, invoked.Payload)
	}
	var answer struct {
		ID             string
		Good, Bad      []string
		Denied, Hidden string
	}
	if err := json.Unmarshal(invoked.Payload, &answer); err != nil {
		t.Fatal(err)
	}
	wantDenied := "AuthorizationErrorException: User: arn:aws:sts::000000000000:assumed-role/S-Role/publisher is not authorized to perform: SNS:Publish on resource: " +
		"arn:aws:sns:eu-west-1:000000000000:alarms because no identity-based policy allows the SNS:Publish action"
	if len(answer.ID) != 36 || !slices.Equal(answer.Good, []string{"a"}) || !slices.Equal(answer.Bad, []string{"b InvalidParameter true"}) ||
		answer.Denied != wantDenied || answer.Hidden != "AuthorizationErrorException" {
		t.Errorf("the function got %+v", answer)
	}
	out.logs(t, "Ship", "shipped one")
	out.logs(t, "Ship", "shipped two & <three>")
	out.logs(t, "Mail", "mailed one about Order")
	out.await(t, "the queue that lets nobody in", func(h hop.Hop) bool {
		return h.Stage == hop.Topic && h.Resource == "Orders" && h.Outcome == hop.Dropped && strings.Contains(h.Detail, ":shut does not allow the topic to send messages")
	})

	entry := bustypes.PutEventsRequestEntry{Source: aws.String("shop"), DetailType: aws.String("Sold"), Detail: aws.String(`{"id":"e-1"}`)}
	if _, err := eventbridge.NewFromConfig(config(session, cloud.EventBridge)).PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []bustypes.PutEventsRequestEntry{entry}}); err != nil {
		t.Fatal(err)
	}
	for _, stage := range []hop.Stage{hop.Bus, hop.Topic, hop.Queue} {
		out.await(t, "the event at the "+string(stage), func(h hop.Hop) bool {
			return h.Stage == stage && h.Outcome == hop.OK && slices.Contains(h.EventIDs, "e-1")
		})
	}

	item := map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "r-1"}}
	if _, err := dynamodb.NewFromConfig(config(session, cloud.DynamoDB)).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("table"), Item: item}); err != nil {
		t.Fatal(err)
	}
	out.logs(t, "Ship", `shipped "row r-1"`)
	seen := seenMessages(t, session)
	if !strings.Contains(seen["given up"], `"condition":"RetryAttemptsExhausted"`) {
		t.Errorf("of the record that was given up it says %s", seen["given up"])
	}
	checkAlarm(t, seen["alarm"])
	out.await(t, "the alarm that may not publish", func(h hop.Hop) bool {
		return h.Stage == hop.Topic && h.Resource == "Alarm" && h.Outcome == hop.Dropped && strings.Contains(h.Detail, "the topic's policy does not allow the alarm to publish")
	})

	for _, want := range []string{
		"Alarms: nothing is sent to ops@example.com by email",
		"Alarms do not notify arn:aws:sns:eu-west-1:111122223333:ops here: it is not a topic of the stack.",
		`IAM: Shutting will lose events: sns.amazonaws.com may not sqs:SendMessage on arn:aws:sqs:eu-west-1:000000000000:shut (aws:sourcearn [arn:aws:sns:eu-west-1:000000000000:orders]): ` +
			`no resource-based policy allows it; missing is {"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":{"Fn::GetAtt":["Shut","Arn"]},"Condition":{"ArnEquals":{"aws:SourceArn":{"Ref":"Orders"}}}}`,
		`IAM: Alarm will lose events: cloudwatch.amazonaws.com may not sns:Publish`,
		`{"Effect":"Allow","Principal":{"Service":"cloudwatch.amazonaws.com"},"Action":"sns:Publish","Resource":{"Ref":"Orders"},"Condition":{"ArnEquals":{"aws:SourceArn":{"Fn::GetAtt":["Alarm","Arn"]}}}}`,
		`IAM: Role may not sns:Publish on arn:aws:sns:eu-west-1:000000000000:alarms: no identity-based policy allows it; missing is {"Effect":"Allow","Action":"sns:Publish","Resource":{"Ref":"Alarms"}}`,
	} {
		if !strings.Contains(out.said(), want) {
			t.Errorf("the console does not say %s:\n%s", want, out.said())
		}
	}
}

// seenMessages waits for what the topics of alarms and of records that are given up send to the queue.
func seenMessages(t *testing.T, session *Session) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	queues := sqs.NewFromConfig(config(session, cloud.SQS))
	url := *config(session, cloud.SQS).BaseEndpoint + "/" + cloud.Account + "/seen"
	seen := map[string]string{}
	for len(seen) < 2 {
		// Whoever asks for the alarms need not wait until they are evaluated.
		if _, err := cloudwatch.NewFromConfig(config(session, cloud.Others)).DescribeAlarms(ctx, nil); err != nil {
			t.Fatalf("of %v: %v", seen, err)
		}
		out, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
		if err != nil {
			t.Fatalf("of %v: %v", seen, err)
		}
		for _, m := range out.Messages {
			what := "given up"
			if strings.Contains(*m.Body, "AlarmName") {
				what = "alarm"
			}
			seen[what] = *m.Body
		}
	}
	return seen
}

// checkAlarm checks a message about the alarm.
func checkAlarm(t *testing.T, message string) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal([]byte(message), &got); err != nil {
		t.Fatal(err)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000-0700", got["StateChangeTime"].(string)); err != nil || got["NewStateReason"] == "" {
		t.Errorf("the change is at %v because of %v", got["StateChangeTime"], got["NewStateReason"])
	}
	delete(got, "StateChangeTime")
	delete(got, "NewStateReason")
	encoded, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"AWSAccountId":"000000000000","AlarmActions":["arn:aws:sns:eu-west-1:000000000000:alarms","arn:aws:sns:eu-west-1:000000000000:orders","arn:aws:sns:eu-west-1:111122223333:ops"],` +
		`"AlarmArn":"arn:aws:cloudwatch:eu-west-1:000000000000:alarm:shipped","AlarmDescription":"Something was shipped.","AlarmName":"shipped",` +
		`"InsufficientDataActions":[],"NewStateValue":"ALARM","OKActions":[],"OldStateValue":"OK","Region":"eu-west-1",` +
		`"Trigger":{"ComparisonOperator":"GreaterThanOrEqualToThreshold","Dimensions":[{"name":"FunctionName","value":"ship"}],"EvaluateLowSampleCountPercentile":"",` +
		`"EvaluationPeriods":1,"MetricName":"Invocations","Namespace":"AWS/Lambda","Period":60,"Statistic":"SUM","StatisticType":"Statistic","Threshold":1,"TreatMissingData":"notBreaching","Unit":null}}`
	if string(encoded) != want {
		t.Errorf("got  %s\nwant %s", encoded, want)
	}
}

// With --iam=off a role may publish to everything. A queue that does not let the topic in, and a topic that does not let an
// alarm in, get nothing, as on AWS.
func TestTopicsWithoutIAM(t *testing.T) {
	session, out := startTopics(t, Options{IAM: IAMOff})
	invoked, err := lambda.NewFromConfig(config(session, cloud.Others)).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("publisher"), Payload: []byte("{}")})
	if err != nil || invoked.FunctionError != nil || strings.Contains(string(invoked.Payload), "AuthorizationError") {
		t.Fatalf("%v: %s", err, invoked.Payload)
	}
	out.logs(t, "Mail", "mailed one about Order")
	out.await(t, "the queue that lets nobody in", func(h hop.Hop) bool {
		return h.Stage == hop.Topic && h.Outcome == hop.Dropped && strings.Contains(h.Detail, ":shut does not allow the topic to send messages")
	})
	out.logs(t, "Ship", "shipped one")
	if _, err := cloudwatch.NewFromConfig(config(session, cloud.Others)).DescribeAlarms(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	out.await(t, "the alarm that may not publish", func(h hop.Hop) bool {
		return h.Stage == hop.Topic && h.Resource == "Alarm" && h.Outcome == hop.Dropped && strings.Contains(h.Detail, "the topic's policy does not allow the alarm to publish")
	})
}
