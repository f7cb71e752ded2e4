package access

import (
	"net/http"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/guard/guardtest"
)

// A page in the browser learns nothing from what decides for the queues, and cannot keep it busy with half a request.
func TestPagesAreRefused(t *testing.T) {
	a, _ := withStatements(t)
	url, stop, err := a.ServeQueues()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	good := func() *http.Request {
		return guardtest.Request(t, http.MethodPost, url, `{}`, "Content-Type", "application/x-amz-json-1.0", "X-Amz-Target", "AmazonSQS.ListQueues")
	}
	guardtest.Closed(t, good)
	guardtest.NoForms(t, good)
	if a.queuesServer().ReadHeaderTimeout == 0 {
		t.Error("the headers of a request may take forever")
	}
}
