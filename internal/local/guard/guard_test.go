package guard_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/guard"
)

const (
	ofJSON = "application/x-amz-json-1.1"
	form   = "application/x-www-form-urlencoded"
)

func TestGuard(t *testing.T) {
	took := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	aws, api, all, page := guard.AWS(took, ofJSON), guard.API(took), guard.AWS(took), guard.Page(took)
	for name, c := range map[string]struct {
		behind  http.Handler
		method  string
		host    string
		header  map[string]string
		refusal string // empty: taken
	}{
		"an SDK":                          {behind: aws, header: map[string]string{"Content-Type": ofJSON}},
		"an SDK with a charset":           {behind: aws, header: map[string]string{"Content-Type": ofJSON + "; charset=utf-8"}},
		"localhost":                       {behind: aws, host: "localhost:4511", header: map[string]string{"Content-Type": ofJSON}},
		"IPv6":                            {behind: aws, host: "[::1]:4511", header: map[string]string{"Content-Type": ofJSON}},
		"IPv6 without a port":             {behind: aws, host: "[::1]", header: map[string]string{"Content-Type": ofJSON}},
		"DNS rebinding":                   {behind: aws, host: "evil.example:4511", header: map[string]string{"Content-Type": ofJSON}, refusal: `got "evil.example:4511"`},
		"a name that begins like ours":    {behind: aws, host: "127.0.0.1.evil.example", header: map[string]string{"Content-Type": ofJSON}, refusal: "Host"},
		"a form":                          {behind: aws, header: map[string]string{"Content-Type": form}, refusal: "Content-Type"},
		"text that is JSON":               {behind: aws, header: map[string]string{"Content-Type": "text/plain"}, refusal: "Content-Type"},
		"no content type":                 {behind: aws, refusal: "Content-Type"},
		"two content types":               {behind: aws, header: map[string]string{"Content-Type": form + ", " + ofJSON}, refusal: "Content-Type"},
		"an image":                        {behind: aws, method: http.MethodGet, refusal: "method"},
		"a foreign script":                {behind: aws, header: map[string]string{"Content-Type": ofJSON, "Origin": "https://evil.example"}, refusal: "origin"},
		"a script of this machine":        {behind: aws, header: map[string]string{"Content-Type": ofJSON, "Origin": "http://localhost:3000"}, refusal: "origin"},
		"a page without an origin":        {behind: aws, header: map[string]string{"Content-Type": ofJSON, "Sec-Fetch-Site": "cross-site"}, refusal: "Sec-Fetch-Site"},
		"any type, where all are taken":   {behind: all, header: map[string]string{"Content-Type": form}},
		"a page, where all are taken":     {behind: all, method: http.MethodGet, header: map[string]string{"Sec-Fetch-Site": "same-site"}, refusal: "Sec-Fetch-Site"},
		"DNS rebinding, all taken":        {behind: all, host: "evil.example", refusal: "Host"},
		"a program":                       {behind: api},
		"a form of a program":             {behind: api, header: map[string]string{"Content-Type": form}},
		"the address bar":                 {behind: api, method: http.MethodGet, header: map[string]string{"Sec-Fetch-Site": "none"}},
		"an app's own front end":          {behind: api, header: map[string]string{"Origin": "http://localhost:3000", "Sec-Fetch-Site": "cross-site"}},
		"a preflight of the front end":    {behind: api, method: http.MethodOptions, header: map[string]string{"Origin": "http://127.0.0.1:3000"}},
		"a link in a page of the machine": {behind: api, method: http.MethodGet, header: map[string]string{"Sec-Fetch-Site": "same-site"}},
		"DNS rebinding to the API":        {behind: api, host: "evil.example:4510", refusal: "Host"},
		"a foreign form":                  {behind: api, header: map[string]string{"Content-Type": form, "Origin": "https://evil.example"}, refusal: "Origin"},
		"a hidden origin":                 {behind: api, header: map[string]string{"Origin": "null"}, refusal: "Origin"},
		"a foreign origin named like us":  {behind: api, header: map[string]string{"Origin": "http://localhost.evil.example"}, refusal: "Origin"},
		"a foreign image":                 {behind: api, method: http.MethodGet, header: map[string]string{"Sec-Fetch-Site": "cross-site"}, refusal: "Sec-Fetch-Site"},
		"the page from the address bar":   {behind: page, method: http.MethodGet, header: map[string]string{"Sec-Fetch-Site": "none"}},
		"the page's own script":           {behind: page, header: map[string]string{"Origin": "http://127.0.0.1:4511", "Sec-Fetch-Site": "same-origin"}},
		"another page of the machine":     {behind: page, header: map[string]string{"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"}, refusal: "Origin"},
		"another name of the machine":     {behind: page, header: map[string]string{"Origin": "http://localhost:4511"}, refusal: "Origin"},
		"a link to the page elsewhere":    {behind: page, method: http.MethodGet, header: map[string]string{"Sec-Fetch-Site": "cross-site"}, refusal: "Sec-Fetch-Site"},
		"DNS rebinding to the page":       {behind: page, host: "evil.example:4515", refusal: "Host"},
	} {
		t.Run(name, func(t *testing.T) {
			method := c.method
			if method == "" {
				method = http.MethodPost
			}
			r := httptest.NewRequest(method, "/", nil)
			if r.Host = c.host; c.host == "" {
				r.Host = "127.0.0.1:4511"
			}
			for name, value := range c.header {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			c.behind.ServeHTTP(w, r)
			if c.refusal == "" {
				if w.Code != http.StatusNoContent {
					t.Errorf("refused with %d %s", w.Code, w.Body)
				}
				return
			}
			if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), strings.ReplaceAll(c.refusal, `"`, `\"`)) {
				t.Errorf("got %d %s, want a refusal that names %q", w.Code, w.Body, c.refusal)
			}
		})
	}
}
