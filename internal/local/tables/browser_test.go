package tables

import (
	"net/http"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/guard/guardtest"
)

const signature = "AWS4-HMAC-SHA256 Credential=local/20260101/eu-central-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00"

// A page in the browser reads no table, neither at the endpoint nor at DynamoDB Local behind it, which looks at no Host.
func TestPagesAreRefused(t *testing.T) {
	s := start(t, t.TempDir())
	good := func() *http.Request {
		return guardtest.Request(t, http.MethodPost, s.cloud.Endpoint(cloud.DynamoDB), `{}`,
			"Content-Type", "application/x-amz-json-1.0", "X-Amz-Target", "DynamoDB_20120810.ListTables", "Authorization", signature)
	}
	guardtest.Closed(t, good)
	guardtest.NoForms(t, good)

	address, err := s.serverAddress()
	if err != nil {
		t.Fatal(err)
	}
	direct := good()
	direct.URL.Host, direct.Host = address, address
	if response, err := http.DefaultTransport.RoundTrip(direct); err == nil {
		response.Body.Close()
		t.Errorf("DynamoDB Local answers somebody else than the endpoint: %s", response.Status)
	}
}
