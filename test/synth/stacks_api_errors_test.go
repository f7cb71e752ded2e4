package synth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// dynamo is the prefix of DynamoDB's error types.
const dynamo = "com.amazonaws.dynamodb.v20120810#"

// cancelled returns DynamoDB's answer to a transaction that it cancelled for these reasons.
func cancelled(codes ...string) string {
	type reason struct{ Code string }
	reasons := make([]reason, len(codes))
	for i, code := range codes {
		reasons[i].Code = code
	}
	raw, err := json.Marshal(map[string]any{"__type": dynamo + "TransactionCanceledException", "Message": "secret detail", "CancellationReasons": reasons})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func failed(typ string) string { return `{"__type":"` + typ + `","message":"secret detail"}` }

func (g *gateway) testRefusedWrites(t *testing.T) {
	const check, none = "ConditionalCheckFailed", "None"
	t.Run("the same order again", func(t *testing.T) {
		g.dynamoDB.answer(http.StatusBadRequest, cancelled(check, none))
		again := g.do(t, http.MethodPost, "/orders", tea, "Idempotency-Key", "again")
		if again.status != http.StatusOK || string(again.body) != `{"id":"again"}` {
			t.Errorf("answer is %d %s, want 200 and the id", again.status, again.body)
		}
		g.dynamoDB.answer(http.StatusOK, "{}")
		if first := g.do(t, http.MethodPost, "/orders", tea, "Idempotency-Key", "again"); string(first.body) != string(again.body) {
			t.Errorf("the first answer is %s, the second %s", first.body, again.body)
		}
	})
	for name, tc := range map[string]struct {
		status int
		body   string
		want   int
		code   string
	}{
		"the key of another order":         {400, cancelled(check, check), 422, "IDEMPOTENCY_KEY_REUSED"},
		"the event of another order":       {400, cancelled(none, check), 422, "IDEMPOTENCY_KEY_REUSED"},
		"a conflict on the order":          {400, cancelled("TransactionConflict", none), 503, "TRY_AGAIN"},
		"a conflict on the event":          {400, cancelled(none, "TransactionConflict"), 503, "TRY_AGAIN"},
		"a conflict beside a failed check": {400, cancelled(check, "TransactionConflict"), 503, "TRY_AGAIN"},
		"throttling of one write":          {400, cancelled("ThrottlingError", none), 503, "TRY_AGAIN"},
		"too few write units":              {400, cancelled(none, "ProvisionedThroughputExceeded"), 503, "TRY_AGAIN"},
		"an invalid write":                 {400, cancelled("ValidationError", none), 500, "INTERNAL"},
		"a collection that is too large":   {400, cancelled("ItemCollectionSizeLimitExceeded", none), 500, "INTERNAL"},
		"no reason":                        {400, cancelled(), 500, "INTERNAL"},
		"reasons that do not fail":         {400, cancelled(none, none), 500, "INTERNAL"},
		"too many reasons":                 {400, cancelled(check, none, none), 500, "INTERNAL"},
		"throttling":                       {400, failed(dynamo + "ProvisionedThroughputExceededException"), 503, "TRY_AGAIN"},
		"throttling of the control plane":  {400, failed("com.amazon.coral.availability#ThrottlingException"), 503, "TRY_AGAIN"},
		"the account's limit":              {400, failed(dynamo + "RequestLimitExceeded"), 503, "TRY_AGAIN"},
		"the same token in progress":       {400, failed(dynamo + "TransactionInProgressException"), 503, "TRY_AGAIN"},
		"no table":                         {400, failed(dynamo + "ResourceNotFoundException"), 500, "INTERNAL"},
		"no permission":                    {400, failed("com.amazon.coral.service#AccessDeniedException"), 500, "INTERNAL"},
		"an invalid request":               {400, failed("com.amazon.coral.validate#ValidationException"), 500, "INTERNAL"},
		"an unknown type":                  {400, failed("Something"), 500, "INTERNAL"},
		"no type":                          {400, `{}`, 500, "INTERNAL"},
		"too large":                        {413, `{}`, 500, "INTERNAL"},
		"a redirect":                       {302, `{}`, 500, "INTERNAL"},
		"another success":                  {202, `{}`, 500, "INTERNAL"},
		"an internal error":                {500, failed(dynamo + "InternalServerError"), 503, "TRY_AGAIN"},
		"unavailable":                      {503, `Service Unavailable`, 503, "TRY_AGAIN"},
	} {
		t.Run(name, func(t *testing.T) {
			g.dynamoDB.answer(tc.status, tc.body)
			r := g.do(t, http.MethodPost, "/orders", tea, "Idempotency-Key", "k")
			r.wantError(t, tc.want, tc.code)
			r.wantRetry(t, tc.want == http.StatusServiceUnavailable)
			if strings.Contains(string(r.body), "secret") {
				t.Errorf("the answer tells what DynamoDB said: %s", r.body)
			}
		})
	}
}

// testNoFalseSuccess: whatever DynamoDB says but "done" and "the same order was done before", the answer is no success.
func (g *gateway) testNoFalseSuccess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		status := rapid.SampledFrom([]int{201, 204, 301, 400, 400, 400, 403, 404, 413, 429, 500, 502, 503, 504}).Draw(t, "status")
		code := rapid.SampledFrom([]string{"None", "ConditionalCheckFailed", "TransactionConflict", "ValidationError", "ThrottlingError", "", "Other"})
		codes := rapid.SliceOfN(code, 0, 4).Draw(t, "reasons")
		if len(codes) == 2 && codes[0] == "ConditionalCheckFailed" && codes[1] == "None" {
			t.Skip("the same order was done before")
		}
		g.dynamoDB.answer(status, cancelled(codes...))
		if r := g.do(t, http.MethodPost, "/orders", tea); r.status < 400 {
			t.Fatalf("answer is %d %s", r.status, r.body)
		}
	})
}

