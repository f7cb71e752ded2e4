// Package guardtest sends a listener of the local run what a page in the developer's browser could.
package guardtest

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// refusal is in the answer to each request that is refused.
const refusal = "refused by the local run"

// Closed checks that the listener refuses DNS rebinding, a foreign origin and a cross-site request. good makes a request that it
// takes, apart from its effect; the attacks are made of it.
func Closed(t *testing.T, good func() *http.Request) {
	t.Helper()
	if _, body := send(t, good()); strings.Contains(body, refusal) {
		t.Fatalf("the good request is refused: %s", body)
	}
	for name, change := range map[string]func(*http.Request){
		"DNS rebinding":    func(r *http.Request) { r.Host = "evil.example:" + r.URL.Port() },
		"a foreign origin": func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"a hidden origin":  func(r *http.Request) { r.Header.Set("Origin", "null") },
		"cross-site":       func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
	} {
		refused(t, name, good(), change)
	}
}

// NoForms checks that an AWS endpoint refuses what a page's form, script or image can send without asking first.
func NoForms(t *testing.T, good func() *http.Request) {
	t.Helper()
	for _, media := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""} {
		refused(t, "the content type "+media, good(), func(r *http.Request) { r.Header.Set("Content-Type", media) })
	}
	refused(t, "GET", good(), func(r *http.Request) { r.Method, r.Body, r.ContentLength = http.MethodGet, nil, 0 })
}

func refused(t *testing.T, name string, r *http.Request, change func(*http.Request)) {
	t.Helper()
	change(r)
	if status, body := send(t, r); status != http.StatusForbidden || !strings.Contains(body, refusal) {
		t.Errorf("%s: got %d %s", name, status, body)
	}
}

func send(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// Request returns a request to the URL with headers as name, value, name, value.
func Request(t *testing.T, method, url, body string, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}
