package synth

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
	"github.com/outboxkit/transactional-outbox/internal/dashboardpicture"
)

// shownConsumers are the ids of consumers as applications have them.
var shownConsumers = []string{"Shipping", "Notifications", "OrderHistory", "Billing", "Search", "Loyalty", "Warehouse", "FraudCheck", "Recommendations", "Analytics", "Invoices", "Returns"}

// synthesizeDashboard is the body of the dashboard of an outbox with so many consumers, and the template.
func synthesizeDashboard(t *testing.T, consumers int, props outbox.TransactionalOutboxProps) (body string, tpl template) {
	t.Helper()
	stack := newStack(t)
	guard(t, func() {
		props.Dashboard, props.Alarms = jsii.Bool(true), &outbox.AlarmProps{}
		box := newOutbox(stack, props)
		for _, id := range shownConsumers[:consumers] {
			box.AddConsumer(&id, &outbox.ConsumerProps{GoFunction: greeter()})
		}
	})
	tpl = synthesize(t, stack)
	withoutCircles(t, tpl)
	return tpl.joined(tpl.part(t, "Outbox/Dashboard").Properties["DashboardBody"]), tpl
}

func everything() outbox.TransactionalOutboxProps {
	return outbox.TransactionalOutboxProps{Monitor: &outbox.MonitorProps{}, Audit: &outbox.AuditProps{}}
}

// titles returns the first line of each text, and the title of each graph, from top to bottom and left to right.
func titles(t *testing.T, body string) []string {
	t.Helper()
	widgets, err := dashboardpicture.Read([]byte(body))
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	slices.SortStableFunc(widgets, func(a, b dashboardpicture.Widget) int { return 100*(a.Y-b.Y) + a.X - b.X })
	var all []string
	for _, w := range widgets {
		first, _, _ := strings.Cut(w.Properties.Markdown, "\n")
		all = append(all, first+w.Properties.Title)
	}
	return all
}

func TestDashboard(t *testing.T) {
	body, tpl := synthesizeDashboard(t, 3, everything())
	list(t, "widgets", titles(t, body), "# ${AWS::StackName}/Outbox",
		"## 1. Writes", "Writes to the outbox table",
		"## 2. Pipe", "Events taken up by the pipe", "Executions of the pipe that went wrong",
		"## 3. Bus", "Deliveries to the queues", "Deliveries that failed for good",
		"## 4. Consumers", "Shipping", "Notifications", "OrderHistory",
		"## Lag", "Heartbeat, from commit to queue", "From commit to effect, 95 of 100 events",
		"## Unconfirmed", "Events without effect", "Age of the oldest",
		"## Dead letters", "Messages in dead-letter queues")
	same(t, "name", tpl.joined(tpl.part(t, "Outbox/Dashboard").Properties["DashboardName"]), `"${AWS::StackName}-Outbox"`)
	// Each metric is one that there is, of a resource of the template.
	wants(t, body,
		`["AWS/DynamoDB","ConsumedWriteCapacityUnits","TableName","${Outbox/Table}",`,
		`["AWS/EventBridge/Pipes","EventCount","PipeName","${Outbox/Pipe}",`,
		`["AWS/Events","Invocations","EventBusName","${Outbox/EventBus}","RuleName","select(2, map[Fn::Split:[/ ${Outbox/Shipping/Rule.Arn}]])",`,
		`["AWS/SQS","ApproximateAgeOfOldestMessage","QueueName","${Outbox/OrderHistory/Queue.QueueName}",`,
		`["AWS/Lambda","Errors","FunctionName","${Outbox/OrderHistory/Function}",`,
		`["TransactionalOutbox","HeartbeatLag","Outbox","${AWS::StackName}/Outbox",`,
		`["TransactionalOutbox","OldestUnconfirmed","Outbox","${AWS::StackName}/Outbox","Consumer","Stack/Outbox/OrderHistory",`,
		`["AWS/SQS","ApproximateNumberOfMessagesVisible","QueueName","${Outbox/OrderHistory/DeadLetterQueue.QueueName}",`,
		`"region":"${AWS::Region}"`)
}

