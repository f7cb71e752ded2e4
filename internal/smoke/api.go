package smoke

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

var postCheck = Check{
	Number: 3, Title: "POST /orders: new, repeated, a reused key, a bad key, no key",
	Does: "places 3 orders, which are removed at the end",
	Open: "whether the mapping templates render in API Gateway as they do here, and its overrides of the status",

	Minutes: 1, Dollars: 0.001, Reference: true, run: post,
}

func post(ctx context.Context, j *job) error {
	id := j.key("post")
	body, other := j.orderOf(hardText, 2), j.orderOf(hardText, 3)
	for _, one := range []struct {
		what, body string
		headers    []string
		status     int
		code       string // of an error
	}{
		{"new", body, []string{"Idempotency-Key: " + id}, http.StatusCreated, ""},
		{"repeated", body, []string{"Idempotency-Key: " + id}, http.StatusOK, ""},
		{"a reused key", other, []string{"Idempotency-Key: " + id}, http.StatusUnprocessableEntity, "IDEMPOTENCY_KEY_REUSED"},
		{"a bad key", body, []string{"Idempotency-Key: not a key"}, http.StatusBadRequest, "IDEMPOTENCY_KEY_INVALID"},
		{"no key", body, nil, http.StatusCreated, ""},
		{"no key again", body, nil, http.StatusCreated, ""},
	} {
		got, err := j.call(ctx, http.MethodPost, "/orders", one.body, one.headers...)
		if err != nil {
			return err
		}
		j.see("%s: %s", one.what, got.short())
		expect(&j.findings, one.what+": the status", got.status, one.status)
		expect(&j.findings, one.what+": the error's code", got.code(), one.code)
		if one.code == "" {
			j.checkCreated(one.what, got, id, one.headers != nil)
		}
	}
	return j.committedOnce(ctx, id)
}

// checkCreated checks the body of an order that was placed, and notes it for its removal.
func (j *job) checkCreated(what string, got answer, key string, hasKey bool) {
	var created struct{ ID string }
	if err := json.Unmarshal([]byte(got.body), &created); err != nil || created.ID == "" {
		j.fail("%s: the body has no id", what)
		return
	}
	if hasKey {
		expect(&j.findings, what+": the id", created.ID, key)
		return
	}
	for _, known := range j.orders {
		if known == created.ID {
			j.fail("%s: the id %s is that of another order", what, created.ID)
		}
	}
	j.placed(created.ID)
}

// committedOnce checks that the order has the one event, and what is in it.
func (j *job) committedOnce(ctx context.Context, id string) error {
	events, err := j.beside(ctx, j.Outbox.Table, record.AttrPK, record.PartitionKey("Order", id))
	if err != nil {
		return err
	}
	expect(&j.findings, "how many events the order has", len(events), 1)
	if len(events) == 0 {
		return nil
	}
	var data struct{ Note string }
	if err := json.Unmarshal([]byte(textOf(events[0], record.AttrData)), &data); err != nil {
		j.fail("the event's data is no JSON: %v", err)
	}
	expect(&j.findings, "the event's note", data.Note, hardText)
	stored, err := j.item(ctx, j.reference.orders, orderKey(id))
	if err != nil {
		return err
	}
	expect(&j.findings, "the order's note", textOf(stored, "note"), hardText)
	return nil
}

var patchCheck = Check{
	Number: 9, Title: "PATCH /orders/{id}: every status",
	Does: "places 1 order and changes its status; removed at the end",
	Open: "how API Gateway hands If-Match and the body to a function, and back",

	Minutes: 1, Dollars: 0.001, Reference: true, run: patch,
}

