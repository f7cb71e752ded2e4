package synth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"pgregory.net/rapid"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// tea is a good order.
const tea = `{"customerId":"c-42","items":[{"sku":"tea","quantity":2,"unitPrice":1290},{"sku":"pot","quantity":1,"unitPrice":0}],"currency":"EUR","note":"ring twice"}`

func TestAPI(t *testing.T) {
	g := startGateway(t)
	t.Run("an order and its event are written", g.testWrites)
	t.Run("the trace", g.testTrace)
	t.Run("the key", g.testKey)
	t.Run("the same order has the same data", g.testData)
	t.Run("hostile strings arrive unchanged", g.testHostileStrings)
	t.Run("the largest order fits on the bus", g.testLargestOrder)
	t.Run("limits", g.testLimits)
	t.Run("an error is always JSON", g.testErrorsAreJSON)
	t.Run("an id that nobody chose", g.testChosenRequestID)
	t.Run("what API Gateway answers itself", g.testGatewayResponses)
	t.Run("refused writes", g.testRefusedWrites)
	t.Run("no success that is not known", g.testNoFalseSuccess)
	t.Run("reading", g.testReading)
	t.Run("refused reads", g.testRefusedReads)
	t.Run("changing", g.testChanging)
}

// A transaction is what the API sent to DynamoDB.
type transaction struct {
	TransactItems []struct {
		Put struct {
			TableName                 string
			ConditionExpression       string
			ExpressionAttributeNames  map[string]string
			ExpressionAttributeValues map[string]map[string]any
			Item                      map[string]any
		}
	}
}

// post creates an order, expects success, and returns the transaction and the order's id.
func (g *gateway) post(t testingT, body string, headers ...string) (tx transaction, id string) {
	t.Helper()
	g.dynamoDB.answer(http.StatusOK, "{}")
	r := g.do(t, http.MethodPost, "/orders", body, headers...)
	var created struct{ ID string }
	if err := json.Unmarshal(r.body, &created); err != nil || r.status != http.StatusCreated || created.ID == "" {
		t.Fatalf("answer is %d %s (%v), want 201 and an id", r.status, r.body, err)
	}
	return g.transaction(t), created.ID
}

func (g *gateway) transaction(t testingT) (tx transaction) {
	t.Helper()
	action, sent := g.dynamoDB.call()
	if err := json.Unmarshal(sent, &tx); err != nil || action != "TransactWriteItems" || len(tx.TransactItems) != 2 {
		t.Fatalf("DynamoDB got %s %s (%v), want a transaction of two", action, sent, err)
	}
	return tx
}

func (g *gateway) testWrites(t *testing.T) {
	before := time.Now().UnixMilli()
	tx, id := g.post(t, tea, "Idempotency-Key", "key_1-A")
	order, event := tx.TransactItems[0].Put, tx.TransactItems[1].Put
	if id != "key_1-A" {
		t.Errorf("the id is %q, want the key", id)
	}
	created := text(order.Item["createdAt"])
	same(t, "the order", order.Item, `{
		"id": {"S": "key_1-A"}, "entity": {"S": "order"}, "customerId": {"S": "c-42"}, "currency": {"S": "EUR"}, "note": {"S": "ring twice"},
		"items": {"L": [
			{"M": {"sku": {"S": "tea"}, "quantity": {"N": "2"}, "unitPrice": {"N": "1290"}}},
			{"M": {"sku": {"S": "pot"}, "quantity": {"N": "1"}, "unitPrice": {"N": "0"}}}
		]},
		"status": {"S": "CREATED"}, "version": {"N": "1"}, "createdAt": {"N": "`+created+`"}
	}`)
	if order.ConditionExpression != "attribute_not_exists(id)" {
		t.Errorf("the order is written if %s", order.ConditionExpression)
	}

	var ms int64
	if _, err := fmt.Sscan(created, &ms); err != nil || ms < before || ms > time.Now().UnixMilli() {
		t.Errorf("createdAt is %s, want now in milliseconds", created)
	}
	// The item must be what the library would write.
	data := text(event.Item["data"])
	item, err := record.Event{
		ID: "key_1-A-1", Type: "OrderCreated", Source: "orders", AggregateType: "Order", AggregateID: "key_1-A", Version: 1,
		OccurredAt: time.UnixMilli(ms), Data: json.RawMessage(data), Traceparent: text(event.Item["traceparent"]),
	}.Item(time.Unix(ms/1000+7*24*60*60, 0))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the outbox item", event.Item, wire(t, item))
	same(t, "the event's data", decoded(t, []byte(data)), `{
		"orderId": "key_1-A", "customerId": "c-42", "currency": "EUR", "note": "ring twice", "status": "CREATED",
		"items": [{"sku": "tea", "quantity": 2, "unitPrice": 1290}, {"sku": "pot", "quantity": 1, "unitPrice": 0}]
	}`)
	if event.ConditionExpression != "attribute_not_exists(pk) OR #d = :d" || event.ExpressionAttributeNames["#d"] != "data" || text(event.ExpressionAttributeValues[":d"]) != data {
		t.Errorf("the event is written if %s, %v, %v", event.ConditionExpression, event.ExpressionAttributeNames, event.ExpressionAttributeValues)
	}
	if !strings.HasPrefix(order.TableName, "Orders") || !strings.HasPrefix(event.TableName, "OutboxTable") {
		t.Errorf("written to %s and %s", order.TableName, event.TableName)
	}
}