// With twelve consumers no widget overlaps another, and each consumer has a graph, and a line in each graph that they share.
func TestDashboardOfTwelveConsumers(t *testing.T) {
	body, _ := synthesizeDashboard(t, 12, everything())
	widgets, err := dashboardpicture.Read([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	taken := map[[2]int]int{}
	for i, w := range widgets {
		for x := w.X; x < w.X+w.Width; x++ {
			for y := w.Y; y < w.Y+w.Height; y++ {
				if other, ok := taken[[2]int{x, y}]; ok {
					t.Fatalf("widgets %d and %d overlap at column %d, row %d", other, i, x, y)
				}
				taken[[2]int{x, y}] = i
			}
		}
	}
	all := titles(t, body)
	for _, id := range shownConsumers {
		if !slices.Contains(all, id) {
			t.Errorf("%s has no graph of its own", id)
		}
		for _, metric := range []string{"Invocations", "FailedInvocations", "TimeToEffect", "Unconfirmed", "OldestUnconfirmed"} {
			if n := strings.Count(body, `"`+metric+`"`); n != 12 {
				t.Errorf("%d lines of %s, want 12", n, metric)
			}
		}
	}
	if len(body) > 100_000 {
		t.Errorf("the body has %d characters", len(body))
	}
}

// What is not measured has no row, and a consumer that nobody audits no line.
func TestDashboardShowsWhatThereIs(t *testing.T) {
	body, _ := synthesizeDashboard(t, 0, outbox.TransactionalOutboxProps{})
	list(t, "widgets", titles(t, body), "# ${AWS::StackName}/Outbox", "## 1. Writes", "Writes to the outbox table",
		"## 2. Pipe", "Events taken up by the pipe", "Executions of the pipe that went wrong", "## Dead letters", "Messages in dead-letter queues")

	stack := newStack(t)
	guard(t, func() {
		props := everything()
		props.Dashboard, props.Alarms = jsii.Bool(true), &outbox.AlarmProps{}
		props.Audit.Consumers = &[]*outbox.AuditedConsumer{{Name: jsii.String("Elsewhere"), InboxTable: awsdynamodb.Table_FromTableName(stack, jsii.String("T"), jsii.String("inbox"))}}
		newOutbox(stack, props).AddConsumer(jsii.String("Show"), &outbox.ConsumerProps{
			Inbox: outbox.Inbox_NONE, Function: awslambda.Function_FromFunctionName(stack, jsii.String("Function"), jsii.String("show")),
			VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1)),
		})
	})
	tpl := synthesize(t, stack)
	body = tpl.joined(tpl.part(t, "Outbox/Dashboard").Properties["DashboardBody"])
	if n := strings.Count(body, `"Unconfirmed","Outbox"`); n != 1 || !strings.Contains(body, `"Consumer","Elsewhere"`) {
		t.Errorf("%d lines of what is not confirmed, want that of Elsewhere:\n%s", n, body)
	}

	without := synthesizeOutbox(t, everything())
	list(t, "dashboards", without.paths("AWS::CloudWatch::Dashboard"))
}

// The pictures in the documentation are those of the dashboard, with few consumers and with many; -update draws them anew.
func TestGoldenDashboardPicture(t *testing.T) {
	for name, consumers := range map[string]int{"dashboard.svg": 3, "dashboard-twelve.svg": 12} {
		t.Run(name, func(t *testing.T) { goldenDashboard(t, filepath.Join("docs", name), consumers) })
	}
}

// goldenDashboard compares a picture with that of the dashboard of so many consumers.
func goldenDashboard(t *testing.T, file string, consumers int) {
	t.Helper()
	body, _ := synthesizeDashboard(t, consumers, everything())
	body = strings.ReplaceAll(body, "${AWS::StackName}", "Orders-prod")
	if !json.Valid([]byte(body)) {
		t.Fatalf("the body is no JSON: %s", body)
	}
	got, err := dashboardpicture.Draw([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if line, ok := firstDifference(string(got), string(want)); !ok {
		t.Errorf("%s is not the dashboard's picture any more; `make golden` draws it; first difference:\n%s", file, line)
	}
}
