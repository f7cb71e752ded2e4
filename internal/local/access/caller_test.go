package access

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

const methodARN = "arn:aws:execute-api:eu-west-1:000000000000:api/dev/POST/orders"

// signed returns a request for the API that is signed with a key and a secret.
func signed(t *testing.T, key, secret, body string, at time.Time) *http.Request {
	t.Helper()
	return signedFor(t, "execute-api", "eu-west-1", key, secret, body, at)
}

// signedFor returns one whose signature is for a service and a region.
func signedFor(t *testing.T, service, region, key, secret, body string, at time.Time) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/dev/orders?a=1&b=x%20y", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	sum := sha256.Sum256([]byte(body))
	err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}, r, hex.EncodeToString(sum[:]), service, region, at)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "not signed")
	return r
}

func TestAuthorizeCaller(t *testing.T) {
	const body = `{"a":1}`
	a, _ := withStatements(t, allow("execute-api:Invoke", strings.Replace(methodARN, "POST", "*", 1), ""))
	other, _ := withStatements(t)
	now := time.Now()
	developer := signed(t, cloud.DeveloperKey, cloud.DeveloperKey, body, now)
	unsigned := httptest.NewRequest(http.MethodPost, "/dev/orders", strings.NewReader(body))
	changed := signed(t, cloud.DeveloperKey, cloud.DeveloperKey, body, now)
	changed.Header.Set("Content-Type", "text/plain")
	yesterday := signed(t, cloud.DeveloperKey, cloud.DeveloperKey, body, now)
	day := "/" + now.UTC().Format("20060102") + "/"
	yesterday.Header.Set("Authorization", strings.Replace(yesterday.Header.Get("Authorization"), day, "/20200101/", 1))
	presigned := httptest.NewRequest(http.MethodPost, "/dev/orders?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0", strings.NewReader(body))
	cases := map[string]struct {
		authority *Authority
		request   *http.Request
		body      string
		kind      string
	}{
		"another service":     {a, signedFor(t, "sqs", "eu-west-1", cloud.DeveloperKey, cloud.DeveloperKey, body, now), body, "INVALID_SIGNATURE Credential must be scoped to the service execute-api"},
		"another region":      {a, signedFor(t, "execute-api", "eu-west-2", cloud.DeveloperKey, cloud.DeveloperKey, body, now), body, "INVALID_SIGNATURE Credential must be scoped to the region eu-west-1"},
		"another day":         {a, yesterday, body, "INVALID_SIGNATURE Credential must be scoped to the day of X-Amz-Date"},
		"a presigned URL":     {a, presigned, body, "MISSING_AUTHENTICATION_TOKEN Missing Authentication Token: the local run reads the signature in the header Authorization"},
		"the developer":       {a, developer, body, ""},
		"another body":        {a, developer, "{}", "INVALID_SIGNATURE"},
		"another header":      {a, changed, body, "INVALID_SIGNATURE"},
		"another secret":      {a, signed(t, cloud.DeveloperKey, "guess", body, now), body, "INVALID_SIGNATURE"},
		"another key":         {a, signed(t, "AKIAANYTHING", cloud.DeveloperKey, body, now), body, "INVALID_SIGNATURE"},
		"an old signature":    {a, signed(t, cloud.DeveloperKey, cloud.DeveloperKey, body, now.Add(-6*time.Minute)), body, "INVALID_SIGNATURE"},
		"no signature":        {a, unsigned, body, "MISSING_AUTHENTICATION_TOKEN"},
		"a role that may":     {a, signed(t, a.Key(caller, "fn"), cloud.DeveloperKey, body, now), body, ""},
		"a role that may not": {other, signed(t, other.Key(caller, "fn"), cloud.DeveloperKey, body, now), body, "ACCESS_DENIED"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.authority.AuthorizeCaller(c.request, []byte(c.body), methodARN)
			var refused *Refusal
			kind := ""
			if errors.As(err, &refused) {
				response, message := refused.GatewayResponse()
				kind = response + " " + message
			}
			if !strings.HasPrefix(kind, c.kind) || c.kind == "" && err != nil {
				t.Errorf("refused as %q (%v), want %q", kind, err, c.kind)
			}
		})
	}
}
