package e2e

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A watchedRun is a run of the stack whose heartbeat and auditor the test invokes, as their schedules do every minute.
type watchedRun struct {
	*testing.T
	run   *localrun.Run
	table string // of what is not confirmed
}

// startWatched runs the stack with schedules that are off, and an audit that looks after a second and alarms after another.
func startWatched(t *testing.T, repairs bool) *watchedRun {
	t.Helper()
	w := &watchedRun{T: t}
	w.run = start(t, patched(t, func(p tmpl) {
		settings := map[string]string{`\"confirmWithinSeconds\":\"900\"`: `\"confirmWithinSeconds\":\"1\"`, `\"alarmAfterSeconds\":\"3600\"`: `\"alarmAfterSeconds\":\"2\"`}
		if repairs {
			settings[`\"pending\":`] = `\"repairPerMinute\":\"60\",\"pending\":`
			p.allowRepair()
		}
		p.replaceText("AWS::SSM::Parameter", "/Outbox/Description", settings)
		p.properties("AWS::Lambda::EventSourceMapping", "/AuditMapping")["MaximumBatchingWindowInSeconds"] = 0
		for _, schedule := range []string{"/AuditSchedule", "/HeartbeatSchedule"} {
			p.properties("AWS::Events::Rule", schedule)["ScheduleExpression"] = "rate(1 day)"
		}
		alarm := p.properties("AWS::CloudWatch::Alarm", "/PublisherOne/UnconfirmedAlarm")
		alarm["Threshold"], alarm["Period"] = 2, 10
		p.output("AuditorName", "AWS::Lambda::Function", "/Auditor/")
		p.output("HeartbeatName", "AWS::Lambda::Function", "/Heartbeat/")
		p.output("AuditTableName", "AWS::DynamoDB::Table", "/AuditTable/")
	}))
	w.table = w.run.Summary.Outputs["AuditTableName"]
	return w
}

// output adds an output with the name of the resource that find returns.
func (p tmpl) output(name, kind, path string) {
	p.t.Helper()
	p.outputs[name] = map[string]any{"Value": map[string]any{"Ref": p.id(kind, path)}}
}

// allowRepair gives the auditor the permissions that it has with Repair only.
func (p tmpl) allowRepair() {
	p.t.Helper()
	role, queues := "/Auditor/", "AWS::SQS::Queue"
	p.allow(role, p.arn("AWS::DynamoDB::Table", "/Outbox/Table/", "Arn"), "dynamodb:GetItem")
	deadLetterQueues := []string{"/PipeDeadLetterQueue/", "/RuleDeadLetterQueue/"}
	for _, consumer := range consumers {
		p.allow(role, p.arn(queues, "/"+consumer+"/Queue/", "Arn"), "sqs:SendMessage", "sqs:GetQueueAttributes")
		deadLetterQueues = append(deadLetterQueues, "/"+consumer+"/DeadLetterQueue/")
	}
	for _, path := range deadLetterQueues {
		p.allow(role, p.arn(queues, path, "Arn"), "sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes")
	}
}

// replaceText replaces texts in the value of a parameter, as they stand in the template's JSON.
func (p tmpl) replaceText(kind, path string, texts map[string]string) {
	p.t.Helper()
	properties := p.properties(kind, path)
	raw, err := json.Marshal(properties["Value"])
	if err != nil {
		p.t.Fatal(err)
	}
	value := string(raw)
	for old, replacement := range texts {
		if strings.Count(value, old) != 1 {
			p.t.Fatalf("%s has %q %d times, want 1: %s", path, old, strings.Count(value, old), value)
		}
		value = strings.Replace(value, old, replacement, 1)
	}
	var changed any
	if err := json.Unmarshal([]byte(value), &changed); err != nil {
		p.t.Fatal(err)
	}
	properties["Value"] = changed
}

