package apigateway

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

const goodOrder = `{"customerId":"c-1","currency":"EUR","items":[{"sku":"s","quantity":2}]}`

func TestCreateOrder(t *testing.T) {
	g := start(t, options{})
	before := time.Now()
	got := g.do("POST", "/orders", goodOrder, "Content-Type", "application/json", "Idempotency-Key", "key-1")

	if got.status != 201 {
		t.Fatalf("status is %d: %s", got.status, got.body)
	}
	wantJSON(t, got.body, `{"orderId":"key-1"}`)
	for header, want := range map[string]string{"Content-Type": "application/json", "Location": "/orders", "X-Backend": "backend-1"} {
		if got.header.Get(header) != want {
			t.Errorf("%s is %q, want %q", header, got.header.Get(header), want)
		}
	}
	target, request := g.sent()
	if target != "DynamoDB_20120810.TransactWriteItems" {
		t.Errorf("X-Amz-Target is %q", target)
	}
	order := at(t, request, "TransactItems", 0, "Put", "Item")
	outbox := at(t, request, "TransactItems", 1, "Put", "Item")
	if id := at(t, order, "id", "S"); id != "key-1" {
		t.Errorf("order id is %v", id)
	}
	if quantity := at(t, order, "items", "L", 0, "M", "quantity", "N"); quantity != "2" {
		t.Errorf("quantity is %v", quantity)
	}
	if note := at(t, order, "note"); note != nil {
		t.Errorf("note is %v, want none", note)
	}
	var occurredAt, expiresAt int64
	fmt.Sscan(at(t, outbox, "occurredAt", "N").(string), &occurredAt)
	fmt.Sscan(at(t, outbox, "expiresAt", "N").(string), &expiresAt)
	if occurredAt < before.UnixMilli() || occurredAt > time.Now().UnixMilli() {
		t.Errorf("occurredAt is %d, want now in milliseconds", occurredAt)
	}
	if expiresAt != occurredAt/1000+604800 {
		t.Errorf("expiresAt is %d, want %d", expiresAt, occurredAt/1000+604800)
	}
	h := <-g.hops
	if h.Stage != hop.API || h.Resource != "PostOrders" || h.Detail != "POST /orders 201" || h.Latency <= 0 {
		t.Errorf("hop is %+v", h)
	}
}

func TestRequestIDWithoutKey(t *testing.T) {
	g := start(t, options{})
	got := g.do("POST", "/orders", goodOrder)
	wantJSON(t, got.body, `{"orderId":"`+got.header.Get("x-amzn-RequestId")+`"}`)
}

// TestRequestIDOfTheCaller: a caller may choose the request id, and never the extended one.
func TestRequestIDOfTheCaller(t *testing.T) {
	g := start(t, options{})
	var extended []string
	for range 2 {
		got := g.do("POST", "/orders", goodOrder, "X-Amzn-RequestId", "mine", "X-Amz-Apigw-Id", "mine too")
		wantJSON(t, got.body, `{"orderId":"mine"}`)
		extended = append(extended, got.header.Get("X-Amz-Apigw-Id"))
	}
	if raw, err := base64.StdEncoding.DecodeString(extended[0]); err != nil || len(raw) != 11 || extended[0] == extended[1] {
		t.Errorf("the extended request ids are %q, want two different ones of 16 characters of base64", extended)
	}
}

