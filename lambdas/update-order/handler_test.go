package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/outbox"
)

// A db is a DynamoDB that holds one order at most.
type db struct {
	order  *order
	read   error // what a read fails with
	write  func(*dynamodb.TransactWriteItemsInput) error
	writes []*dynamodb.TransactWriteItemsInput
}

func (d *db) GetItem(_ context.Context, input *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	out := &dynamodb.GetItemOutput{}
	if d.read != nil || d.order == nil || input.Key["id"].(*types.AttributeValueMemberS).Value != d.order.ID {
		return out, d.read
	}
	if !aws.ToBool(input.ConsistentRead) {
		return nil, errors.New("the read is not consistent")
	}
	item, err := attributevalue.MarshalMap(d.order)
	out.Item = item
	return out, err
}

func (d *db) TransactWriteItems(_ context.Context, input *dynamodb.TransactWriteItemsInput, _ ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	d.writes = append(d.writes, input)
	if d.write != nil {
		return nil, d.write(input)
	}
	return &dynamodb.TransactWriteItemsOutput{}, nil
}

func (d *db) handler() *handler {
	box := outbox.New(d, outbox.Config{Table: "outbox", Source: "orders"})
	return &handler{orders: orders{table: "orders", db: d, outbox: box}, log: slog.New(slog.DiscardHandler)}
}

// tea returns an order with that status and version.
func tea(s status, version int64) *order {
	return &order{
		ID: "o-1", CustomerID: "c-42", Items: []line{{SKU: "tea", Quantity: 2, UnitPrice: 1290}}, Currency: "EUR",
		Note: `it's "urgent"`, Status: s, Version: version, CreatedAt: 1793611801000,
	}
}

// patch returns a request as API Gateway hands it over; headers are given as name, value.
func patch(id, body string, headers ...string) events.APIGatewayProxyRequest {
	request := events.APIGatewayProxyRequest{
		HTTPMethod: http.MethodPatch, Resource: "/orders/{id}", Path: "/orders/" + id,
		PathParameters: map[string]string{"id": id}, MultiValueHeaders: map[string][]string{}, Body: body,
	}
	for i := 0; i < len(headers); i += 2 {
		request.MultiValueHeaders[headers[i]] = append(request.MultiValueHeaders[headers[i]], headers[i+1])
	}
	return request
}

func to(s status) string { return `{"status":"` + string(s) + `"}` }

func TestTransitions(t *testing.T) {
	all := []status{created, confirmed, shipped, cancelled}
	allowed := map[[2]status]bool{
		{created, confirmed}: true, {created, cancelled}: true, {confirmed, shipped}: true, {confirmed, cancelled}: true,
	}
	for _, from := range all {
		for _, next := range all {
			t.Run(fmt.Sprintf("%s to %s", from, next), func(t *testing.T) {
				d := &db{order: tea(from, 3)}
				got, err := d.handler().handle(t.Context(), patch("o-1", to(next), "If-Match", `"3"`))
				if err != nil {
					t.Fatal(err)
				}
				if !allowed[[2]status{from, next}] {
					wantProblem(t, got, http.StatusConflict, "TRANSITION_FORBIDDEN", string(from), string(next))
					if len(d.writes) != 0 {
						t.Error("it wrote all the same")
					}
					return
				}
				if got.StatusCode != http.StatusOK || got.Headers["ETag"] != `"4"` {
					t.Fatalf("answer is %d, ETag %s, want 200 and \"4\": %s", got.StatusCode, got.Headers["ETag"], got.Body)
				}
				var answered order
				if err := json.Unmarshal([]byte(got.Body), &answered); err != nil {
					t.Fatal(err)
				}
				if want := *tea(next, 4); !reflect.DeepEqual(answered, want) {
					t.Errorf("answer is %+v, want %+v", answered, want)
				}
			})
		}
	}
}