// step runs a subtest that the following ones need.
func (w *watchedRun) step(name string, do func(*testing.T)) {
	whole := w.T
	defer func() { w.T = whole }()
	if !whole.Run(name, func(t *testing.T) {
		w.T = t
		do(t)
	}) {
		whole.FailNow()
	}
}

// scheduled is what a schedule sends. Source: EventBridge user guide, eb-create-rule-schedule.
const scheduled = `{"version":"0","id":"53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa","detail-type":"Scheduled Event","source":"aws.events",
	"account":"000000000000","time":"2026-01-01T00:00:00Z","region":"us-east-1","resources":["arn:aws:events:us-east-1:000000000000:rule/every-minute"],"detail":{}}`

// invoke invokes a function as its schedule does.
func (w *watchedRun) invoke(function string) {
	w.Helper()
	c := w.run.Cloud()
	client := lambda.New(lambda.Options{Region: c.Region, BaseEndpoint: aws.String(c.Endpoint(cloud.Others)), Credentials: localCredentials})
	out, err := client.Invoke(within(w.T), &lambda.InvokeInput{FunctionName: aws.String(w.run.Summary.Outputs[function+"Name"]), Payload: []byte(scheduled)})
	if err != nil {
		w.Fatal(err)
	}
	if out.FunctionError != nil {
		w.Fatalf("%s failed: %s", function, out.Payload)
	}
}

func (w *watchedRun) cloudWatch() *cloudwatch.Client {
	c := w.run.Cloud()
	return cloudwatch.New(cloudwatch.Options{Region: c.Region, BaseEndpoint: aws.String(c.Endpoint(cloud.Others)), Credentials: localCredentials})
}

// localCredentials are of a run, which takes any.
var localCredentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
})

// metric returns a statistic of the last ten minutes, and whether there is one.
func (w *watchedRun) metric(name, statistic string, consumer ...string) (float64, bool) {
	w.Helper()
	dimensions := []cwtypes.Dimension{{Name: aws.String("Outbox"), Value: aws.String(stack + "/Outbox")}}
	for _, c := range consumer {
		dimensions = append(dimensions, cwtypes.Dimension{Name: aws.String("Consumer"), Value: aws.String(stack + "/Outbox/" + c)})
	}
	out, err := w.cloudWatch().GetMetricData(within(w.T), &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(time.Now().Add(-10 * time.Minute)), EndTime: aws.Time(time.Now().Add(time.Minute)),
		MetricDataQueries: []cwtypes.MetricDataQuery{{Id: aws.String("m"), MetricStat: &cwtypes.MetricStat{
			Metric: &cwtypes.Metric{Namespace: aws.String("TransactionalOutbox"), MetricName: &name, Dimensions: dimensions},
			Period: aws.Int32(60), Stat: &statistic,
		}}},
	})
	if err != nil {
		w.Fatal(err)
	}
	sum := 0.0
	for _, value := range out.MetricDataResults[0].Values {
		sum += value
	}
	return sum, len(out.MetricDataResults[0].Values) > 0
}

// awaitAlarm lets the auditor run until the alarm is in the state.
func (w *watchedRun) awaitAlarm(name string, want cwtypes.StateValue) {
	w.Helper()
	eventually(w.T, name+" is "+string(want), func(context.Context) bool {
		w.invoke("Auditor")
		return w.alarm(name) == want
	})
}

// alarm returns the state of the alarm whose name contains the text.
func (w *watchedRun) alarm(name string) cwtypes.StateValue {
	w.Helper()
	out, err := w.cloudWatch().DescribeAlarms(within(w.T), &cloudwatch.DescribeAlarmsInput{})
	if err != nil {
		w.Fatal(err)
	}
	for _, a := range out.MetricAlarms {
		if strings.Contains(*a.AlarmName, name) {
			return a.StateValue
		}
	}
	w.Fatalf("there is no alarm %q", name)
	return ""
}

