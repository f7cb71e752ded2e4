package outboxtest_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/outboxkit/transactional-outbox/outboxtest"
)

var t *testing.T // of your test

func Example() {
	// func TestOrderIsShipped(t *testing.T)
	run := outboxtest.Start(t, outboxtest.Stack("Shop"))
	res := run.POST(t, "/orders", `{"customerId": "c-1"}`)
	event := run.Event(t, outboxtest.Type("OrderCreated"), outboxtest.Aggregate("Order", res.ID))
	event.HandledBy(t, "Ship")
	run.Deliver(t, event, "Ship") // again, as SQS may
	event.Effects(t, "Ship").Is(1)
	run.NoDeadLetters(t)
}

// A cloud assembly that is there already, for example of another job, runs as it is.
func ExampleStart() {
	run := outboxtest.Start(t, outboxtest.Assembly("../build/cdk.out"), outboxtest.Stack("Shop"), outboxtest.Patience(time.Minute))
	run.GET(t, "/orders/o-1")
}

// What the handling of an event has led to is found by its cause.
func ExampleRun_Event() {
	run := outboxtest.Start(t)
	order := run.Event(t, outboxtest.Aggregate("Order", "o-1"), outboxtest.Version(1))
	shipment := run.Event(t, outboxtest.Type("ShipmentRequested"), outboxtest.CausedBy(order))
	var data struct{ Units int }
	if err := shipment.Data(&data); err != nil || data.Units != 2 {
		t.Errorf("the shipment has %d units: %v", data.Units, err)
	}
}

// An event of another service is put on the bus as it is.
func ExampleRun_Publish() {
	run := outboxtest.Start(t)
	paid := run.Publish(t, outboxtest.Publication{Source: "payments", Type: "Paid", Detail: map[string]any{"orderId": "o-1"}})
	paid.HandledBy(t, "Ship")
}

// Events of an outbox may come in another order than they were written.
func ExampleRun_Publish_outOfOrder() {
	run := outboxtest.Start(t)
	version := func(n int64) outboxtest.Publication {
		return outboxtest.Publication{Source: "orders", Type: "OrderUpdated", AggregateType: "Order", AggregateID: "o-1", Version: n}
	}
	second := run.Publish(t, version(2))
	second.FailedBy(t, "History") // an ordered consumer waits for the first
	run.Publish(t, version(1)).HandledBy(t, "History")
	second.RetryNow(t, "History")
	second.HandledBy(t, "History")
}

// The client that got no answer sends its order again, with the same key.
func ExampleRun_POST() {
	run := outboxtest.Start(t)
	first := run.POST(t, "/orders", `{"customerId": "c-1"}`, "Idempotency-Key: k-1")
	again := run.POST(t, "/orders", `{"customerId": "c-1"}`, "Idempotency-Key: k-1")
	if again.ID != first.ID {
		t.Errorf("there are two orders, %s and %s", first.ID, again.ID)
	}
}

// An answer that is no success is what this test wants.
func ExampleRun_Do() {
	run := outboxtest.Start(t)
	res := run.Do(t, http.MethodPatch, "/orders/o-1", `{"status": "CANCELLED"}`, `If-Match: "1"`)
	var problem struct{ Message string }
	if res.Decode(t, &problem); res.Status != http.StatusPreconditionFailed {
		t.Errorf("status %d: %s", res.Status, problem.Message)
	}
}

func ExampleRun_Deliver() {
	run := outboxtest.Start(t)
	event := run.Event(t, outboxtest.Aggregate("Order", "o-1"))
	event.HandledBy(t, "Ship")
	run.Deliver(t, event, "Ship")
	event.Attempts(t, "Ship").Is(2)
	event.Effects(t, "Ship").Is(1)
}