func (g *gateway) testTrace(t *testing.T) {
	const own = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	traceparent := func(headers ...string) string {
		tx, _ := g.post(t, tea, headers...)
		return text(tx.TransactItems[1].Put.Item["traceparent"])
	}
	if got := traceparent("TraceParent", own); got != own {
		t.Errorf("the caller's traceparent became %q", got)
	}
	fromXRay := traceparent("X-Amzn-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793")
	if !strings.HasPrefix(fromXRay, "00-5759e988bd862e3fe1be46a994272793-") || len(fromXRay) != len(own) || !strings.HasSuffix(fromXRay, "-01") {
		t.Errorf("X-Ray's trace became %q", fromXRay)
	}
	const zeroTrace, zeroSpan = "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"
	for _, wrong := range []string{"00-xyz", `"},"x":{"S":"`, strings.ToUpper(own), own + "-more", zeroTrace, zeroSpan} {
		if got := traceparent("traceparent", wrong, "X-Amzn-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793"); !strings.HasPrefix(got, "00-5759e988") {
			t.Errorf("traceparent %q became %q, want X-Ray's trace", wrong, got)
		}
	}
}

// testChosenRequestID: a client may choose the request id, but neither the order's id nor an invalid trace with it.
func (g *gateway) testChosenRequestID(t *testing.T) {
	form := regexp.MustCompile(`^\d{13}-[A-Za-z0-9]{1,15}$`)
	seen := map[string]bool{}
	for _, chosen := range []string{"o-1", "o-1", `"},"x":{"S":"`, "00000000-0000-0000-0000-000000000000"} {
		tx, id := g.post(t, tea, "X-Amzn-RequestId", chosen)
		if !form.MatchString(id) || seen[id] {
			t.Errorf("request id %q gave the order %s, want another id each time, of the form %s", chosen, id, form)
		}
		seen[id] = true
		if traceparent := text(tx.TransactItems[1].Put.Item["traceparent"]); traceparent != "" {
			t.Errorf("request id %q gave the trace %s, want none", chosen, traceparent)
		}
	}
}

func (g *gateway) testKey(t *testing.T) {
	for _, header := range []string{"Idempotency-Key", "idempotency-key", "IDEMPOTENCY-KEY"} {
		for _, key := range []string{"k", strings.Repeat("k", 64), "-_-", "0"} {
			if _, id := g.post(t, tea, header, key); id != key {
				t.Errorf("%s %s gave the order %s", header, key, id)
			}
		}
	}
	if _, one := g.post(t, tea); one == "" {
		t.Error("without a key the order has no id")
	} else if _, two := g.post(t, tea); one == two {
		t.Errorf("two orders without a key have the id %s", one)
	}
	// A key in the query is not the header.
	g.dynamoDB.answer(http.StatusOK, "{}")
	if r := g.do(t, http.MethodPost, "/orders?Idempotency-Key=query", tea); strings.Contains(string(r.body), "query") {
		t.Errorf("the query's key was taken: %s", r.body)
	}
	for _, key := range []string{"", strings.Repeat("k", 65), "a b", "a.b", `a"`, "ä", "a/b", "$a", "#a"} {
		g.dynamoDB.answer(http.StatusBadRequest, `{"__type":"com.amazon.coral.validate#ValidationException","message":"1 validation error detected: Value '[]' at 'transactItems' failed to satisfy constraint"}`)
		r := g.do(t, http.MethodPost, "/orders", tea, "Idempotency-Key", key)
		if message := r.wantError(t, http.StatusBadRequest, "IDEMPOTENCY_KEY_INVALID"); !strings.Contains(message, "Idempotency-Key") {
			t.Errorf("message for key %q is %q", key, message)
		}
		if _, sent := g.dynamoDB.call(); string(sent) != `{"TransactItems":[]}` {
			t.Errorf("key %q: DynamoDB got %s, want nothing to write", key, sent)
		}
	}
}

// testData: a replay is recognized by its data, so data must not depend on how the client writes its JSON.
func (g *gateway) testData(t *testing.T) {
	data := func(body string) string {
		tx, _ := g.post(t, body, "Idempotency-Key", "same")
		return text(tx.TransactItems[1].Put.Item["data"])
	}
	want := data(tea)
	for _, again := range []string{
		tea,
		strings.ReplaceAll(tea, ",", " ,\n\t"),
		`{"note":"ring twice","currency":"\u0045UR","items":[{"unitPrice":1290,"quantity":2,"sku":"tea"},{"quantity":1,"sku":"pot","unitPrice":0}],"customerId":"c-42"}`,
	} {
		if got := data(again); got != want {
			t.Errorf("data of %s is\n%s\nwant\n%s", again, got, want)
		}
	}
	if other := data(strings.Replace(tea, "1290", "1291", 1)); other == want {
		t.Error("another order has the same data")
	}
}

