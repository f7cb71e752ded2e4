package e2e

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// twoStacks is an app of two stacks that the CDK has synthesized: Orders has an outbox, Shipping imports it with
// TransactionalOutbox_FromAttributes. Both have a consumer Ship, a table Shipments and a REST API, with the same logical ids.
var twoStacks = filepath.Join("testdata", "two-stacks")

// TestStacksOfOneApp shows that an event of one stack's outbox takes effect in both stacks, once, over a kill -9 too, and
// that what they call the same is not mixed up.
func TestStacksOfOneApp(t *testing.T) {
	t.Parallel()
	app, err := filepath.Abs(twoStacks)
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	first := launchStacks(t, app, "--all", "--data", data)
	t.Cleanup(first.Kill)
	if !slices.Equal(first.Summary.Stacks, []string{"Orders", "Shipping"}) {
		t.Errorf("the stacks are %v, want the one that is imported from first", first.Summary.Stacks)
	}
	for _, api := range first.Summary.APIs {
		if said := get(t, api.URL); said != api.Stack {
			t.Errorf("the API of %s says %q", api.Stack, said)
		}
	}
	if n := len(first.Summary.APIs); n != 2 {
		t.Errorf("%d APIs are served, want 2", n)
	}
	writeTogether(t, first, createdItem(t, "o-1", "c-1"))
	awaitShipped(t, first, "o-1")
	for _, consumer := range []string{"Orders/Outbox/Ship/Mapping", "Shipping/Outbox/Ship/Mapping"} {
		if _, err := first.Wait(within(t), 1, func(h hop.Hop) bool { return h.Stage == hop.Queue && first.Name(h.Resource) == consumer }); err != nil {
			t.Errorf("no hop is of %s: %v", consumer, err)
		}
	}
	for stack, queues := range map[string]string{"Orders": "3 dead-letter queues", "Shipping": "2 dead-letter queues"} {
		command(t, first.Cloud().Environ(), "status", "--stack", stack).check(t, 0, "Ship")
		command(t, first.Cloud().Environ(), "dead-letters", "list", "--stack", stack).check(t, 0, queues)
	}
	first.Kill()

	alone := launchStacks(t, app, "--stack", "Orders", "--data", data) // what the other stack has stays as it is
	writeTogether(t, alone, createdItem(t, "o-2", "c-2"))
	awaitTimes(t, alone, "ShipmentsTable", "o-2")
	alone.Kill()

	again := launchStacks(t, app, "--stack", "Shipping", "--stack", "Orders", "--data", data)
	t.Cleanup(again.Kill)
	writeTogether(t, again, createdItem(t, "o-3", "c-3"))
	awaitShipped(t, again, "o-3")
	awaitTimes(t, again, "Shipping/ShipmentsTable", "o-1")
	if hops := again.Hops(func(h hop.Hop) bool {
		return h.Stage == hop.Pipe && slices.ContainsFunc(h.EventIDs, func(id string) bool { return strings.HasPrefix(id, "o-1-") })
	}); len(hops) > 0 {
		t.Errorf("the pipe starts before its checkpoint: %+v", hops)
	}
}

// A stack that imports from one that is not in the run is refused with the flag to add.
func TestAStackWithoutWhatItImports(t *testing.T) {
	t.Parallel()
	app, err := filepath.Abs(twoStacks)
	if err != nil {
		t.Fatal(err)
	}
	command(t, nil, "local", "--app", app, "--stack", "Shipping", "--port", "0").check(t, 1, "stack Orders is not in the run: add --stack Orders")
}

// awaitShipped waits until an order is shipped once by both stacks.
func awaitShipped(t *testing.T, run *localrun.Run, order string) {
	t.Helper()
	awaitTimes(t, run, "Orders/ShipmentsTable", order)
	awaitTimes(t, run, "Shipping/ShipmentsTable", order)
}

// awaitTimes waits until the table of an output has one shipment of the order, made once.
func awaitTimes(t *testing.T, run *localrun.Run, output, order string) {
	t.Helper()
	eventually(t, order+" is shipped in "+output, func(ctx context.Context) bool {
		items := query(ctx, t, run, output, "id", order)
		if len(items) == 1 && text(items[0]["times"]) != "1" {
			t.Fatalf("%s is shipped %s times", order, text(items[0]["times"]))
		}
		return len(items) == 1
	})
}

// get returns the body of a response.
func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(within(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
