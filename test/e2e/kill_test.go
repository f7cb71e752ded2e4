package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// TestKill ends the local run with kill -9 right after orders were accepted, several times, and shows that each order
// still has all of its effects, and each of them once. A message that a consumer was handling becomes visible again
// after seconds instead of a minute.
func TestKill(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	assembly := patched(t, func(p tmpl) {
		for _, consumer := range consumers {
			p.properties("AWS::SQS::Queue", consumer+"/Queue")["VisibilityTimeout"] = 15
		}
	})
	var orders []string
	for round := range 3 {
		run := launch(t, assembly, "--data", data)
		for i := range 5 {
			orders = append(orders, post(t, run, bought("killed"), fmt.Sprintf("Idempotency-Key: kill-%d-%d", round, i)))
		}
		run.Kill()
	}
	run := start(t, assembly, "--data", data)
	orders = append(orders, post(t, run, bought("killed")))
	for _, order := range orders {
		if got := call(t, run, http.MethodGet, "/orders/"+order, "").status; got != http.StatusOK {
			t.Errorf("order %s is lost: GET returned %d", order, got)
		}
		awaitEffects(t, run, order, "killed", created)
	}
	for _, consumer := range consumers {
		awaitEmpty(t, run, consumer+"QueueUrl")
	}
	for _, order := range orders {
		wantEffects(t, run, order, "killed", created)
	}
}

// TestKillBeforeDelivery kills a run after orders are written and before any event is delivered: the pipe of the first
// run is stopped. The second run must deliver the events.
func TestKillBeforeDelivery(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	stopped := patched(t, func(p tmpl) { p.properties("AWS::Pipes::Pipe", "Outbox")["DesiredState"] = "STOPPED" })
	first := launch(t, stopped, "--data", data)
	var orders []string
	for range 5 {
		orders = append(orders, post(t, first, tea))
	}
	first.Kill()
	if hops := first.Hops(func(h hop.Hop) bool { return h.Stage == hop.Pipe }); len(hops) != 0 {
		t.Fatalf("the stopped pipe delivered: %v", hops)
	}
	run := start(t, assembly, "--data", data)
	for _, order := range orders {
		awaitPublishers(t, run, order, "PublisherOne", "PublisherTwo")
	}
}