// unconfirmed returns what the auditor has on its list, as "<consumer>: <event>".
func (w *watchedRun) unconfirmed() []string {
	w.Helper()
	var found []string
	for _, item := range w.items() {
		found = append(found, strings.TrimPrefix(text(item[record.AttrPK]), "unconfirmed#"+stack+"/Outbox/")+": "+text(item[record.AttrID]))
	}
	return found
}

func (w *watchedRun) items() []map[string]types.AttributeValue {
	w.Helper()
	out, err := w.run.Cloud().DynamoDB().Scan(within(w.T), &dynamodb.ScanInput{TableName: &w.table, ConsistentRead: aws.Bool(true)})
	if err != nil {
		w.Fatal(err)
	}
	return out.Items
}

// passTime makes what is on the auditor's list due for another look, as a minute does: of the consumers, or of all.
func (w *watchedRun) passTime(consumers ...string) {
	w.Helper()
	for _, item := range w.items() {
		pk := text(item[record.AttrPK])
		if len(consumers) > 0 && !slices.Contains(consumers, pk[strings.LastIndex(pk, "/")+1:]) {
			continue
		}
		_, err := w.run.Cloud().DynamoDB().UpdateItem(within(w.T), &dynamodb.UpdateItemInput{
			TableName: &w.table, Key: map[string]types.AttributeValue{record.AttrPK: item[record.AttrPK], record.AttrSK: item[record.AttrSK]},
			UpdateExpression: aws.String("SET nextCheckAt = :now"), ExpressionAttributeValues: map[string]types.AttributeValue{":now": &types.AttributeValueMemberN{Value: "0"}},
		})
		if err != nil {
			w.Fatal(err)
		}
	}
}

// lose lets PublisherOne lose the event of a new order, and waits until the auditor has that on its list and nothing else.
func (w *watchedRun) lose() (order string) {
	w.Helper()
	operate(w.T, w.run, "pause", "--consumer", "PublisherOne", "--yes").check(w.T, 0)
	order = post(w.T, w.run, tea)
	eventually(w.T, "the event waits in the queue", func(ctx context.Context) bool { return visible(ctx, w.T, w.run, "PublisherOneQueueUrl") == "1" })
	if _, err := w.run.Cloud().SQS().PurgeQueue(within(w.T), &sqs.PurgeQueueInput{QueueUrl: aws.String(w.run.Summary.Outputs["PublisherOneQueueUrl"])}); err != nil {
		w.Fatal(err)
	}
	operate(w.T, w.run, "resume", "--consumer", "PublisherOne", "--yes").check(w.T, 0)
	awaitPublishers(w.T, w.run, order, "PublisherTwo", "OrderUpdatedPublisher")
	eventually(w.T, "the auditor has the event on its list", func(context.Context) bool {
		w.passTime("PublisherTwo", "OrderUpdatedPublisher") // a slow machine lists what comes later than a second
		w.invoke("Auditor")
		return slices.Equal(w.unconfirmed(), []string{"PublisherOne: " + order + "-1"})
	})
	return order
}

