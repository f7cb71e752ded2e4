package eventbus

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/guard/guardtest"
)

func TestPagesAreRefused(t *testing.T) {
	a := listen(t, filepath.Join(t.TempDir(), "db"))
	good := func() *http.Request {
		return guardtest.Request(t, http.MethodPost, a.cloud.Endpoint(cloud.EventBridge), `{}`, "Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", "AWSEvents.ListEventBuses")
	}
	guardtest.Closed(t, good)
	guardtest.NoForms(t, good)
}
