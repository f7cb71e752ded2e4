package apigateway

import (
	"net/http"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/guard/guardtest"
)

// A page of another site reaches no method. A page of this machine, an app's own front end, does.
func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	g := start(t, options{})
	guardtest.Closed(t, func() *http.Request { return guardtest.Request(t, http.MethodPost, g.URL()+"orders", `{}`) })
	front := g.do(http.MethodPost, "/orders", `{}`, "Origin", "http://localhost:3000", "Sec-Fetch-Site", "cross-site")
	if front.status != g.do(http.MethodPost, "/orders", `{}`).status {
		t.Errorf("the front end got %d %s", front.status, front.body)
	}
}