func (g *gateway) testLimits(t *testing.T) {
	lines := func(n int) string {
		return `[` + strings.TrimSuffix(strings.Repeat(`{"sku":"s","quantity":1,"unitPrice":1},`, n), ",") + `]`
	}
	order := func(field, value string) string {
		fields := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(tea), &fields); err != nil {
			t.Fatal(err)
		}
		delete(fields, field)
		if value != "" {
			fields[field] = json.RawMessage(value)
		}
		return jsonOf(t, fields)
	}
	line := func(sku, quantity, price string) string {
		return order("items", fmt.Sprintf(`[{"sku":%s,"quantity":%s,"unitPrice":%s}]`, sku, quantity, price))
	}
	quoted := func(n int) string { return `"` + strings.Repeat("é", n) + `"` }
	for name, tc := range map[string]struct {
		body string
		ok   bool
	}{
		"as it is":                  {tea, true},
		"no note":                   {order("note", ""), true},
		"longest customer":          {order("customerId", quoted(64)), true},
		"customer too long":         {order("customerId", quoted(65)), false},
		"empty customer":            {order("customerId", `""`), false},
		"no customer":               {order("customerId", ""), false},
		"customer is a number":      {order("customerId", "42"), false},
		"most items":                {order("items", lines(100)), true},
		"too many items":            {order("items", lines(101)), false},
		"empty items":               {order("items", `[]`), false},
		"no items":                  {order("items", ""), false},
		"an item that is no object": {order("items", `["tea"]`), false},
		"longest sku":               {line(quoted(64), "1", "1"), true},
		"sku too long":              {line(quoted(65), "1", "1"), false},
		"empty sku":                 {line(`""`, "1", "1"), false},
		"most":                      {line(`"s"`, "10000", "1"), true},
		"too many":                  {line(`"s"`, "10001", "1"), false},
		"none":                      {line(`"s"`, "0", "1"), false},
		"half":                      {line(`"s"`, "0.5", "1"), false},
		"a fraction part of zero":   {line(`"s"`, "1.0", "1"), false},
		"an exponent":               {line(`"s"`, "1e1", "1"), false},
		"a price with an exponent":  {line(`"s"`, "1", "1E2"), false},
		"beyond every number":       {line(`"s"`, "1e400", "1"), false},
		"far beyond every number":   {line(`"s"`, "1", "1e999999999999"), false},
		"many digits":               {line(`"s"`, strings.Repeat("9", 400), "1"), false},
		"quantity as text":          {line(`"s"`, `"1"`, "1"), false},
		"for nothing":               {line(`"s"`, "1", "0"), true},
		"dearest":                   {line(`"s"`, "1", "100000000"), true},
		"too dear":                  {line(`"s"`, "1", "100000001"), false},
		"negative price":            {line(`"s"`, "1", "-1"), false},
		"no price":                  {order("items", `[{"sku":"s","quantity":1}]`), false},
		"unknown field of an item":  {order("items", `[{"sku":"s","quantity":1,"unitPrice":1,"x":1}]`), false},
		"unknown field":             {order("status", `"PAID"`), false},
		"lower case currency":       {order("currency", `"eur"`), false},
		"currency with line end":    {order("currency", `"EUR\n"`), false},
		"long currency":             {order("currency", `"EURO"`), false},
		"no currency":               {order("currency", ""), false},
		"longest note":              {order("note", quoted(1000)), true},
		"note too long":             {order("note", quoted(1001)), false},
		"empty note":                {order("note", `""`), false},
		"null note":                 {order("note", `null`), false},
		"deep nesting":              {order("note", strings.Repeat("[", 5000)+strings.Repeat("]", 5000)), false},
		"the last value is wrong":   {strings.Replace(tea, `"quantity":2`, `"quantity":2,"quantity":"2"`, 1), false},
		"the last value is right":   {strings.Replace(tea, `"quantity":2`, `"quantity":"2","quantity":2`, 1), true},
		"no object":                 {`[]`, false},
		"no JSON":                   {`{"customerId":`, false},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.ok {
				g.post(t, tc.body)
				return
			}
			g.dynamoDB.answer(http.StatusOK, "{}")
			g.do(t, http.MethodPost, "/orders", tc.body).wantError(t, http.StatusBadRequest, "BAD_REQUEST_BODY")
			if action, _ := g.dynamoDB.call(); action != "" {
				t.Errorf("DynamoDB got %s", action)
			}
		})
	}
}

