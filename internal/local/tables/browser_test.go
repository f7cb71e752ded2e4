package tables

import (
	"net/http"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/guard/guardtest"
)

const signature = "AWS4-HMAC-SHA256 Credential=local/20260101/eu-central-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00"

// A page in the browser reads no table, neither at the endpoint nor at DynamoDB Local behind it, whose documentation says
// that it lets every origin in: this release does only with -cors.
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
	preflight := guardtest.Request(t, http.MethodOptions, "http://"+address, "",
		"Origin", "https://evil.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-amz-target,content-type,authorization")
	response, err := http.DefaultClient.Do(preflight)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if allowed := response.Header.Get("Access-Control-Allow-Origin"); allowed == "*" || allowed == "https://evil.example" {
		t.Errorf("DynamoDB Local lets the origin %s in", allowed)
	}
	http.DefaultClient.CloseIdleConnections()
}