// TestWritesTheOrderAndItsEvent: both, in one transaction, on the condition that nobody else was first.
func TestWritesTheOrderAndItsEvent(t *testing.T) {
	d := &db{order: tea(created, 1)}
	if got, _ := d.handler().handle(t.Context(), patch("o-1", to(confirmed), "If-Match", `"1"`)); got.StatusCode != http.StatusOK {
		t.Fatalf("answer is %d %s", got.StatusCode, got.Body)
	}
	if len(d.writes) != 1 || len(d.writes[0].TransactItems) != 2 {
		t.Fatalf("it wrote %v, want one transaction of two actions", d.writes)
	}
	var update *types.Update
	event := map[string]any{}
	for _, action := range d.writes[0].TransactItems {
		if action.Update != nil {
			update = action.Update
		} else if err := attributevalue.UnmarshalMap(action.Put.Item, &event); err != nil {
			t.Fatal(err)
		}
	}
	if *update.TableName != "orders" || !strings.Contains(*update.ConditionExpression, "= :outboxVersionFrom") {
		t.Errorf("the order in %s is updated if %s, want a condition on its version", *update.TableName, *update.ConditionExpression)
	}
	for name, want := range map[string]types.AttributeValue{
		":status": text("CONFIRMED"), ":outboxVersionFrom": &types.AttributeValueMemberN{Value: "1"}, ":outboxVersionTo": &types.AttributeValueMemberN{Value: "2"},
	} {
		if got := update.ExpressionAttributeValues[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if want := key("o-1"); !reflect.DeepEqual(update.Key, want) {
		t.Errorf("the key is %v, want %v", update.Key, want)
	}
	for name, want := range map[string]any{
		"type": "OrderUpdated", "source": "orders", "aggregateType": "Order", "aggregateId": "o-1", "version": 2.0,
		"data": `{"orderId":"o-1","customerId":"c-42","status":"CONFIRMED","previousStatus":"CREATED"}`,
	} {
		if event[name] != want {
			t.Errorf("the event's %s is %v, want %v", name, event[name], want)
		}
	}
}

func TestIfMatch(t *testing.T) {
	for name, tc := range map[string]struct {
		headers []string
		status  int
	}{
		"as an entity tag":      {[]string{"If-Match", `"2"`}, 200},
		"without quotes":        {[]string{"If-Match", "2"}, 200},
		"in lower case":         {[]string{"if-match", `"2"`}, 200},
		"with space around":     {[]string{"If-Match", ` "2" `}, 200},
		"of an older version":   {[]string{"If-Match", `"1"`}, 412},
		"of a version to come":  {[]string{"If-Match", `"3"`}, 412},
		"missing":               {nil, 428},
		"empty":                 {[]string{"If-Match", ""}, 428},
		"of any version":        {[]string{"If-Match", "*"}, 400},
		"a weak tag":            {[]string{"If-Match", `W/"2"`}, 400},
		"a list":                {[]string{"If-Match", `"1", "2"`}, 400},
		"twice":                 {[]string{"If-Match", `"1"`, "If-Match", `"2"`}, 400},
		"twice, in two cases":   {[]string{"If-Match", `"1"`, "if-match", `"2"`}, 400},
		"with one quote":        {[]string{"If-Match", `"2`}, 400},
		"with the other quote":  {[]string{"If-Match", `2"`}, 400},
		"only quotes":           {[]string{"If-Match", `""`}, 400},
		"one quote":             {[]string{"If-Match", `"`}, 400},
		"zero":                  {[]string{"If-Match", `"0"`}, 400},
		"negative":              {[]string{"If-Match", `"-1"`}, 400},
		"with a leading zero":   {[]string{"If-Match", `"02"`}, 400},
		"with a sign":           {[]string{"If-Match", `"+2"`}, 400},
		"too long for a number": {[]string{"If-Match", `"92233720368547758070"`}, 400},
		"no number":             {[]string{"If-Match", `"two"`}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			d := &db{order: tea(created, 2)}
			got, err := d.handler().handle(t.Context(), patch("o-1", to(confirmed), tc.headers...))
			if err != nil {
				t.Fatal(err)
			}
			if got.StatusCode != tc.status {
				t.Errorf("answer is %d %s, want %d", got.StatusCode, got.Body, tc.status)
			}
			if wrote := len(d.writes) != 0; wrote != (tc.status == 200) {
				t.Errorf("it wrote: %v", wrote)
			}
		})
	}
}

func TestRefusedRequests(t *testing.T) {
	for name, tc := range map[string]struct {
		id, body    string
		contentType string
		status      int
		code, says  string
	}{
		"another order":           {"o-2", to(confirmed), "", 404, "ORDER_NOT_FOUND", ""},
		"an id that no order has": {"a b", to(confirmed), "", 404, "ORDER_NOT_FOUND", ""},
		"no body":                 {"o-1", "", "", 400, "BAD_REQUEST_BODY", "EOF"},
		"no JSON":                 {"o-1", `{"status":`, "", 400, "BAD_REQUEST_BODY", "EOF"},
		"no object":               {"o-1", `["CONFIRMED"]`, "", 400, "BAD_REQUEST_BODY", "array"},
		"no status":               {"o-1", `{}`, "", 400, "BAD_REQUEST_BODY", "status"},
		"an unknown status":       {"o-1", to("LOST"), "", 400, "BAD_REQUEST_BODY", `"LOST"`},
		"lower case":              {"o-1", to("confirmed"), "", 400, "BAD_REQUEST_BODY", "CONFIRMED"},
		"an unknown field":        {"o-1", `{"status":"CONFIRMED","note":"x"}`, "", 400, "BAD_REQUEST_BODY", "note"},
		"two objects":             {"o-1", to(confirmed) + to(shipped), "", 400, "BAD_REQUEST_BODY", "follows"},
		"plain text":              {"o-1", to(confirmed), "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE", "application/json"},
		"no content type at all":  {"o-1", to(confirmed), ";;", 415, "UNSUPPORTED_MEDIA_TYPE", "application/json"},
		"JSON with a charset":     {"o-1", to(confirmed), "application/json; charset=utf-8", 200, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := &db{order: tea(created, 1)}
			request := patch(tc.id, tc.body, "If-Match", `"1"`, "content-type", tc.contentType)
			got, err := d.handler().handle(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			if tc.status == http.StatusOK {
				if got.StatusCode != http.StatusOK {
					t.Errorf("answer is %d %s, want 200", got.StatusCode, got.Body)
				}
				return
			}
			wantProblem(t, got, tc.status, tc.code, tc.says)
			if len(d.writes) != 0 {
				t.Error("it wrote all the same")
			}
		})
	}
}

// wantProblem checks an error's status, its code, and the shape that all errors of the API have.
func wantProblem(t *testing.T, got events.APIGatewayProxyResponse, status int, code string, says ...string) {
	t.Helper()
	var problem struct {
		Error struct{ Code, Message string }
	}
	dec := json.NewDecoder(strings.NewReader(got.Body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&problem); err != nil {
		t.Fatalf("answer %d %s: %v", got.StatusCode, got.Body, err)
	}
	if got.StatusCode != status || problem.Error.Code != code || problem.Error.Message == "" {
		t.Errorf("answer is %d %s, want %d %s and a message", got.StatusCode, got.Body, status, code)
	}
	for _, part := range says {
		if !strings.Contains(problem.Error.Message, part) {
			t.Errorf("message is %q, want it to say %q", problem.Error.Message, part)
		}
	}
	if got.Headers["Content-Type"] != "application/json" {
		t.Errorf("Content-Type is %q", got.Headers["Content-Type"])
	}
}
