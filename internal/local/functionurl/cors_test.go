package functionurl

import (
	"net/http"
	"testing"
)

// TestCORS: the URL answers preflights itself and adds its headers to every answer to an origin that it allows; without a
// configuration both are the function's.
func TestCORS(t *testing.T) {
	const page = "http://localhost:3000"
	configured := map[string]any{
		"AllowOrigins": []any{page, "https://example.com"}, "AllowMethods": []any{"GET", "PUT"}, "AllowHeaders": []any{"X-One", "X-Two"}, "ExposeHeaders": []any{"X-Seen"},
		"AllowCredentials": "true", "MaxAge": "60",
	}
	preflight := []string{"Origin", page, "Access-Control-Request-Method", "PUT"}
	for name, tt := range map[string]struct {
		cors    map[string]any
		method  string
		header  []string
		invoked bool
		want    map[string]string
	}{
		"a preflight": {configured, "OPTIONS", preflight, false, map[string]string{
			"Access-Control-Allow-Origin": page, "Access-Control-Allow-Methods": "GET,PUT", "Access-Control-Allow-Headers": "X-One,X-Two", "Access-Control-Max-Age": "60",
			"Access-Control-Allow-Credentials": "true", "Access-Control-Expose-Headers": "X-Seen", "Vary": "Origin",
		}},
		"a request":                    {configured, "GET", []string{"Origin", page}, true, map[string]string{"Access-Control-Allow-Origin": page, "Access-Control-Expose-Headers": "X-Seen", "Access-Control-Allow-Methods": ""}},
		"another origin":               {configured, "GET", []string{"Origin", "http://localhost:9"}, true, map[string]string{"Access-Control-Allow-Origin": "of the function"}},
		"its preflight":                {configured, "OPTIONS", []string{"Origin", "http://localhost:9", "Access-Control-Request-Method", "PUT"}, false, map[string]string{"Access-Control-Allow-Origin": "", "Access-Control-Allow-Methods": ""}},
		"OPTIONS that is no preflight": {configured, "OPTIONS", nil, true, map[string]string{"Access-Control-Allow-Origin": "of the function"}},
		"all origins":                  {map[string]any{"AllowOrigins": []any{"*"}}, "GET", []string{"Origin", page}, true, map[string]string{"Access-Control-Allow-Origin": page, "Access-Control-Allow-Credentials": ""}},
		"no configuration":             {nil, "OPTIONS", preflight, true, map[string]string{"Access-Control-Allow-Origin": "of the function"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &function{answer: `{"statusCode": 200, "headers": {"access-control-allow-origin": "of the function"}}`}
			properties := map[string]any{}
			if tt.cors != nil {
				properties["Cors"] = tt.cors
			}
			got := start(t, f, properties).do(tt.method, "/", "", tt.header...)
			if got.status != http.StatusOK || (f.event != nil) != tt.invoked {
				t.Errorf("status %d, invoked %v", got.status, f.event != nil)
			}
			for header, want := range tt.want {
				if got.header.Get(header) != want {
					t.Errorf("%s is %q, want %q", header, got.header.Get(header), want)
				}
			}
		})
	}
}
