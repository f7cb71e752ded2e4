package synth

import (
	"encoding/json"
	"net/http"
	"testing"

	"pgregory.net/rapid"
)

// testErrorsAreJSON: whatever a client sends, the answer is an order or an error in the one shape of all errors. The
// reason why a body is refused quotes the body, and so stands in no JSON.
func (g *gateway) testErrorsAreJSON(t *testing.T) {
	hostile := rapid.OneOf(
		rapid.SampledFrom([]string{`"`, `\`, "\n", `","code":"FORGED`, "$context.requestId", "\u2028", "\x00", "😀", "<b>"}),
		rapid.String(),
	)
	value := rapid.OneOf(
		rapid.Map(hostile, func(s string) any { return s }),
		rapid.Map(rapid.Float64(), func(f float64) any { return f }),
		rapid.SampledFrom([]any{nil, true, []any{}, map[string]any{}, 0, -1, json.Number("1.0"), json.Number("1e400")}),
	)
	rapid.Check(t, func(t *rapid.T) {
		body := map[string]any{}
		if err := json.Unmarshal([]byte(tea), &body); err != nil {
			t.Fatal(err)
		}
		field := rapid.OneOf(rapid.SampledFrom([]string{"customerId", "items", "currency", "note"}), hostile)
		for range rapid.IntRange(1, 3).Draw(t, "fields") {
			body[field.Draw(t, "field")] = value.Draw(t, "value")
		}
		g.dynamoDB.answer(http.StatusOK, "{}")
		r := g.do(t, http.MethodPost, "/orders", canonicalItem(t, body))
		if r.status != http.StatusCreated {
			r.wantError(t, http.StatusBadRequest, "BAD_REQUEST_BODY")
		}
	})
}

// TestNothingLeavesItsPlace: the mapping template does not rest on the model alone. Whatever stands where the model wants
// a number, DynamoDB gets a transaction of the same two puts, with the text where the number would be: it refuses that.
func TestNothingLeavesItsPlace(t *testing.T) {
	g := startGateway(t, func(tpl map[string]any) {
		for _, r := range tpl["Resources"].(map[string]any) {
			if resource := r.(map[string]any); resource["Type"] == "AWS::ApiGateway::Method" {
				delete(resource["Properties"].(map[string]any), "RequestValidatorId")
			}
		}
	})
	for _, hostile := range []string{
		`1"}}}]}}},{"Delete":{"TableName":"Orders"}},{"x":{"y":{"z":[{"M":{"u":{"N":"1`,
		`1,\"quantity\":2`, `\`, `"`, `'`, `$context.requestId`, "1\n2",
	} {
		body := jsonOf(t, map[string]any{
			"customerId": "c", "currency": "EUR", "items": []any{map[string]any{"sku": "s", "quantity": hostile, "unitPrice": hostile}},
		})
		tx, id := g.post(t, body)
		order, event := tx.TransactItems[0].Put, tx.TransactItems[1].Put
		line := order.Item["items"].(map[string]any)["L"].([]any)[0].(map[string]any)["M"].(map[string]any)
		if text(line["quantity"]) == "1" || text(line["unitPrice"]) == "1" || len(line) != 3 || len(order.Item) != 8 {
			t.Errorf("%q became the order %v", hostile, order.Item)
		}
		if text(order.Item["id"]) != id || text(event.Item["pk"]) != "Order#"+id || text(event.Item["type"]) != "OrderCreated" || len(event.Item) != 15 {
			t.Errorf("%q became the event %v", hostile, event.Item)
		}
	}
}