func (g *gateway) testGatewayResponses(t *testing.T) {
	g.dynamoDB.answer(http.StatusOK, "{}")
	const incomplete = `{"items":[],"discount":1}`
	message := g.do(t, http.MethodPost, "/orders", incomplete).wantError(t, http.StatusBadRequest, "BAD_REQUEST_BODY")
	if !strings.Contains(message, "Accept: text/plain") {
		t.Errorf("message %q does not say how to read the reasons", message)
	}
	reasons := g.do(t, http.MethodPost, "/orders", incomplete, "Accept", "text/plain")
	if contentType := reasons.header.Get("Content-Type"); reasons.status != http.StatusBadRequest || contentType != "text/plain" {
		t.Errorf("the reasons come with %d as %s, want 400 as text/plain", reasons.status, contentType)
	}
	for _, part := range []string{"customerId", "currency", "discount"} {
		if !strings.Contains(string(reasons.body), part) {
			t.Errorf("the reasons %s do not name %s", reasons.body, part)
		}
	}
	for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "application/xml"} {
		r := g.do(t, http.MethodPost, "/orders", tea, "Content-Type", contentType)
		if message := r.wantError(t, http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE"); !strings.Contains(message, "application/json") {
			t.Errorf("message %q does not say what to send", message)
		}
	}
	g.do(t, http.MethodDelete, "/orders", "").wantError(t, http.StatusForbidden, "MISSING_AUTHENTICATION_TOKEN")
	if action, _ := g.dynamoDB.call(); action != "" {
		t.Errorf("DynamoDB got %s", action)
	}
}

func (g *gateway) testRefusedReads(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
		want   int
		code   string
	}{
		"throttling":        {400, failed(dynamo + "ProvisionedThroughputExceededException"), 503, "TRY_AGAIN"},
		"no permission":     {400, failed("com.amazon.coral.service#AccessDeniedException"), 500, "INTERNAL"},
		"no type":           {400, `{}`, 500, "INTERNAL"},
		"an internal error": {500, failed(dynamo + "InternalServerError"), 503, "TRY_AGAIN"},
	} {
		t.Run(name, func(t *testing.T) {
			g.dynamoDB.answer(tc.status, tc.body)
			r := g.do(t, http.MethodGet, "/orders/o-1", "")
			r.wantError(t, tc.want, tc.code)
			r.wantRetry(t, tc.want == http.StatusServiceUnavailable)
			if strings.Contains(string(r.body), "secret") {
				t.Errorf("the answer tells what DynamoDB said: %s", r.body)
			}
		})
	}
}

func (r reply) wantRetry(t testingT, soon bool) {
	t.Helper()
	want := ""
	if soon {
		want = "1"
	}
	if got := r.header.Get("Retry-After"); got != want {
		t.Errorf("Retry-After is %q, want %q", got, want)
	}
}
