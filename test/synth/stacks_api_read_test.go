package synth

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// What stands under the id of an order, as DynamoDB's Query gives it.
const (
	orderItem = `"id":{"S":"o-1"},"entity":{"S":"order"},"customerId":{"S":"c-42"},"items":{"L":[
		{"M":{"sku":{"S":"tea"},"quantity":{"N":"2"},"unitPrice":{"N":"1290"}}},{"M":{"sku":{"S":"pot"},"quantity":{"N":"1"},"unitPrice":{"N":"0"}}}
		]},"currency":{"S":"EUR"},"status":{"S":"CONFIRMED"},"version":{"N":"2"},"createdAt":{"N":"1793611801123"}`
	shipmentItem = `{"id":{"S":"o-1"},"entity":{"S":"shipment"},"status":{"S":"REQUESTED"},"units":{"N":"3"},"requestedAt":{"N":"1793611801500"}}`
	historyItems = `{"id":{"S":"o-1"},"entity":{"S":"history#0000000001"},"version":{"N":"1"},"status":{"S":"CREATED"},"occurredAt":{"N":"1793611801123"},"eventId":{"S":"o-1-1"}},
		{"id":{"S":"o-1"},"entity":{"S":"history#0000000002"},"version":{"N":"2"},"status":{"S":"CONFIRMED"},"occurredAt":{"N":"1793611802000"},"eventId":{"S":"e-2"}}`
)

// What GET makes of it.
const (
	orderJSON = `"id":"o-1","customerId":"c-42","items":[{"sku":"tea","quantity":2,"unitPrice":1290},{"sku":"pot","quantity":1,"unitPrice":0}],
		"currency":"EUR","status":"CONFIRMED","version":2,"createdAt":1793611801123`
	shipmentJSON = `"shipment":{"status":"REQUESTED","units":3,"requestedAt":1793611801500}`
	historyJSON  = `{"version":1,"status":"CREATED","occurredAt":1793611801123,"eventId":"o-1-1"},
		{"version":2,"status":"CONFIRMED","occurredAt":1793611802000,"eventId":"e-2"}`
)

func (g *gateway) testReading(t *testing.T) {
	for name, tc := range map[string]struct{ items, want string }{
		"with all that followed": {historyItems + `,{` + orderItem + `},` + shipmentItem, orderJSON + `,` + shipmentJSON + `,"history":[` + historyJSON + `]`},
		"before its consumers":   {`{` + orderItem + `}`, orderJSON + `,"history":[]`},
		"before its shipment":    {historyItems + `,{` + orderItem + `}`, orderJSON + `,"history":[` + historyJSON + `]`},
		"before its history":     {`{` + orderItem + `},` + shipmentItem, orderJSON + `,` + shipmentJSON + `,"history":[]`},
		"with a note":            {`{` + orderItem + `,"note":{"S":"ring twice"}}`, orderJSON + `,"note":"ring twice","history":[]`},
		"and something unknown":  {`{"id":{"S":"o-1"},"entity":{"S":"invoice"}},{` + orderItem + `}`, orderJSON + `,"history":[]`},
	} {
		t.Run(name, func(t *testing.T) {
			g.dynamoDB.answer(http.StatusOK, `{"Count":0,"Items":[`+tc.items+`]}`)
			r := g.do(t, http.MethodGet, "/orders/o-1", "")
			if r.status != http.StatusOK || r.header.Get("ETag") != `"2"` {
				t.Fatalf("answer is %d, ETag %s, want 200 and \"2\": %s", r.status, r.header.Get("ETag"), r.body)
			}
			same(t, "the order", decoded(t, r.body), `{`+tc.want+`}`)
		})
	}
	t.Run("asks once", func(t *testing.T) {
		g.dynamoDB.answer(http.StatusOK, `{"Items":[{`+orderItem+`}]}`)
		g.do(t, http.MethodGet, "/orders/o-1", "")
		g.wantQuery(t, "o-1")
	})
	for name, items := range map[string]string{"nothing": ``, "only what followed": historyItems + `,` + shipmentItem} {
		t.Run("no order, "+name, func(t *testing.T) {
			g.dynamoDB.answer(http.StatusOK, `{"Items":[`+items+`]}`)
			r := g.do(t, http.MethodGet, "/orders/o-2", "")
			r.wantError(t, http.StatusNotFound, "ORDER_NOT_FOUND")
			if tag := r.header.Get("ETag"); tag != "" {
				t.Errorf("no order has the ETag %s", tag)
			}
		})
	}
	for _, id := range []string{"a%22b", "a%20b", strings.Repeat("k", 65), "%24x", "x.y"} {
		g.dynamoDB.answer(http.StatusOK, `{"Items":[]}`)
		g.do(t, http.MethodGet, "/orders/"+id, "").wantError(t, http.StatusNotFound, "ORDER_NOT_FOUND")
		g.wantQuery(t, "!")
	}
}

// wantQuery checks that the API asked DynamoDB for all that stands under the id, consistently.
func (g *gateway) wantQuery(t *testing.T, id string) {
	t.Helper()
	action, sent := g.dynamoDB.call()
	if action != "Query" {
		t.Errorf("DynamoDB got %s, want Query", action)
	}
	var request map[string]any
	if err := json.Unmarshal(sent, &request); err != nil {
		t.Fatalf("%s: %v", sent, err)
	}
	same(t, "the condition", request["KeyConditionExpression"], `"id = :id"`)
	same(t, "the id", request["ExpressionAttributeValues"], `{":id":{"S":"`+id+`"}}`)
	same(t, "a consistent read", request["ConsistentRead"], `true`)
}

// testChanging: what API Gateway itself says about PATCH, and what it leaves to the function.
func (g *gateway) testChanging(t *testing.T) {
	for name, body := range map[string]string{
		"no status":         `{}`,
		"an unknown status": `{"status":"LOST"}`,
		"a number":          `{"status":2}`,
		"an unknown field":  `{"status":"CONFIRMED","note":"x"}`,
		"no object":         `"CONFIRMED"`,
		"no JSON":           `{"status":`,
	} {
		t.Run(name, func(t *testing.T) {
			g.do(t, http.MethodPatch, "/orders/o-1", body).wantError(t, http.StatusBadRequest, "BAD_REQUEST_BODY")
		})
	}
	for _, status := range []string{"CREATED", "CONFIRMED", "SHIPPED", "CANCELLED"} {
		t.Run(status, func(t *testing.T) {
			// There are no functions here: that the request comes to one is the answer.
			r := g.do(t, http.MethodPatch, "/orders/o-1", `{"status":"`+status+`"}`)
			if r.status != http.StatusBadGateway {
				t.Errorf("answer is %d %s, want 502 from the function that is not there", r.status, r.body)
			}
		})
	}
}