// A fault happens to one event: here its function is killed when it has committed, and before it has answered.
func ExampleRun_Fault() {
	run := outboxtest.Start(t)
	run.Fault(t, "function.kill-after-commit", "e-1")
	event := run.Publish(t, outboxtest.Publication{ID: "e-1", Source: "orders", Type: "OrderCreated", AggregateType: "Order", AggregateID: "o-1"})
	event.RetryNow(t, "Ship")
	event.Effects(t, "Ship").Is(1)
}

// A function of the test answers in place of the consumer's, for the events of the test.
func ExampleRun_Stub() {
	run := outboxtest.Start(t)
	run.Stub(t, "Ship", func(context.Context, *outboxtest.Event) error {
		return errors.New("no ship in port")
	}, outboxtest.Aggregate("Order", "o-1"))
	event := run.Event(t, outboxtest.Aggregate("Order", "o-1"))
	for range 5 {
		event.RetryNow(t, "Ship")
	}
	event.DeadLetteredBy(t, "Ship")
}

// A consumer fails on an event that comes too early, and says why.
func ExampleEvent_LastFailure() {
	run := outboxtest.Start(t)
	event := run.Publish(t, outboxtest.Publication{Source: "orders", Type: "OrderPaid", AggregateType: "Order", AggregateID: "o-1", Version: 2})
	event.FailedBy(t, "Ship")
	t.Log(event.LastFailure(t, "Ship"))
}

// Events without an aggregate are told apart by what they say.
func ExampleWhere() {
	run := outboxtest.Start(t)
	run.Event(t, outboxtest.Source("payments"), outboxtest.Where("order o-1", func(e *outboxtest.Event) bool {
		var paid struct{ OrderID string }
		return e.Data(&paid) == nil && paid.OrderID == "o-1"
	})).HandledBy(t, "Ship")
}

func ExampleRun_Answer() {
	run := outboxtest.Start(t, outboxtest.Own())
	run.Answer(t, "Prices", func(context.Context, []byte) ([]byte, error) {
		return []byte(`{"statusCode": 200, "body": "12.90"}`), nil
	})
	run.GET(t, "/prices/tea")
}

// Time is set forward for a run of the test's own: a marker of the inbox expires after a week.
func ExampleRun_Advance() {
	run := outboxtest.Start(t, outboxtest.Own())
	event := run.Event(t, outboxtest.Aggregate("Order", "o-1"))
	event.HandledBy(t, "Ship")
	run.Advance(t, 8*24*time.Hour)
	if items := run.Items(t, "Outbox/InboxTable"); len(items) != 0 {
		t.Errorf("what is left of the inbox: %v", items)
	}
}

func ExampleRun_Item() {
	run := outboxtest.Start(t)
	if item := run.Item(t, "Shipments", map[string]any{"orderId": "o-1"}); item["status"] != "REQUESTED" {
		t.Errorf("the shipment is %v", item)
	}
}

// The clients are those of the AWS SDK, and the stack's outputs name what they use.
func ExampleRun_SQS() {
	run := outboxtest.Start(t)
	_, err := run.SQS().SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: aws.String(run.Output(t, "ShipQueueUrl")), MessageBody: aws.String("no event"),
	})
	if err != nil {
		t.Error(err)
	}
}

func ExampleRun_Config() {
	run := outboxtest.Start(t)
	_, err := ssm.NewFromConfig(run.Config()).GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("/shop/currency")})
	if err != nil {
		t.Error(err)
	}
}

// A program of yours writes to the stack, and knows nothing of the test.
func ExampleRun_Environ() {
	run := outboxtest.Start(t)
	program := exec.CommandContext(t.Context(), "go", "run", "./order", "o-1")
	program.Env = append(append(os.Environ(), run.Environ()...), "ORDERS_TABLE="+run.Table(t, "Orders"), "OUTBOX_TABLE="+run.Table(t, "Outbox/Table"), "OUTBOX_SOURCE=orders")
	if out, err := program.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	run.Event(t, outboxtest.Aggregate("Order", "o-1")).HandledBy(t, "Ship")
}
