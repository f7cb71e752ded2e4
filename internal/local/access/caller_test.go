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
	r := httptest.NewRequest(http.MethodPost, "/dev/orders?a=1&b=x%20y", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	sum := sha256.Sum256([]byte(body))
	err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}, r, hex.EncodeToString(sum[:]), "execute-api", "eu-west-1", at)
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
	cases := map[string]struct {
		authority *Authority
		request   *http.Request
		body      string
		kind      string
	}{
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
				kind, _ = refused.GatewayResponse()
			}
			if kind != c.kind {
				t.Errorf("refused as %q (%v), want %q", kind, err, c.kind)
			}
		})
	}
}
