package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// latecomer is the ordered consumer of the reference application.
const latecomer = "OrderUpdatedPublisher"

// without removes a consumer from the template, as it was before the consumer was added.
func (p tmpl) without(consumer string) {
	gone := map[string]bool{}
	for id, r := range p.resources {
		meta, _ := r.(map[string]any)["Metadata"].(map[string]any)
		if path, _ := meta["aws:cdk:path"].(string); strings.Contains(path, "/"+consumer+"/") {
			gone[id] = true
			delete(p.resources, id)
		}
	}
	if len(gone) == 0 {
		p.t.Fatalf("the template has no consumer %s", consumer)
	}
	for _, r := range p.resources {
		resource := r.(map[string]any)
		if needs, ok := resource["DependsOn"].([]any); ok {
			resource["DependsOn"] = slices.DeleteFunc(needs, func(id any) bool { return gone[id.(string)] })
		}
		if resource["Type"] == "AWS::IAM::Policy" {
			document := resource["Properties"].(map[string]any)["PolicyDocument"].(map[string]any)
			for _, s := range document["Statement"].([]any) {
				forget(s.(map[string]any), consumer, gone)
			}
		}
	}
	for name := range p.outputs {
		if strings.HasPrefix(name, consumer) {
			delete(p.outputs, name)
		}
	}
}

// forget removes what a statement for several consumers says of one: its resources, and the keys of its receipts.
func forget(statement map[string]any, consumer string, gone map[string]bool) {
	if resources, ok := statement["Resource"].([]any); ok {
		statement["Resource"] = slices.DeleteFunc(resources, func(r any) bool {
			attribute, ok := r.(map[string]any)["Fn::GetAtt"].([]any)
			return ok && gone[attribute[0].(string)]
		})
	}
	condition, _ := statement["Condition"].(map[string]any)
	like, _ := condition["ForAllValues:StringLike"].(map[string]any)
	if keys, ok := like["dynamodb:LeadingKeys"].([]any); ok {
		like["dynamodb:LeadingKeys"] = slices.DeleteFunc(keys, func(key any) bool { return strings.Contains(key.(string)+"#", "/"+consumer+"#") })
	}
}

// TestConsumerJoinsARunningStack deploys an ordered consumer beside orders that exist: it begins with what is
// written from then on, whatever comes first, and nothing waits in its dead-letter queue.
func TestConsumerJoinsARunningStack(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	const orders = 6
	before := launch(t, patched(t, func(p tmpl) { p.without(latecomer) }), "--data", data)
	var ids []string
	for i := range orders {
		ids = append(ids, post(t, before, bought("joiner"), fmt.Sprintf("Idempotency-Key: join-%d", i)))
	}
	for _, id := range ids {
		awaitEffects(t, before, id, "joiner", effects{shipments: 1, requests: 1, notifications: 2})
	}
	if err := before.Stop(); err != nil {
		t.Fatal(err)
	}

	// Messages of the queues change places, so that some first event comes after its successor.
	plan := filepath.Join(t.TempDir(), "faults.json")
	if err := os.WriteFile(plan, []byte(`{"seed":1,"rates":{"queue.reorder":0.5,"queue.duplicate":0.5}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // a queue tells its age in seconds
	after := start(t, assembly, "--data", data, "--faults", plan)
	for _, id := range ids {
		moveOn(t, after, id, "CONFIRMED", 1)
		moveOn(t, after, id, "SHIPPED", 2)
	}
	// An order that exists begins with version 2 for the consumer, a new one with version 1.
	fresh := post(t, after, bought("joiner"))
	moveOn(t, after, fresh, "CONFIRMED", 1)
	for _, id := range ids {
		awaitEffects(t, after, id, "joiner", effects{shipments: 1, requests: 1, history: []string{"2 CONFIRMED", "3 SHIPPED"}, notifications: 2})
	}
	awaitEffects(t, after, fresh, "joiner", effects{shipments: 1, requests: 1, history: []string{"1 CREATED", "2 CONFIRMED"}, notifications: 2})
	awaitEmpty(t, after, latecomer+"QueueUrl")
	awaitEmpty(t, after, latecomer+"DeadLetterQueueUrl")
}

// moveOn moves an order on.
func moveOn(t *testing.T, run *localrun.Run, id, status string, version int) {
	t.Helper()
	if a := patch(t, run, id, status, fmt.Sprintf(`"%d"`, version)); a.status != http.StatusOK {
		t.Fatalf("order %s to %s: %d %s", id, status, a.status, a.body)
	}
}
