package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// tea is a valid order.
const tea = `{"customerId":"c-42","currency":"EUR","items":[{"sku":"tea-green-100","quantity":2,"unitPrice":1290}],"note":"ring twice"}`

// TestStack shows the guarantees of the unchanged stack, on one run of it.
func TestStack(t *testing.T) {
	t.Parallel()
	run := start(t, assembly)
	t.Run("orders", func(t *testing.T) { testOrders(t, run) })
	t.Run("updates", func(t *testing.T) { testUpdates(t, run) })
	t.Run("once", func(t *testing.T) { testOnce(t, run) })
	t.Run("bodies", func(t *testing.T) { testBodies(t, run) })
}

// testOrders shows the behavior of POST and GET.
func testOrders(t *testing.T, run *localrun.Run) {
	t.Run("an order reaches both publishers", func(t *testing.T) {
		id := post(t, run, tea)
		awaitPublishers(t, run, id, "PublisherOne", "PublisherTwo")

		got := call(t, run, http.MethodGet, "/orders/"+id, "")
		var order map[string]any
		decode(t, got, http.StatusOK, &order)
		for field, want := range map[string]any{
			"id": id, "customerId": "c-42", "currency": "EUR", "note": "ring twice", "status": "CREATED", "version": 1.0,
		} {
			if order[field] != want {
				t.Errorf("%s is %v, want %v", field, order[field], want)
			}
		}
		item := order["items"].([]any)[0].(map[string]any)
		if item["sku"] != "tea-green-100" || item["quantity"] != 2.0 || item["unitPrice"] != 1290.0 {
			t.Errorf("the item is %v", item)
		}
	})

	t.Run("a repeated request with the same key returns the same order and writes no second event", func(t *testing.T) {
		first := call(t, run, http.MethodPost, "/orders", tea, "Idempotency-Key: replay-1")
		second := call(t, run, http.MethodPost, "/orders", tea, "Idempotency-Key: replay-1")
		if first.status != http.StatusCreated || second.status != http.StatusOK || first.body != second.body {
			t.Fatalf("answers: %d %s, then %d %s; want 201, then 200 with the same body", first.status, first.body, second.status, second.body)
		}
		if n := records(t, run, "replay-1"); n != 1 {
			t.Errorf("the outbox holds %d records of the order, want 1", n)
		}
		awaitPublishers(t, run, "replay-1", "PublisherOne", "PublisherTwo")
	})

	t.Run("the same key with another order is refused", func(t *testing.T) {
		other := strings.Replace(tea, `"quantity":2`, `"quantity":3`, 1)
		if a := call(t, run, http.MethodPost, "/orders", other, "Idempotency-Key: replay-1"); a.status != http.StatusUnprocessableEntity {
			t.Errorf("answer: %d %s, want 422", a.status, a.body)
		}
	})

	t.Run("an order that does not exist", func(t *testing.T) {
		wantError(t, call(t, run, http.MethodGet, "/orders/nobody", ""), http.StatusNotFound, "", "")
	})

	for name, c := range map[string]struct {
		body   string
		header string
		status int
		says   string // what the reasons must name
	}{
		"no JSON":                 {body: `{"customerId":`, status: 400},
		"no customer":             {body: drop(tea, "customerId"), status: 400, says: "customerId"},
		"no items":                {body: drop(tea, "items"), status: 400, says: "items"},
		"an unknown field":        {body: strings.Replace(tea, `"note"`, `"discount"`, 1), status: 400, says: "discount"},
		"a quantity of zero":      {body: strings.Replace(tea, `"quantity":2`, `"quantity":0`, 1), status: 400, says: "0"},
		"a quantity of 1.0":       {body: strings.Replace(tea, `"quantity":2`, `"quantity":1.0`, 1), status: 400, says: "number"},
		"a quantity of 1e1":       {body: strings.Replace(tea, `"quantity":2`, `"quantity":1e1`, 1), status: 400, says: "number"},
		"a fraction of a price":   {body: strings.Replace(tea, `1290`, `12.9`, 1), status: 400},
		"a currency of 2 letters": {body: strings.Replace(tea, `EUR`, `EU`, 1), status: 400},
		"an empty body":           {body: ` `, status: 400},
		"a form":                  {body: "customerId=c-42", header: "Content-Type: application/x-www-form-urlencoded", status: 415},
		"plain text":              {body: tea, header: "Content-Type: text/plain", status: 415},
		"a key with a space":      {body: tea, header: "Idempotency-Key: a b", status: 400, says: "Idempotency-Key"},
		"a key that is too long":  {body: tea, header: "Idempotency-Key: " + strings.Repeat("k", 65), status: 400, says: "Idempotency-Key"},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			var headers []string
			if c.header != "" {
				headers = []string{c.header}
			}
			before := written(t, run)
			a := call(t, run, http.MethodPost, "/orders", c.body, headers...)
			wantError(t, a, c.status, "", "")
			if reasons := a.body + call(t, run, http.MethodPost, "/orders", c.body, append(headers, "Accept: text/plain")...).body; !strings.Contains(reasons, c.says) {
				t.Errorf("the reasons are %s, want %q named", reasons, c.says)
			}
			if after := written(t, run); after != before {
				t.Errorf("a refused order left %d items behind", after-before)
			}
		})
	}

	for name, hostile := range map[string]string{
		"quotes":      `"double" and 'single' and ` + "`back`",
		"backslashes": `C:\new\table \\ \" \' \u0041`,
		"newlines":    "one\ntwo\r\nthree\ttab",
		"controls":    "bell\u0007 escape\u001b nul-ish\u0001",
		"unicode":     "Grüße 東京 😀 \u2028 \u2029 \ufeff",
		"velocity":    "#set($x=1)${x}$input.body $util.parseJson('{}')#end #*c*###d",
		"money":       "$100 #1 $context.requestId $$ ##",
		"json":        `{"S":"x"}","note":{"S":"forged`,
		"html":        "</script><script>alert(1)</script>&amp;",
	} {
		t.Run("unchanged: "+name, func(t *testing.T) {
			customer, sku := "c-"+hostile, "s-"+hostile
			raw, err := json.Marshal(map[string]any{
				"customerId": customer, "currency": "EUR", "note": hostile,
				"items": []any{map[string]any{"sku": sku, "quantity": 1, "unitPrice": 1}},
			})
			if err != nil {
				t.Fatal(err)
			}
			id := post(t, run, string(raw))
			stored := order(t, run, id)
			if got := stored["note"].(*types.AttributeValueMemberS).Value; got != hostile {
				t.Errorf("the note in DynamoDB is %q, want %q", got, hostile)
			}
			if got := stored["customerId"].(*types.AttributeValueMemberS).Value; got != customer {
				t.Errorf("the customer in DynamoDB is %q, want %q", got, customer)
			}
			item := stored["items"].(*types.AttributeValueMemberL).Value[0].(*types.AttributeValueMemberM).Value
			if got := item["sku"].(*types.AttributeValueMemberS).Value; got != sku {
				t.Errorf("the sku in DynamoDB is %q, want %q", got, sku)
			}
			var read map[string]any
			decode(t, call(t, run, http.MethodGet, "/orders/"+id, ""), http.StatusOK, &read)
			if read["note"] != hostile {
				t.Errorf("GET returns the note %q, want %q", read["note"], hostile)
			}
			awaitPublishers(t, run, id, "PublisherOne", "PublisherTwo")
		})
	}
}