func (g *gateway) testHostileStrings(t *testing.T) {
	seeds := []string{
		`"`, `'`, `\`, `\'`, `\"`, `\\'`, "\n\r\t\b\f\x00\x1f\x7f", "é ☕ 😀 \u2028\ufeff", "$x ${x} $!x $util.parseJson('1')",
		"#set($a = 1) #end #* c *# ## d #[[ e ]]#", `</script>`, `","note":{"S":"forged"}`, "\\u0041", "$1 \\1", "]]>",
	}
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Map(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(seeds), rapid.StringN(0, 8, -1)), 1, 4), func(parts []string) string {
			runes := []rune(strings.Join(parts, ""))
			return "." + string(runes[:min(len(runes), 60)])
		})
		customer, sku, note := value.Draw(t, "customerId"), value.Draw(t, "sku"), value.Draw(t, "note")
		body, err := json.Marshal(map[string]any{
			"customerId": customer, "currency": "EUR", "note": note, "items": []any{map[string]any{"sku": sku, "quantity": 1, "unitPrice": 1}},
		})
		if err != nil {
			t.Fatal(err)
		}
		tx, _ := g.post(t, string(body))
		item := tx.TransactItems[0].Put.Item
		line := item["items"].(map[string]any)["L"].([]any)[0].(map[string]any)["M"].(map[string]any)
		if text(item["customerId"]) != customer || text(line["sku"]) != sku || text(item["note"]) != note {
			t.Fatalf("stored %v, want %q, %q, %q", item, customer, sku, note)
		}
		var data struct {
			CustomerID, Note string
			Items            []struct{ SKU string }
		}
		if err := json.Unmarshal([]byte(text(tx.TransactItems[1].Put.Item["data"])), &data); err != nil {
			t.Fatal(err)
		}
		if data.CustomerID != customer || data.Note != note || data.Items[0].SKU != sku {
			t.Fatalf("the event says %+v, want %q, %q, %q", data, customer, sku, note)
		}
		g.dynamoDB.answer(http.StatusOK, `{"Items":[`+canonicalItem(t, item)+`]}`)
		var read struct {
			CustomerID, Note string
			Items            []struct{ SKU string }
		}
		r := g.do(t, http.MethodGet, "/orders/x", "")
		if err := json.Unmarshal(r.body, &read); err != nil || r.status != http.StatusOK {
			t.Fatalf("GET answers %d %s: %v", r.status, r.body, err)
		}
		if read.CustomerID != customer || read.Note != note || read.Items[0].SKU != sku {
			t.Fatalf("GET gives %+v, want %q, %q, %q", read, customer, sku, note)
		}
	})
}

// testLargestOrder: the event's entry in PutEvents must stay far below 256 KB.
// Source: EventBridge user guide, eb-putevents.
func (g *gateway) testLargestOrder(t *testing.T) {
	const worst = "😀" // \ud83d\ude00: twelve bytes in data, fourteen where data is a JSON string
	line := map[string]any{"sku": strings.Repeat(worst, 64), "quantity": 10000, "unitPrice": 100000000}
	body, err := json.Marshal(map[string]any{
		"customerId": strings.Repeat(worst, 64), "currency": "EUR", "note": strings.Repeat(worst, 1000), "items": slices.Repeat([]any{line}, 100),
	})
	if err != nil {
		t.Fatal(err)
	}
	tx, _ := g.post(t, string(body), "Idempotency-Key", strings.Repeat("k", 64))
	detail := map[string]string{}
	for _, field := range record.DetailFields {
		detail[field] = text(tx.TransactItems[1].Put.Item[field])
	}
	entry := len(jsonOf(t, detail)) + len("orders") + len("OrderCreated")
	if entry > 120<<10 {
		t.Errorf("the largest order's event has %d bytes, want at most 120 KB", entry)
	}
	t.Logf("the largest order's event has %d bytes", entry)
}

// text returns the S or N of an attribute value.
func text(attribute any) string {
	value, _ := attribute.(map[string]any)
	if s, ok := value["S"].(string); ok {
		return s
	}
	n, _ := value["N"].(string)
	return n
}

// wire returns an item of the SDK as DynamoDB's JSON.
func wire(t *testing.T, item map[string]types.AttributeValue) string {
	t.Helper()
	attributes := map[string]any{}
	for name, value := range item {
		switch v := value.(type) {
		case *types.AttributeValueMemberS:
			attributes[name] = map[string]string{"S": v.Value}
		case *types.AttributeValueMemberN:
			attributes[name] = map[string]string{"N": v.Value}
		default:
			t.Fatalf("%s is %#v", name, value)
		}
	}
	return jsonOf(t, attributes)
}

func decoded(t *testing.T, raw []byte) (value any) {
	t.Helper()
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return value
}

func canonicalItem(t testingT, item map[string]any) string {
	raw, err := json.Marshal(item)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
