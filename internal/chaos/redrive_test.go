package chaos

import (
	"context"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// refusedSource makes the pipe publish under a source that EventBridge refuses, and give up at once: every event ends in
// its dead-letter queue, as metadata only.
// Source: EventBridge API reference, PutEventsRequestEntry and PutEventsResultEntry (NotAuthorizedForSourceException).
func refusedSource(t *Template) {
	pipe := t.Properties("AWS::Pipes::Pipe", "/Outbox/")
	object(object(pipe["TargetParameters"])["EventBridgeEventBusParameters"])["Source"] = "aws.orders"
	object(object(pipe["SourceParameters"])["DynamoDBStreamParameters"])["MaximumRetryAttempts"] = 0
}

// TestRedriveOfWhatThePipeGaveUp shows that the metadata in a pipe's dead-letter messages is enough to find the events
// in the stream and to put them on the bus, and that each then has its effects.
func TestRedriveOfWhatThePipeGaveUp(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs the whole stack")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	dir := t.TempDir()
	top, err := fixture.Root()
	must(t, top, err)
	app, err := fixture.Assembly()
	if err := patch(top, must(t, app, err), filepath.Join(dir, "app"), orders.stack, append(ordersChanges[:len(ordersChanges):len(ordersChanges)], refusedSource)...); err != nil {
		t.Fatal(err)
	}
	path, err := fixture.Binary()
	var log history.Log
	c := newCluster(localrun.Options{Binary: must(t, path, err), Dir: top, Args: []string{"--app", filepath.Join(dir, "app"), "--stack", orders.stack, "--port", "0"}}, &log)
	if err := c.start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.stop(); err != nil {
			t.Errorf("stop the local run: %v", err)
		}
	})
	run, err := c.current(ctx)
	must(t, run, err)
	w := &workload{client: newClient(c, &log)}
	keys := []string{"one", "two", "three"}
	for _, key := range keys {
		got := w.send(ctx, request{operation: key, method: http.MethodPost, path: "/orders", body: orderOf("c-1"), header: map[string]string{"Idempotency-Key": key}})
		if got.step != history.OK {
			t.Fatalf("POST answered %d: %s", got.status, got.body)
		}
	}
	eventually(ctx, t, "all events are named by the pipe's dead-letter messages", func() bool {
		named := map[string]bool{}
		for _, l := range state(ctx, t, run).DeadLetters {
			for _, id := range l.Events {
				named[id] = l.Queue == history.PipeQueue
			}
		}
		return named["one-1"] && named["two-1"] && named["three-1"]
	})
	if n := len(state(ctx, t, run).Effects); n != 0 {
		t.Fatalf("there are %d effects of events that were not delivered", n)
	}
	if err := redriveOrders(ctx, run); err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, "every order has its shipment, once", func() bool {
		shipments := map[string]int{}
		for _, e := range state(ctx, t, run).Effects {
			if e.Kind == "shipment" {
				shipments[e.Event]++
			}
		}
		return shipments["one-1"] == 1 && shipments["two-1"] == 1 && shipments["three-1"] == 1
	})
}

func state(ctx context.Context, t *testing.T, run *localrun.Run) history.State {
	t.Helper()
	s, err := readOrders(ctx, run)
	return must(t, s, err)
}

// eventually looks again and again: for states that nothing announces.
func eventually(ctx context.Context, t *testing.T, what string, holds func() bool) {
	t.Helper()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		case <-time.After(lookEvery):
		}
	}
}
