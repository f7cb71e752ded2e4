package e2e

import (
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/outboxtest"
)

// startWith returns the test's view of a stack in which publisher one is one of the tests' functions, with a timeout of one second.
func startWith(t *testing.T, function string) *outboxtest.Run {
	t.Helper()
	return outboxtest.Start(t, outboxtest.Own(), outboxtest.Stack(stack), outboxtest.Assembly(patched(t, func(p tmpl) {
		p.replaceFunction("PublisherOne", function)
		p.properties("AWS::Lambda::Function", "PublisherOne")["Timeout"] = 1
	})))
}

// createdBy posts an order and returns its event.
func createdBy(t *testing.T, run *outboxtest.Run, body string) *outboxtest.Event {
	t.Helper()
	return run.Event(t, outboxtest.Type("OrderCreated"), outboxtest.Aggregate("Order", run.POST(t, "/orders", body).ID))
}

// TestCrash replaces publisher one by a function that crashes.
func TestCrash(t *testing.T) {
	run := startWith(t, "crasher")
	t.Run("a crash is redelivered five times, then waits in the consumer's dead-letter queue", func(t *testing.T) {
		event := createdBy(t, run, noted("crash"))
		for range 5 {
			event.RetryNow(t, "PublisherOne")
		}
		event.DeadLetteredBy(t, "PublisherOne")
		event.Attempts(t, "PublisherOne").Is(5)
		event.Attempts(t, "PublisherTwo").Is(1)
		event.Effects(t, "PublisherTwo").Is(1)
	})
	t.Run("a single crash loses nothing", func(t *testing.T) {
		event := createdBy(t, run, noted("crash once"))
		event.RetryNow(t, "PublisherOne")
		event.HandledBy(t, "PublisherOne")
		event.Attempts(t, "PublisherOne").Is(2)
	})
}

// TestTimeout shows that a function that does not respond is killed, and its message redelivered.
func TestTimeout(t *testing.T) {
	run := startWith(t, "slow")
	event := createdBy(t, run, noted("sleep once"))
	event.FailedBy(t, "PublisherOne")
	if reason := event.LastFailure(t, "PublisherOne"); !strings.Contains(reason, "timed out") {
		t.Errorf("it failed because of %q, want that it timed out", reason)
	}
	event.RetryNow(t, "PublisherOne")
	event.HandledBy(t, "PublisherOne")
}
