package commits

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

const (
	added  = `{"Put": {"TableName": "Outbox", "Item": {"recordType": {"S": "outbox.event"}, "id": {"S": "e-2"}, "source": {"S": "orders"}, "type": {"S": "Shipped"}, "aggregateType": {"S": "Order"}, "aggregateId": {"S": "o-1"}, "version": {"N": "2"}, "occurredAt": {"N": "1700000000123"}, "causationId": {"S": "e-1"}}}}`
	marker = `{"Put": {"TableName": "Inbox", "Item": {"pk": {"S": "Ship#orders#e-1"}}}}`
	order  = `{"Update": {"TableName": "Orders", "Key": {"orderId": {"S": "o-1"}}}}`
	check  = `{"ConditionCheck": {"TableName": "Orders", "Key": {"orderId": {"S": "e-1"}}}}`
)

func transaction(token string, items ...string) string {
	return fmt.Sprintf(`{"ClientRequestToken": %q, "TransactItems": [%s]}`, token, strings.Join(items, ","))
}

func TestWhatAWriteMeans(t *testing.T) {
	type call struct {
		operation, body, caller string
		status                  int
	}
	for name, c := range map[string]struct {
		calls []call
		want  []string
	}{
		"an event and an effect": {
			[]call{{"TransactWriteItems", transaction("1", order, marker, added), "Ship", 200}},
			[]string{"added e-2 by Ship with Orders, Inbox, Outbox", "effect of e-1 by Ship: TransactWriteItems Orders, Inbox, Outbox"},
		},
		"a write that fails":             {[]call{{"TransactWriteItems", transaction("1", marker, added), "Ship", 400}}, nil},
		"a token that comes again":       {[]call{{"TransactWriteItems", transaction("1", added), "", 200}, {"TransactWriteItems", transaction("1", added), "", 200}}, []string{"added e-2 by  with Outbox"}},
		"a write without a token, twice": {[]call{{"PutItem", `{"TableName": "Log", "Item": {"id": {"S": "e-1"}}}`, "Ship", 200}, {"DeleteItem", `{"TableName": "Log", "Key": {"id": {"S": "e-1"}}}`, "Ship", 200}}, []string{"effect of e-1 by Ship: PutItem Log", "effect of e-1 by Ship: DeleteItem Log"}},
		"a batch":                        {[]call{{"BatchWriteItem", `{"RequestItems": {"Log": [{"PutRequest": {"Item": {"id": {"S": "e-1"}}}}]}}`, "Ship", 200}}, []string{"effect of e-1 by Ship: BatchWriteItem Log"}},
		"the developer has no effects":   {[]call{{"TransactWriteItems", transaction("1", marker), "", 200}}, nil},
		"a check is no write":            {[]call{{"TransactWriteItems", transaction("1", order, check), "Ship", 200}}, nil},
		"an event that is not known":     {[]call{{"PutItem", `{"TableName": "Log", "Item": {"id": {"S": "e-9"}}}`, "Ship", 200}}, nil},
		"a read":                         {[]call{{"GetItem", `{"TableName": "Log", "Key": {"id": {"S": "e-1"}}}`, "Ship", 200}}, nil},
		"what is no JSON":                {[]call{{"PutItem", `{`, "Ship", 200}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			var now call
			handler := Config{
				Caller: func(*http.Request) string { return now.caller },
				Known:  func(id string) bool { return id == "e-1" },
				Added: func(a hop.Added) {
					if a.Source != "orders" || a.Type != "Shipped" || a.AggregateType != "Order" || a.AggregateID != "o-1" || a.Version != 2 || a.OccurredAt.UnixMilli() != 1700000000123 || a.CausationID != "e-1" {
						t.Errorf("the event is %+v", a)
					}
					got = append(got, fmt.Sprintf("added %s by %s with %s", a.ID, a.By, strings.Join(a.With, ", ")))
				},
				Sink: func(h hop.Hop) {
					got = append(got, fmt.Sprintf("%s of %s by %s: %s", h.Stage, strings.Join(h.EventIDs, ", "), h.Resource, h.Detail))
				},
			}.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if body, _ := io.ReadAll(r.Body); string(body) != now.body {
					t.Errorf("DynamoDB gets %s", body)
				}
				w.WriteHeader(now.status)
			}))
			for _, now = range c.calls {
				r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(now.body))
				r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+now.operation)
				answer := httptest.NewRecorder()
				handler.ServeHTTP(answer, r)
				if answer.Code != now.status {
					t.Errorf("status %d", answer.Code)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}
