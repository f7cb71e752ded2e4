package functions

import (
	"net/http"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/guard/guardtest"
)

// A page in the browser takes no invocation of a function, and answers none.
func TestPagesAreRefused(t *testing.T) {
	h := newHost(t)
	a := h.ask(h.function(props{}), order{})
	var api string
	for _, entry := range a.Env {
		if value, ok := strings.CutPrefix(entry, "AWS_LAMBDA_RUNTIME_API="); ok {
			api = value
		}
	}
	guardtest.Closed(t, func() *http.Request {
		return guardtest.Request(t, http.MethodPost, "http://"+api+"/2018-06-01/runtime/invocation/none/response", `{}`)
	})
}