// post creates an order and returns its id.
func post(t *testing.T, run *localrun.Run, body string, headers ...string) string {
	t.Helper()
	var created struct{ ID string }
	decode(t, call(t, run, http.MethodPost, "/orders", body, headers...), http.StatusCreated, &created)
	if created.ID == "" {
		t.Fatal("the response to POST has no id")
	}
	return created.ID
}

func decode(t *testing.T, a answer, status int, into any) {
	t.Helper()
	if a.status != status {
		t.Fatalf("answer: %d %s, want %d", a.status, a.body, status)
	}
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		t.Fatalf("answer %q: %v", a.body, err)
	}
}

// wantError checks the status and the form that every error has.
func wantError(t *testing.T, a answer, status int, says, retryAfter string) {
	t.Helper()
	var problem struct {
		Error struct{ Code, Message string }
	}
	decode(t, a, status, &problem)
	if problem.Error.Code == "" || problem.Error.Message == "" || !strings.Contains(problem.Error.Message, says) {
		t.Errorf("the error is %s, want a code and a message that names %q", a.body, says)
	}
	if got := a.header.Get("Retry-After"); got != retryAfter {
		t.Errorf("Retry-After is %q, want %q", got, retryAfter)
	}
}

// drop returns the JSON object without one field.
func drop(object, field string) string {
	var m map[string]any
	if err := json.Unmarshal([]byte(object), &m); err != nil {
		panic(err)
	}
	delete(m, field)
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// awaitPublishers waits until each function has logged the order, which it does once for each delivery.
func awaitPublishers(t *testing.T, run *localrun.Run, order string, functions ...string) {
	t.Helper()
	for _, fn := range functions {
		if _, err := run.Wait(within(t), 1, logged(run, fn, order)); err != nil {
			t.Fatalf("%s did not receive order %s: %v", fn, order, err)
		}
	}
}

// logged returns a filter for the lines that a function has logged about an order.
func logged(run *localrun.Run, function, order string) func(hop.Hop) bool {
	return func(h hop.Hop) bool {
		return h.Stage == hop.Function && h.Outcome == hop.OK &&
			strings.Contains(run.Name(h.Resource), function) && strings.Contains(handlerLine(h.Detail), `"`+order+`"`)
	}
}

// order returns the order's item in DynamoDB.
func order(t *testing.T, run *localrun.Run, id string) map[string]types.AttributeValue {
	t.Helper()
	out, err := run.Cloud().DynamoDB().GetItem(within(t), &dynamodb.GetItemInput{
		TableName:      aws.String(run.Summary.Outputs["OrdersTableName"]),
		ConsistentRead: aws.Bool(true),
		Key: map[string]types.AttributeValue{
			"id":     &types.AttributeValueMemberS{Value: id},
			"entity": &types.AttributeValueMemberS{Value: "order"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if out.Item == nil {
		t.Fatalf("order %s is not in DynamoDB", id)
	}
	return out.Item
}

// records counts the outbox records of an order.
func records(t *testing.T, run *localrun.Run, order string) int {
	t.Helper()
	return len(query(within(t), t, run, "OutboxTableName", record.AttrPK, "Order#"+order))
}

// written counts the orders and their events, without the items that consumers write about them.
func written(t *testing.T, run *localrun.Run) int {
	t.Helper()
	return count(t, run, "OrdersTableName", "entity", "order") + count(t, run, "OutboxTableName", record.AttrAggregateType, "Order")
}

// count returns how many items in the table of an output have an attribute with that value.
func count(t *testing.T, run *localrun.Run, output, attribute, value string) int {
	t.Helper()
	n := 0
	pages := dynamodb.NewScanPaginator(run.Cloud().DynamoDB(), &dynamodb.ScanInput{
		TableName: aws.String(run.Summary.Outputs[output]), Select: types.SelectCount, ConsistentRead: aws.Bool(true),
		FilterExpression:          aws.String("#a = :v"),
		ExpressionAttributeNames:  map[string]string{"#a": attribute},
		ExpressionAttributeValues: map[string]types.AttributeValue{":v": &types.AttributeValueMemberS{Value: value}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(within(t))
		if err != nil {
			t.Fatal(err)
		}
		n += int(page.Count)
	}
	return n
}
