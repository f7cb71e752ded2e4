package outboxtest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A Response is what the stack's REST API has answered.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// ID is the field "id" of a body that is a JSON object, and empty where it has none.
	ID string
}

// POST sends a body of JSON to a path of the API and fails the test where the status is not one of success. Headers have the
// form "Name: value".
func (r *Run) POST(t testing.TB, path, body string, headers ...string) *Response {
	t.Helper()
	return r.succeed(t, http.MethodPost, path, body, headers)
}

// GET reads a path of the API and fails the test where the status is not one of success.
func (r *Run) GET(t testing.TB, path string, headers ...string) *Response {
	t.Helper()
	return r.succeed(t, http.MethodGet, path, "", headers)
}

func (r *Run) succeed(t testing.TB, method, path, body string, headers []string) *Response {
	t.Helper()
	response := r.Do(t, method, path, body, headers...)
	if response.Status >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: status %d: %s", method, path, response.Status, response.Body)
	}
	return response
}

// Do sends a request to a path of the API, with the content type application/json where it has a body and names no other, and
// returns any answer. It follows redirects, and fails the test where no answer comes before the test ends. The request is not
// signed: the API lets everybody in, whatever AuthorizationType its methods have.
func (r *Run) Do(t testing.TB, method, path, body string, headers ...string) *Response {
	t.Helper()
	if r.stack.Summary.API == "" {
		t.Fatalf("outboxtest: the stack %s has no REST API", r.Name())
	}
	request, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(r.stack.Summary.API, "/")+path, strings.NewReader(body))
	if err != nil {
		t.Fatalf("outboxtest: %v", err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ":")
		request.Header.Set(name, strings.TrimSpace(value))
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("outboxtest: %v", err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("outboxtest: read the answer to %s %s: %v", method, path, err)
	}
	var named struct{ ID any }
	_ = json.Unmarshal(content, &named) // a body need not be JSON
	id, _ := named.ID.(string)
	return &Response{Status: answer.StatusCode, Header: answer.Header, Body: content, ID: id}
}

// Decode decodes a body of JSON, or fails the test.
func (r *Response) Decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal(r.Body, into); err != nil {
		t.Fatalf("outboxtest: the body %q: %v", r.Body, err)
	}
}
