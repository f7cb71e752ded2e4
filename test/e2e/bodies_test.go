package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/outboxtest"
)

// testBodies: a body that POST takes is handled by every consumer, and for every other one the answer says what is wrong.
// A body that passes the model and then fails in a consumer for good would be an order that was promised and never shipped.
func testBodies(t *testing.T, run *localrun.Run) {
	accepted := map[string]string{} // body by order
	for seed := range 150 {
		body := orderBody.Example(seed)
		a := call(t, run, http.MethodPost, "/orders", body)
		if a.status == http.StatusBadRequest {
			wantError(t, a, http.StatusBadRequest, "text/plain", "")
			continue
		}
		var created struct{ ID string }
		if err := json.Unmarshal([]byte(a.body), &created); err != nil || a.status != http.StatusCreated {
			t.Errorf("%s\nis answered %d %s, want 201 or 400", body, a.status, a.body)
			continue
		}
		accepted[created.ID] = body
	}
	if len(accepted) < 30 || len(accepted) > 120 {
		t.Errorf("%d of 150 bodies were accepted: the generator shows too little of one side", len(accepted))
	}
	for id, body := range accepted {
		for _, consumer := range consumers {
			if _, err := run.Wait(within(t), 1, outcome(run, consumer, id, "handled")); err != nil {
				t.Fatalf("%s did not handle the order of\n%s\n%v; it said %+v", consumer, body, err, outcomes(run, consumer, id))
			}
		}
	}
	for _, consumer := range consumers {
		awaitEmpty(t, run, consumer+"DeadLetterQueueUrl")
	}
}

// TestGenerousValidator: draft 4 says that 1.0 and 1e1 are no integers, but nobody knows whether API Gateway's validator
// agrees. Where it does not, the order goes all the way as well.
func TestGenerousValidator(t *testing.T) {
	t.Parallel()
	run := outboxtest.Start(t, outboxtest.Own(), outboxtest.Stack(stack), outboxtest.Assembly(patched(t, func(p tmpl) {
		delete(p.properties("AWS::ApiGateway::Method", "Api/Default/orders/POST"), "RequestValidatorId")
	})))
	for spelled, units := range map[string]int{"10": 10, "1.0": 1, "1e1": 10} {
		t.Run(spelled, func(t *testing.T) {
			event := createdBy(t, run, strings.NewReplacer(`"quantity":2`, `"quantity":`+spelled, "1290", "1.29e3").Replace(tea))
			for _, consumer := range consumers {
				event.HandledBy(t, consumer)
				event.Effects(t, consumer).Is(1)
			}
			path := "/orders/" + event.AggregateID
			if a := run.Do(t, http.MethodPatch, path, to("CONFIRMED"), `If-Match: "1"`); a.Status != http.StatusOK {
				t.Fatalf("PATCH answers %d %s, want 200", a.Status, a.Body)
			}
			run.Event(t, outboxtest.Aggregate("Order", event.AggregateID), outboxtest.Version(2)).HandledBy(t, "OrderUpdatedPublisher")
			var o struct {
				Items    []struct{ Quantity, UnitPrice float64 }
				Shipment struct{ Units int }
				History  []struct{ Status string }
			}
			run.GET(t, path).Decode(t, &o)
			if o.Items[0].Quantity != float64(units) || o.Items[0].UnitPrice != 1290 || o.Shipment.Units != units || len(o.History) != 2 {
				t.Errorf("GET gives %+v, want %d units at 1290, and two states", o, units)
			}
			run.NoDeadLetters(t)
		})
	}
}

// orderBody generates the text of a body: an order of which each part is mostly right, sometimes at a limit or written in
// an unusual way, and sometimes wrong.
var orderBody = rapid.Custom(func(t *rapid.T) string {
	var lines []string
	for range rapid.SampledFrom([]int{1, 1, 2, 3, 100, 0, 101}).Draw(t, "lines") {
		lines = append(lines, fmt.Sprintf(`{"sku":%s,"quantity":%s,"unitPrice":%s}`,
			shortText.Draw(t, "sku"), number("1", "10000", "0", "10001", "-1").Draw(t, "quantity"), number("0", "100000000", "100000001").Draw(t, "unitPrice")))
		if len(lines) == 1 && rapid.IntRange(0, 9).Draw(t, "twice") == 0 {
			lines[0] = strings.Replace(lines[0], `{`, `{"sku":1,"quantity":"x",`, 1) // the last of two values counts
		}
	}
	fields := []string{
		`"customerId":` + shortText.Draw(t, "customerId"),
		`"currency":` + mostly(`"EUR"`, `"\u0045UR"`, `"eur"`, `"EUR\n"`).Draw(t, "currency"),
		`"items":[` + strings.Join(lines, ",") + `]`,
	}
	if rapid.Bool().Draw(t, "hasNote") {
		fields = append(fields, `"note":`+shortText.Draw(t, "note"))
	}
	fields = rapid.Permutation(fields).Draw(t, "order")
	return "{" + strings.Join(fields, mostly(",", " ,\r\n\t", ",\"x\":1,").Draw(t, "separator")) + "}"
})

var shortText = rapid.OneOf(
	rapid.Map(rapid.StringN(1, 60, 64), encoded),
	rapid.Map(rapid.StringMatching(`[a-z]{1,20}`), encoded),
	mostly(`"c-42"`, `"\u0000"`, `"\ud83d\ude00"`, `"\ud800"`, `"a\udfffb"`, `"'\"\\\/"`, `"\u2028"`, `"`+strings.Repeat(`\u00e9`, 64)+`"`, `""`, "null", "7"),
)

// number generates a whole number, mostly 1 to 3, now and then one of these or in a spelling that is none.
func number(limits ...string) *rapid.Generator[string] {
	return rapid.OneOf(mostly("1", append(limits, "2", "3", "1.0", "1e1", "1E0", "0.5", "1e400", "-0", `"1"`)...))
}

// mostly generates the first text nine times out of ten.
func mostly(usual string, others ...string) *rapid.Generator[string] {
	texts := append([]string{}, others...)
	for range 9 * len(others) {
		texts = append(texts, usual)
	}
	return rapid.SampledFrom(texts)
}

func encoded(text string) string {
	raw, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always marshals
	}
	return string(raw)
}
