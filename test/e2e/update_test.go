package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// An ordered is the response to GET and PATCH.
type ordered struct {
	ID       string
	Status   string
	Version  int64
	Shipment *struct {
		Status string
		Units  int
	}
	History []struct {
		Version int64
		Status  string
	}
}

// to returns the body of a PATCH to a status.
func to(status string) string { return `{"status":"` + status + `"}` }

// bought returns a valid order of one customer.
func bought(customer string) string { return strings.Replace(tea, "c-42", customer, 1) }

// patch changes an order's status and returns the response.
func patch(t *testing.T, run *localrun.Run, id, status, ifMatch string) answer {
	t.Helper()
	return call(t, run, http.MethodPatch, "/orders/"+id, to(status), "If-Match: "+ifMatch)
}

// testUpdates shows the behavior of PATCH.
func testUpdates(t *testing.T, run *localrun.Run) {
	t.Run("an order from its creation to its shipment", func(t *testing.T) {
		id := post(t, run, bought("walker"))
		if tag := call(t, run, http.MethodGet, "/orders/"+id, "").header.Get("ETag"); tag != `"1"` {
			t.Fatalf("the new order's ETag is %s, want \"1\"", tag)
		}
		for i, status := range []string{"CONFIRMED", "SHIPPED"} {
			before, after := fmt.Sprintf(`"%d"`, i+1), fmt.Sprintf(`"%d"`, i+2)
			a := patch(t, run, id, status, before)
			var o ordered
			decode(t, a, http.StatusOK, &o)
			if o.ID != id || o.Status != status || a.header.Get("ETag") != after {
				t.Errorf("the answer is %+v with ETag %s, want %s and %s", o, a.header.Get("ETag"), status, after)
			}
			if tag := call(t, run, http.MethodGet, "/orders/"+id, "").header.Get("ETag"); tag != after {
				t.Errorf("GET's ETag is %s, want %s", tag, after)
			}
		}
		awaitEffects(t, run, id, "walker", effects{
			shipments: 1, requests: 1, history: []string{"1 CREATED", "2 CONFIRMED", "3 SHIPPED"}, notifications: 2,
		})
		var o ordered
		decode(t, call(t, run, http.MethodGet, "/orders/"+id, ""), http.StatusOK, &o)
		if o.Shipment == nil || o.Shipment.Status != "REQUESTED" || o.Shipment.Units != 2 {
			t.Errorf("GET shows the shipment %+v, want one of 2 units", o.Shipment)
		}
		if len(o.History) != 3 || o.History[0].Status != "CREATED" || o.History[2].Version != 3 {
			t.Errorf("GET shows the history %+v", o.History)
		}
	})

	t.Run("one of two changes of the same version succeeds", func(t *testing.T) {
		for round := range 5 {
			id := post(t, run, bought("racer"))
			var answers [2]answer
			var both sync.WaitGroup
			for i, status := range []string{"CONFIRMED", "CANCELLED"} {
				both.Go(func() { answers[i] = patch(t, run, id, status, `"1"`) })
			}
			both.Wait()
			won := 0
			if answers[1].status == http.StatusOK {
				won = 1
			}
			var o ordered
			decode(t, answers[won], http.StatusOK, &o)
			wantError(t, answers[1-won], http.StatusPreconditionFailed, "version", "")
			awaitEffects(t, run, id, "racer", effects{
				shipments: 1, requests: 1, history: []string{"1 CREATED", "2 " + o.Status}, notifications: 2,
			})
			if n := records(t, run, id); n != 2 {
				t.Errorf("round %d: the outbox holds %d events of the order, want 2", round, n)
			}
		}
	})

	fresh, moved := post(t, run, tea), post(t, run, tea)
	if a := patch(t, run, moved, "CANCELLED", `"1"`); a.status != http.StatusOK {
		t.Fatalf("answer: %d %s, want 200", a.status, a.body)
	}
	for name, c := range map[string]struct {
		id, body string
		headers  []string
		status   int
		says     string
	}{
		"no such order":          {"nobody", to("CONFIRMED"), []string{`If-Match: "1"`}, 404, "no order"},
		"an id of another form":  {"a%20b", to("CONFIRMED"), []string{`If-Match: "1"`}, 404, "no order"},
		"a stale version":        {moved, to("CONFIRMED"), []string{`If-Match: "1"`}, 412, "version"},
		"a version to come":      {fresh, to("CONFIRMED"), []string{"If-Match: 2"}, 412, "version"},
		"a forbidden transition": {fresh, to("SHIPPED"), []string{`If-Match: "1"`}, 409, "CREATED"},
		"back to the start":      {moved, to("CREATED"), []string{`If-Match: "2"`}, 409, "CANCELLED"},
		"no If-Match":            {fresh, to("CONFIRMED"), nil, 428, "If-Match"},
		"an If-Match of another": {fresh, to("CONFIRMED"), []string{`If-Match: *`}, 400, "If-Match"},
		"no JSON":                {fresh, `{"status":`, []string{`If-Match: "1"`}, 400, ""},
		"no status":              {fresh, `{}`, []string{`If-Match: "1"`}, 400, "text/plain"},
		"an unknown status":      {fresh, to("LOST"), []string{`If-Match: "1"`}, 400, ""},
		"an unknown field":       {fresh, `{"status":"CONFIRMED","by":"me"}`, []string{`If-Match: "1"`}, 400, "text/plain"},
		"plain text":             {fresh, to("CONFIRMED"), []string{`If-Match: "1"`, "Content-Type: text/plain"}, 415, "application/json"},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			before := records(t, run, c.id)
			wantError(t, call(t, run, http.MethodPatch, "/orders/"+c.id, c.body, c.headers...), c.status, c.says, "")
			if after := records(t, run, c.id); after != before {
				t.Errorf("a refused change left %d events behind", after-before)
			}
		})
	}
}