// TestWatched: the heartbeat and the auditor of a stack that was just started see it at work, and see what it loses.
func TestWatched(t *testing.T) {
	t.Parallel()
	w := startWatched(t, false)

	w.step("the heartbeat", func(t *testing.T) {
		w.invoke("Heartbeat")
		eventually(t, "a heartbeat has come back", func(context.Context) bool {
			w.invoke("Heartbeat")
			n, _ := w.metric("HeartbeatLag", "SampleCount")
			return n > 0
		})
		if lag, _ := w.metric("HeartbeatLag", "Maximum"); lag <= 0 || lag > float64(patience.Milliseconds()) {
			t.Errorf("the heartbeat was on its way for %v ms", lag)
		}
		for _, name := range []string{"HeartbeatMissingAlarm", "HeartbeatLagAlarm"} {
			if state := w.alarm(name); state != cwtypes.StateValueOk {
				t.Errorf("%s is %s", name, state)
			}
		}
	})

	w.step("what goes well", func(t *testing.T) {
		order := post(t, w.run, tea)
		awaitPublishers(t, w.run, order, "PublisherOne", "PublisherTwo", "OrderUpdatedPublisher")
		eventually(t, "the auditor has confirmed the order's events", func(context.Context) bool {
			w.invoke("Auditor")
			one, _ := w.metric("Confirmed", "Sum", "PublisherOne")
			two, _ := w.metric("Confirmed", "Sum", "PublisherTwo")
			all, _ := w.metric("Confirmed", "Sum", "OrderUpdatedPublisher")
			return one == 1 && two == 2 && all >= 1
		})
		eventually(t, "nothing is listed", func(context.Context) bool { // a slow machine lists what comes later than a second
			w.passTime()
			w.invoke("Auditor")
			return len(w.unconfirmed()) == 0
		})
		if n, _ := w.metric("TimeToEffect", "SampleCount", "PublisherOne"); n != 1 {
			t.Errorf("PublisherOne has %v times to effect, want 1", n)
		}
		operate(t, w.run, "audit").check(t, 0, "nothing is missing")
		operate(t, w.run, "status").check(t, 0, "heartbeat", "0 events not confirmed within 1 s", "nothing needs a person")
	})

	var lost string
	w.step("what is lost", func(t *testing.T) {
		lost = w.lose() + "-1"
		w.awaitAlarm("PublisherOneUnconfirmedAlarm", cwtypes.StateValueAlarm)
		operate(t, w.run, "status").check(t, 1, "1 event not confirmed", "1 event had no effect at PublisherOne", "→ outbox repair --stack "+stack+" --consumer PublisherOne",
			"UnconfirmedAlarm", "`outbox repair --stack "+stack+"`")
		ledger := operate(t, w.run, "audit", "--json")
		ledger.check(t, 1, "1 effect is missing")
		lines := strings.Split(strings.TrimSpace(ledger.out), "\n")
		var line struct {
			Missing struct{ Consumer, ID string }
		}
		if err := json.Unmarshal([]byte(lines[0]), &line); err != nil || len(lines) != 2 || line.Missing.Consumer != "PublisherOne" || line.Missing.ID != lost {
			t.Errorf("it lists (%v)\n%s", err, ledger.out)
		}
	})

	w.step("and repaired", func(t *testing.T) {
		operate(t, w.run, "repair", "--yes").check(t, 0, "PublisherOne: 1 sent")
		awaitPublishers(t, w.run, strings.TrimSuffix(lost, "-1"), "PublisherOne")
		eventually(t, "the auditor's list is empty", func(context.Context) bool {
			w.passTime()
			w.invoke("Auditor")
			return len(w.unconfirmed()) == 0
		})
		w.awaitAlarm("PublisherOneUnconfirmedAlarm", cwtypes.StateValueOk)
		operate(t, w.run, "audit").check(t, 0, "nothing is missing")
		operate(t, w.run, "status").check(t, 0, "nothing needs a person")
	})
}

// TestWatchedRepairs: with Repair the auditor sends the event again, and nobody is called.
func TestWatchedRepairs(t *testing.T) {
	t.Parallel()
	w := startWatched(t, true)
	order := w.lose()
	eventually(t, "the auditor has repaired what was lost", func(context.Context) bool {
		w.passTime()
		w.invoke("Auditor")
		return len(w.unconfirmed()) == 0
	})
	if n := len(w.run.Hops(logged(w.run, "PublisherOne", order))); n != 1 {
		t.Errorf("PublisherOne has handled the order %d times, want 1", n)
	}
	w.awaitAlarm("PublisherOneUnconfirmedAlarm", cwtypes.StateValueOk)
	operate(t, w.run, "status").check(t, 0, "repairs up to 60 a minute", "nothing needs a person")
}