func patch(ctx context.Context, j *job) error {
	id, err := j.place(ctx, "patch", "patched")
	if err != nil {
		return err
	}
	at := "/orders/" + id
	for _, one := range []struct {
		what, path, body string
		match            string
		status           int
		code, etag       string
	}{
		{"no If-Match", at, `{"status":"CONFIRMED"}`, "", http.StatusPreconditionRequired, "IF_MATCH_REQUIRED", ""},
		{"a bad If-Match", at, `{"status":"CONFIRMED"}`, "one", http.StatusBadRequest, "IF_MATCH_INVALID", ""},
		{"a stale If-Match", at, `{"status":"CONFIRMED"}`, `"7"`, http.StatusPreconditionFailed, "ORDER_CHANGED", ""},
		{"a forbidden move", at, `{"status":"SHIPPED"}`, `"1"`, http.StatusConflict, "TRANSITION_FORBIDDEN", ""},
		{"a status that is none", at, `{"status":"LOST"}`, `"1"`, http.StatusBadRequest, "BAD_REQUEST_BODY", ""},
		{"an order that is none", "/orders/" + id + "-none", `{"status":"CONFIRMED"}`, `"1"`, http.StatusNotFound, "ORDER_NOT_FOUND", ""},
		{"a change", at, `{"status":"CONFIRMED"}`, `"1"`, http.StatusOK, "", `"2"`},
		{"the same change again", at, `{"status":"CONFIRMED"}`, `"1"`, http.StatusPreconditionFailed, "ORDER_CHANGED", ""},
	} {
		var headers []string
		if one.match != "" {
			headers = []string{"If-Match: " + one.match}
		}
		got, err := j.call(ctx, http.MethodPatch, one.path, one.body, headers...)
		if err != nil {
			return err
		}
		j.see("%s: %d %s", one.what, got.status, got.code())
		expect(&j.findings, one.what+": the status", got.status, one.status)
		expect(&j.findings, one.what+": the error's code", got.code(), one.code)
		if one.etag != "" {
			expect(&j.findings, one.what+": the ETag", got.header.Get("ETag"), one.etag)
		}
	}
	got, err := j.call(ctx, http.MethodGet, at, "")
	if err != nil {
		return err
	}
	expect(&j.findings, "GET: the ETag", got.header.Get("ETag"), `"2"`)
	return j.settled(ctx, id)
}

var validationCheck = Check{
	Number: 12, Title: "validation errors that parse",
	Does: "sends 6 requests that are refused; writes nothing",
	Open: "what validationErrorString holds, and whether the gateway's answers are JSON whatever the body was",

	Minutes: 1, Dollars: 0.001, Reference: true, run: validation,
}

func validation(ctx context.Context, j *job) error {
	good := j.orderOf("never placed", 2)
	for _, one := range []struct {
		what, body string
		headers    []string
		status     int
		code       string
	}{
		{"no JSON", `{"customerId":`, nil, http.StatusBadRequest, "BAD_REQUEST_BODY"},
		{"a field with quotes", strings.Replace(good, `"note"`, `"a \"quoted\" field\\"`, 1), nil, http.StatusBadRequest, "BAD_REQUEST_BODY"},
		{"a value with quotes", strings.Replace(good, `"EUR"`, `"\"E'U\\R\""`, 1), nil, http.StatusBadRequest, "BAD_REQUEST_BODY"},
		{"no items", `{"customerId":"c","currency":"EUR","items":[]}`, nil, http.StatusBadRequest, "BAD_REQUEST_BODY"},
		{"a form", "customerId=c", []string{"Content-Type: application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE"},
	} {
		got, err := j.call(ctx, http.MethodPost, "/orders", one.body, one.headers...)
		if err != nil {
			return err
		}
		j.see("%s: %s", one.what, got.short())
		expect(&j.findings, one.what+": the status", got.status, one.status)
		expect(&j.findings, one.what+": the error's code", got.code(), one.code)
	}
	reasons, err := j.call(ctx, http.MethodPost, "/orders", `{"customerId":"c","currency":"EUR"}`, "Accept: text/plain")
	if err != nil {
		return err
	}
	j.see("as text: %s", reasons.short())
	expect(&j.findings, "as text: the status", reasons.status, http.StatusBadRequest)
	if !strings.Contains(reasons.body, "items") {
		j.differ("the reasons, as text, do not name what is wrong")
	}
	return nil
}
