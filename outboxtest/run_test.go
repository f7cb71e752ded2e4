package outboxtest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

func TestAnEventIsHandledOnce(t *testing.T) {
	t.Parallel()
	run := start(t)
	event := run.Publish(t, order("once", "Main Street"))
	event.HandledBy(t, "Ship")
	run.Deliver(t, event, "Ship")
	run.DeliverLate(t, event, "Ship", 0)
	event.Effects(t, "Ship").Is(1)
	item := run.Item(t, "Shipments", map[string]any{"id": "Ship#" + event.ID})
	if item["address"] != "Main Street" {
		t.Errorf("the shipment is %v", item)
	}
	var data struct{ Address string }
	if err := event.Data(&data); err != nil || data.Address != "Main Street" {
		t.Errorf("the event says %+v: %v", data, err)
	}
	run.NoDeadLetters(t)
}

// The second delivery is not taken for the first, which may still be on its way.
func TestDeliverWaitsForItsOwnAttempt(t *testing.T) {
	t.Parallel()
	run := start(t)
	for n := range 10 {
		event := run.Publish(t, order(fmt.Sprint("twice-", n), "Main Street"))
		run.Deliver(t, event, "Ship")
		if d, _ := event.now().Delivery(run.consumer(t, "Ship").Queue); d.Handled != 2 {
			t.Errorf("event %d was handled %d times when Deliver returned, want 2", n, d.Handled)
		}
	}
}

// Five failing receives take no minutes, and the events of another test that shares the run keep their time.
func TestAnEventFailsUntilItIsADeadLetter(t *testing.T) {
	t.Parallel()
	run := start(t)
	other := run.Publish(t, order("other", ""))
	other.FailedBy(t, "Ship")
	event := run.Publish(t, order("failing", ""))
	for range 3 {
		event.RetryNow(t, "Ship")
	}
	event.DeadLetteredBy(t, "Ship")
	event.Effects(t, "Ship").Is(0)
	other.FailedBy(t, "Ship")
}

func TestAFaultHappensToOneEventOnly(t *testing.T) {
	t.Parallel()
	run := start(t)
	hit, spared := order("hit", "A"), order("spared", "B")
	hit.ID = "hit-1"
	run.Fault(t, "function.kill-before", "hit-1")
	run.Fault(t, "function.kill-before", "hit-1")
	one, two := run.Publish(t, hit), run.Publish(t, spared)
	two.HandledBy(t, "Ship")
	for range 2 {
		one.RetryNow(t, "Ship")
	}
	one.HandledBy(t, "Ship")
	one.Effects(t, "Ship").Is(1)
	two.Effects(t, "Ship").Is(1)
	if d, _ := two.now().Delivery(run.consumer(t, "Ship").Queue); d.Receives != 1 {
		t.Errorf("the other event was received %d times", d.Receives)
	}
}

func TestAStubAnswersForItsEventsOnly(t *testing.T) {
	t.Parallel()
	run := start(t)
	var asked atomic.Int32
	run.Stub(t, "Ship", func(_ context.Context, e *Event) error {
		if asked.Add(1) == 1 {
			return errors.New("closed on " + e.AggregateID)
		}
		return nil
	}, Aggregate("Order", "sunday"))
	event, other := run.Publish(t, order("sunday", "A")), run.Publish(t, order("monday", "B"))
	event.RetryNow(t, "Ship")
	event.HandledBy(t, "Ship")
	event.Effects(t, "Ship").Is(0)
	other.Effects(t, "Ship").Is(1)
	if asked.Load() != 2 {
		t.Errorf("the stub was asked %d times", asked.Load())
	}
}

// A test's own mistake in a stub is a failure of the stub, and the run goes on.
func TestAStubThatPanics(t *testing.T) {
	t.Parallel()
	run := start(t)
	for name, mistake := range map[string]func() error{
		"panics":        func() error { panic("oops") },
		"ends the test": func() error { (&failing{TB: t}).Fatalf("over"); return nil },
	} {
		run.Stub(t, "Ship", func(context.Context, *Event) error { return mistake() }, Aggregate("Order", name))
		run.Publish(t, order(name, "A")).FailedBy(t, "Ship")
	}
	run.Publish(t, order("goes on", "A")).HandledBy(t, "Ship")
}

// Time that is set forward brings back what has failed, and what a schedule sends.
func TestTimePasses(t *testing.T) {
	t.Parallel()
	run := start(t, Own())
	ship := run.consumer(t, "Ship")
	event := run.Publish(t, order("o-1", ""))
	for range 3 {
		event.FailedBy(t, "Ship")
		before, _ := event.now().Delivery(ship.Queue)
		run.Advance(t, time.Hour)
		event.attempted(t, ship, before)
	}
	event.DeadLetteredBy(t, "Ship")
	late := run.Publish(t, order("o-2", "A"))
	late.HandledBy(t, "Ship")
	run.DeliverLate(t, late, "Ship", 10*time.Minute)
	before, _ := late.now().Delivery(ship.Queue)
	run.Advance(t, 11*time.Minute)
	late.attempted(t, ship, before)

	run.Advance(t, 24*time.Hour)
	url := run.Output(t, "NightsUrl")
	out, err := run.SQS().ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 10})
	if err != nil || len(out.Messages) != 1 {
		t.Errorf("the schedule sent %d events: %v", len(out.Messages), err)
	}
}

func TestAFunctionIsReplaced(t *testing.T) {
	t.Parallel()
	run := start(t, Own())
	run.Answer(t, "Ship", func(context.Context, []byte) ([]byte, error) { return nil, nil })
	event := run.Publish(t, order("o-1", ""))
	event.HandledBy(t, "Ship")
	event.Effects(t, "Ship").Is(0)
}

func TestManyTestsShareARun(t *testing.T) {
	t.Parallel()
	for n := range 20 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			run := start(t)
			id := fmt.Sprintf("shared-%d", n)
			run.Publish(t, order(id, "A"))
			event := run.Event(t, Type("OrderCreated"), Source("orders"), Version(1), Aggregate("Order", id))
			event.HandledBy(t, "Ship")
			event.Effects(t, "Ship").Is(1)
			run.NoDeadLetters(t)
		})
	}
}
