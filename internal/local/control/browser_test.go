package control_test

import (
	"net/http"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/guard/guardtest"
)

// A page in the browser reaches none of the services, in none of their protocols.
func TestPagesAreRefused(t *testing.T) {
	endpoint := start(t).cloud.Endpoint(cloud.Others)
	signed := func(service string) string {
		return "AWS4-HMAC-SHA256 Credential=local/20261127/eu-west-1/" + service + "/aws4_request, SignedHeaders=host, Signature=0"
	}
	for name, good := range map[string]func() *http.Request{
		"JSON": func() *http.Request {
			return guardtest.Request(t, http.MethodPost, endpoint, `{"Name":"x"}`, "Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", "AmazonSSM.GetParameter", "Authorization", signed("ssm"))
		},
		"CBOR": func() *http.Request {
			return guardtest.Request(t, http.MethodPost, endpoint+"/service/GraniteServiceVersion20100801/operation/ListMetrics", "", "Content-Type", "application/cbor", "Smithy-Protocol", "rpc-v2-cbor", "Authorization", signed("monitoring"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			guardtest.Closed(t, good)
			guardtest.NoForms(t, good)
		})
	}
	invoke := func(media string) *http.Request {
		return guardtest.Request(t, http.MethodPost, endpoint+"/2015-03-31/functions/f/invocations", `{}`, "Content-Type", media, "Authorization", signed("lambda"))
	}
	t.Run("REST", func(t *testing.T) {
		guardtest.Closed(t, func() *http.Request { return invoke("application/octet-stream") })
		for _, media := range []string{"text/plain", "multipart/form-data; boundary=x"} {
			response, err := http.DefaultClient.Do(invoke(media))
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusForbidden {
				t.Errorf("%s: answer %d, want 403", media, response.StatusCode)
			}
		}
	})
	// What a page can send without a type or as a form has no signature.
	for _, media := range []string{"", "application/x-www-form-urlencoded"} {
		r := invoke(media)
		r.Header.Del("Authorization")
		r.URL.RawQuery = "X-Amz-Credential=local%2F20261127%2Feu-west-1%2Flambda%2Faws4_request"
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("unsigned, with the type %q: answer %d, want 403", media, response.StatusCode)
		}
	}
}
