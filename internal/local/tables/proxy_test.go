package tables

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestErrorsHaveAChecksum checks that errors have a checksum, as DynamoDB's have: without one the SDK writes a warning
// for every error.
func TestErrorsHaveAChecksum(t *testing.T) {
	for name, tc := range map[string]struct {
		status      int
		sent, wants string
	}{
		"an error without":   {http.StatusBadRequest, "", "907060870"}, // of "hello"
		"an error with one":  {http.StatusBadRequest, "7", "7"},
		"a success with one": {http.StatusOK, "7", "7"},
	} {
		t.Run(name, func(t *testing.T) {
			dynamoDB := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if tc.sent != "" {
					w.Header().Set("X-Amz-Crc32", tc.sent)
				}
				w.WriteHeader(tc.status)
				fmt.Fprint(w, "hello")
			}))
			defer dynamoDB.Close()
			proxy := httptest.NewServer(newProxy(newTransport(func() (string, error) { return dynamoDB.Listener.Addr().String(), nil }, ""), nil, "eu-central-1"))
			defer proxy.Close()
			resp, err := http.Get(proxy.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || string(body) != "hello" {
				t.Fatalf("body is %q, %v", body, err)
			}
			if got := resp.Header.Get("X-Amz-Crc32"); got != tc.wants {
				t.Errorf("checksum is %q, want %q", got, tc.wants)
			}
		})
	}
}
