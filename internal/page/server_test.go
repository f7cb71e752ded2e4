package page_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/page"
)

var tokenInPage = regexp.MustCompile(`name="outbox-token" content="([A-Z2-7]+)"`)

// ask asks the page's server as the page does, and returns the status and the body.
func ask(t *testing.T, h http.Handler, method, path, body string, header ...string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:4515"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func tokenOf(t *testing.T, h http.Handler) string {
	t.Helper()
	_, body := ask(t, h, http.MethodGet, "/", "")
	found := tokenInPage.FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("the page has no token: %s", body)
	}
	return found[1]
}

// TestWhoMayChangeSomething: the page itself, with its token, and nobody else.
func TestWhoMayChangeSomething(t *testing.T) {
	f := newFake(t, 3)
	f.faults[0].Rate = 1
	h := page.New(f, f).Handler()
	token := tokenOf(t, h)
	other := page.New(f, f).Handler()
	for name, c := range map[string]struct {
		header []string
		body   string
		status int
	}{
		"the page":                      {[]string{"Outbox-Token", token, "Origin", "http://127.0.0.1:4515"}, `{}`, http.StatusOK},
		"without the token":             {[]string{"Origin", "http://127.0.0.1:4515"}, `{}`, http.StatusForbidden},
		"with the token of another run": {[]string{"Outbox-Token", tokenOf(t, other)}, `{}`, http.StatusForbidden},
		"another page of the machine":   {[]string{"Outbox-Token", token, "Origin", "http://127.0.0.1:3000"}, `{}`, http.StatusForbidden},
		"a page of the web":             {[]string{"Outbox-Token", token, "Origin", "https://evil.example"}, `{}`, http.StatusForbidden},
		"DNS rebinding":                 {[]string{"Outbox-Token", token, "Host", "evil.example"}, `{}`, http.StatusForbidden},
		"a field that it does not have": {[]string{"Outbox-Token", token}, `{"all":true}`, http.StatusBadRequest},
		"no JSON":                       {[]string{"Outbox-Token", token}, `all`, http.StatusBadRequest},
	} {
		f.faults[0].Rate = 1
		status, body := ask(t, h, http.MethodPost, "/api/faults/heal", c.body, c.header...)
		if status != c.status {
			t.Errorf("%s: %d %s, want %d", name, status, body, c.status)
		}
		if healed := f.faults[0].Rate == 0; healed != (c.status == http.StatusOK) {
			t.Errorf("%s: it was done: %v", name, healed)
		}
	}
}

// TestWhoMayRead: nobody through another page.
func TestWhoMayRead(t *testing.T) {
	f := newFake(t, 3)
	h := page.New(f, f).Handler()
	for _, path := range []string{"/", "/static/app.js", "/api/events", "/api/changes"} {
		if status, _ := ask(t, h, http.MethodGet, path, "", "Sec-Fetch-Site", "cross-site"); status != http.StatusForbidden {
			t.Errorf("%s: %d for another site", path, status)
		}
		if status, _ := ask(t, h, http.MethodGet, path, "", "Host", "evil.example"); status != http.StatusForbidden {
			t.Errorf("%s: %d for another host", path, status)
		}
	}
}

// TestHeaders protect the page in the browser.
func TestHeaders(t *testing.T) {
	f := newFake(t, 3)
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Host = "127.0.0.1:4515"
	page.New(f, nil).Handler().ServeHTTP(w, r)
	policy := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q has no %s", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("the policy %q lets something else in", policy)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("the token may be kept: %q", got)
	}
}

// TestAReadOnlyPage has no request that changes something, and one of a stack elsewhere none for what only a run can do.
func TestAReadOnlyPage(t *testing.T) {
	f := newFake(t, 3)
	f.about.ReadOnly = true
	h := page.New(f, nil).Handler()
	for _, path := range []string{"dead-letters/redrive", "dead-letters/discard", "send", "publish", "deliver", "faults", "faults/heal"} {
		if status, _ := ask(t, h, http.MethodPost, "/api/"+path, `{}`, "Outbox-Token", tokenOf(t, h)); status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _ := ask(t, h, http.MethodGet, "/api/faults", ""); status != http.StatusNotFound {
		t.Errorf("faults: %d", status)
	}
}

func TestAnswers(t *testing.T) {
	f := newFake(t, 3)
	f.about.Stack = `<script>alert(1)</script>`
	f.commit(newEvent(1))
	h := page.New(f, f).Handler()
	for path, c := range map[string]struct {
		status int
		has    string
	}{
		"/":                               {http.StatusOK, "&lt;script&gt;alert(1)"},
		"/api/flow":                       {http.StatusOK, `"narrow":{"width":359`},
		"/api/events?limit=1":             {http.StatusOK, `"total":1`},
		"/api/events?limit=501&offset=-1": {http.StatusBadRequest, `limit must be a whole number from 0 to 500, got \"501\"`},
		"/api/events?limit=few":           {http.StatusBadRequest, "limit must be"},
		"/api/events/e-1":                 {http.StatusOK, `"kind":"committed"`},
		"/api/events/e-2":                 {http.StatusNotFound, "not found"},
		"/static/vendor/LICENSES.txt":     {http.StatusOK, "MIT License"},
		"/static/../server.go":            {http.StatusTemporaryRedirect, ""},
		"/anything":                       {http.StatusNotFound, ""},
	} {
		if status, body := ask(t, h, http.MethodGet, path, ""); status != c.status || !strings.Contains(body, c.has) {
			t.Errorf("%s: %d %s, want %d with %s", path, status, body, c.status, c.has)
		}
	}
	if _, body := ask(t, h, http.MethodGet, "/api/events?limit=501&offset=-1", ""); !strings.Contains(body, "offset must be") {
		t.Errorf("only one problem is told: %s", body)
	}
}

// TestTheStream tells of the state at once and of what moves, together where it is much, and costs nothing while nobody looks.
func TestTheStream(t *testing.T) {
	f := newFake(t, 3)
	url := serve(t, f)
	ctx, leave := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, url+"api/changes", nil)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	next := func() (m struct {
		Moves  []page.Move
		Events bool
		State  *page.State
	},
	) {
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				if err := json.Unmarshal([]byte(data), &m); err != nil {
					t.Fatal(err)
				}
				return m
			}
		}
	}
	if m := next(); m.State == nil || len(m.State.Nodes) == 0 {
		t.Errorf("the first message is %+v, want the state", m)
	}
	<-f.followed
	for i := range 100 {
		f.commit(newEvent(i))
	}
	moved, messages := 0, 0
	for moved < 100 {
		m := next()
		for _, move := range m.Moves {
			moved += move.Count
		}
		if len(m.Moves) > 0 {
			messages++
			if !m.Events {
				t.Errorf("events have moved, and the list has not changed: %+v", m)
			}
		}
	}
	if moved != 100 || messages > 4 {
		t.Errorf("%d moves in %d messages", moved, messages)
	}
	leave()
	_, _ = io.Copy(io.Discard, response.Body)
	select {
	case <-f.unfollowed:
	case <-time.After(10 * time.Second):
		t.Error("nobody looks, and it still follows")
	}
}