func TestFailuresOfDynamoDB(t *testing.T) {
	cancelled := func(code string) string {
		return `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","CancellationReasons":[{"Code":"` + code + `"},{"Code":"None"}]}`
	}
	for name, tt := range map[string]struct {
		status     int
		body       string
		wantStatus int
		wantBody   string
		retryAfter string
	}{
		"a repeated key": {400, cancelled("ConditionalCheckFailed"), 200, `{"orderId":"it's"}`, ""},
		"a conflict":     {400, cancelled("TransactionConflict"), 503, `{"message":"try again"}`, "1"},
		"throttling":     {400, `{"__type":"com.amazon.coral.availability#ThrottlingException"}`, 503, `{"message":"try again"}`, "1"},
		"anything else":  {400, `{"__type":"com.amazon.coral.validate#ValidationException"}`, 500, `{"message":"internal error"}`, ""},
		"a server error": {500, `oops, no JSON`, 500, `{"message":"internal error"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, options{})
			g.dynamoDB.answers(tt.status, tt.body)
			got := g.do("POST", "/orders", goodOrder, "Idempotency-Key", "it's")
			if got.status != tt.wantStatus {
				t.Errorf("status is %d, want %d", got.status, tt.wantStatus)
			}
			wantJSON(t, got.body, tt.wantBody)
			if got.header.Get("Retry-After") != tt.retryAfter {
				t.Errorf("Retry-After is %q, want %q", got.header.Get("Retry-After"), tt.retryAfter)
			}
		})
	}
}

func TestGetOrder(t *testing.T) {
	g := start(t, options{})
	if got := g.do("GET", "/orders/a%2Fb%20c", ""); got.status != 404 {
		t.Errorf("status is %d, want 404", got.status)
	} else {
		wantJSON(t, got.body, `{"message":"no order a/b c"}`)
	}
	_, request := g.sent()
	if id := at(t, request, "Key", "id", "S"); id != "a/b c" {
		t.Errorf("key is %v", id)
	}
	g.dynamoDB.answers(200, `{"Item":{"id":{"S":"7"},"status":{"S":"CREATED"}}}`)
	got := g.do("GET", "/orders/7/", "")
	if got.status != 200 {
		t.Errorf("status is %d, want 200", got.status)
	}
	wantJSON(t, got.body, `{"orderId":"7","status":"CREATED"}`)
}

func TestGatewayResponses(t *testing.T) {
	g := start(t, options{})
	for name, tt := range map[string]struct {
		method, path, body string
		header             []string
		status             int
		errorType          string
		want               string
	}{
		"no such stage":        {"GET", "uction/orders", "", nil, 403, "ForbiddenException", `{"message":"Forbidden"}`},
		"no such resource":     {"GET", "/customers", "", nil, 403, "MissingAuthenticationTokenException", `{"message":"Missing Authentication Token"}`},
		"no such method":       {"DELETE", "/orders", "", nil, 403, "MissingAuthenticationTokenException", `{"message":"Missing Authentication Token"}`},
		"another content type": {"POST", "/orders", "<order/>", []string{"Content-Type", "text/xml"}, 415, "BadRequestException", `{"message":"Unsupported Media Type"}`},
		"no body":              {"POST", "/orders", "", nil, 400, "BadRequestException", `{"message":"Invalid request body","stage":"blue"}`},
		"no JSON":              {"POST", "/orders", "{", []string{"Content-Type", "application/json; charset=utf-8"}, 400, "BadRequestException", `{"message":"Invalid request body","stage":"blue"}`},
		"a wrong body": {
			"POST", "/orders", `{"customerId":7,"currency":"eur","items":[{"sku":"","quantity":0}]}`, nil, 400, "BadRequestException",
			`{"message":"Invalid request body","stage":"blue"}`,
		},
		"a blank parameter": {"GET", "/orders/%20", "", nil, 400, "BadRequestException", `{"message":"Missing required request parameters: [id]"}`},
		"too large a body":  {"POST", "/orders", strings.Repeat("x", maxBody+1), nil, 413, "RequestTooLargeException", `{"message":"Request Too Long"}`},
	} {
		t.Run(name, func(t *testing.T) {
			got := g.do(tt.method, tt.path, tt.body, tt.header...)
			if got.status != tt.status {
				t.Errorf("status is %d, want %d", got.status, tt.status)
			}
			if got.header.Get("x-amzn-ErrorType") != tt.errorType {
				t.Errorf("error type is %q, want %q", got.header.Get("x-amzn-ErrorType"), tt.errorType)
			}
			wantJSON(t, got.body, tt.want)
			if g.dynamoDB.target != "" {
				t.Errorf("DynamoDB was called: %s", g.dynamoDB.target)
			}
			// BAD_REQUEST_BODY has headers of its own; the other types take those of DEFAULT_4XX.
			own := strings.Contains(tt.want, "Invalid request body")
			if (got.header.Get("X-Request") == got.header.Get("x-amzn-RequestId")) != own || (got.header.Get("Access-Control-Allow-Origin") == "*") == own {
				t.Errorf("headers are %v", got.header)
			}
		})
	}
}

// TestValidationErrorString: it is as it is, with the quotes that it has, for a template that can take it.
func TestValidationErrorString(t *testing.T) {
	g := start(t, options{})
	got := g.do("POST", "/orders", `{"customerId":7,"currency":"eur","items":[{"sku":"","quantity":0}]}`, "Accept", "text/plain")
	const want = `Invalid request body: [ECMA 262 regex "^[A-Z]{3}$" does not match input string "eur", ` +
		`instance type (integer) does not match any allowed primitive type (allowed: ["string"]), ` +
		`numeric instance is lower than the required minimum (minimum: 1, found: 0), string "" is too short (length: 0, required minimum: 1)]`
	if got.status != 400 || got.header.Get("Content-Type") != "text/plain" || got.body != want {
		t.Errorf("answer is %d %s %s\nwant %s", got.status, got.header.Get("Content-Type"), got.body, want)
	}
}

func TestPreflight(t *testing.T) {
	g := start(t, options{})
	got := g.do("OPTIONS", "/orders", "")
	if got.status != 204 || got.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("got %+v", got)
	}
}

func TestUnreachableBackend(t *testing.T) {
	g := start(t, options{})
	g.dynamoDB.Close()
	got := g.do("GET", "/orders/7", "")
	if got.status != 504 {
		t.Errorf("status is %d, want 504", got.status)
	}
	if h := <-g.hops; !strings.Contains(h.Detail, "call DynamoDB's GetItem") {
		t.Errorf("the hop does not say why: %s", h.Detail)
	}
}

func TestTimeout(t *testing.T) {
	resources := change(t, "GetOrder", func(_, integration map[string]any) { integration["TimeoutInMillis"] = 50 })
	g := start(t, options{resources: resources})
	g.dynamoDB.mu.Lock()
	g.dynamoDB.answer = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	g.dynamoDB.mu.Unlock()
	got := g.do("GET", "/orders/7", "")
	if got.status != 504 {
		t.Errorf("status is %d, want 504", got.status)
	}
	wantJSON(t, got.body, `{"message":"Endpoint request timed out"}`)
}

// TestCallerGoesAway checks that a caller who goes away does not undo the write that is under way.
func TestCallerGoesAway(t *testing.T) {
	noticed := make(chan (<-chan struct{}), 1)
	g := start(t, options{watch: func(r *http.Request) { noticed <- r.Context().Done() }})
	arrived, release := make(chan struct{}), make(chan struct{})
	g.dynamoDB.mu.Lock()
	g.dynamoDB.answer = func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		fmt.Fprint(w, "{}")
	}
	g.dynamoDB.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL()+"orders/7", nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if _, err := http.DefaultClient.Do(r); err == nil { //nolint:bodyclose // there is no response
			t.Error("the request was answered")
		}
	}()
	<-arrived
	cancel()
	<-gone
	<-<-noticed
	close(release)
	if h := <-g.hops; h.Detail != "GET /orders/7 404" {
		t.Errorf("the integration did not end as usual: %s", h.Detail)
	}
}

func TestRunAnswersWhatIsInFlight(t *testing.T) {
	g := start(t, options{})
	arrived := make(chan struct{})
	g.dynamoDB.mu.Lock()
	g.dynamoDB.answer = func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		time.Sleep(100 * time.Millisecond) // the request is under way while Run is told to end
		fmt.Fprint(w, "{}")
	}
	g.dynamoDB.mu.Unlock()
	status := make(chan int)
	go func() { status <- g.do("GET", "/orders/7", "").status }()
	<-arrived
	go g.end()
	if got := <-status; got != 404 {
		t.Errorf("status is %d, want 404", got)
	}
}

func TestRunEndsWhatHangs(t *testing.T) {
	g := start(t, options{})
	arrived := make(chan struct{})
	g.dynamoDB.mu.Lock()
	g.dynamoDB.answer = func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}
	g.dynamoDB.mu.Unlock()
	go http.Get(g.URL() + "orders/7")
	<-arrived
	begin := time.Now()
	g.end()
	if took := time.Since(begin); took > time.Second {
		t.Errorf("Run returned after %s, want a second at most", took)
	}
	select {
	case <-g.hops: // the request has ended with the service
	case <-time.After(5 * time.Second):
		t.Error("the request still hangs")
	}
}

func TestPortTaken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	_, err = New(t.Context(), Config{Cloud: cloud.New("eu-central-1"), Port: port})
	if want := fmt.Sprintf("port %d of the REST API is taken: choose another one with --port", port); err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}
