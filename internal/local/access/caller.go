package access

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
)

// A Refusal is why API Gateway does not let a caller in.
type Refusal struct {
	kind, message string
}

func (r *Refusal) Error() string { return r.message }

// GatewayResponse returns the type of API Gateway's response, and its message.
// Source: API Gateway developer guide, supported-gateway-response-types.
func (r *Refusal) GatewayResponse() (kind, message string) { return r.kind, r.message }

// maxSkew is how far the time of a signature may be from ours.
// Source: IAM user guide, reference_sigv-troubleshooting: five minutes.
const maxSkew = 5 * time.Minute

// dateForm is the form of X-Amz-Date.
const dateForm = "20060102T150405Z"

// AuthorizeCaller returns a *Refusal when the caller of a method with IAM authorization did not sign the request with a
// key of this run, or is a role that may not call the method.
// Source: API Gateway developer guide, api-gateway-control-access-using-iam-policies-to-invoke-api.
func (a *Authority) AuthorizeCaller(r *http.Request, body []byte, methodARN string) error {
	return a.authorizeSigned(r, body, "execute-api", iam.Request{Action: "execute-api:Invoke", Resource: methodARN})
}

// authorizeSigned returns a *Refusal when the caller did not sign the request for the service with a key of this run, or
// is a role that may not make one of the requests.
func (a *Authority) authorizeSigned(r *http.Request, body []byte, service string, requests ...iam.Request) error {
	signature, ok := parseSignature(r.Header.Get("Authorization"))
	switch {
	case !ok && r.URL.Query().Has("X-Amz-Signature"):
		return &Refusal{"MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token: the local run reads the signature in the header Authorization, and none in the query of a presigned URL"}
	case !ok:
		return &Refusal{"MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token"}
	}
	caller, isRole := a.caller(r)
	if !isRole && signature.key != cloud.DeveloperKey {
		return &Refusal{"INVALID_SIGNATURE", "The security token included in the request is invalid."}
	}
	at, err := time.Parse(dateForm, r.Header.Get("X-Amz-Date"))
	if err != nil || time.Since(at).Abs() > maxSkew {
		return &Refusal{"INVALID_SIGNATURE", "Signature expired: X-Amz-Date must be within five minutes of " + time.Now().UTC().Format(dateForm)}
	}
	if wrong := signature.wrongScope(a.cloud.Region, service, at); wrong != "" {
		return &Refusal{"INVALID_SIGNATURE", wrong}
	}
	if !signature.matches(r, body, at) {
		return &Refusal{"INVALID_SIGNATURE", "The request signature we calculated does not match the signature you provided. " +
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}
	}
	if !isRole {
		return nil
	}
	for _, request := range requests {
		if denied := a.check(caller, request); denied != nil {
			return &Refusal{"ACCESS_DENIED", denied.Error()}
		}
	}
	return nil
}

// A signature is the Authorization header of Signature Version 4.
// Source: IAM user guide, reference_sigv-authentication-methods.
type signature struct {
	key, date, region, service, terminator string
	headers                                []string
	whole                                  string
}

func parseSignature(header string) (signature, bool) {
	rest, ok := strings.CutPrefix(header, "AWS4-HMAC-SHA256 ")
	s := signature{whole: header}
	for _, field := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			if scope := strings.Split(value, "/"); len(scope) == 5 {
				s.key, s.date, s.region, s.service, s.terminator = scope[0], scope[1], scope[2], scope[3], scope[4]
			}
		case "SignedHeaders":
			s.headers = strings.Split(value, ";")
		}
	}
	return s, ok && s.key != "" && s.headers != nil
}

// wrongScope returns what is wrong with the scope of the credential for a call of a service at a time, or "".
// Source: IAM user guide, reference_sigv-create-signed-request, "Create a string to sign", CredentialScope.
func (s signature) wrongScope(region, service string, at time.Time) string {
	const scope = "Credential must be scoped to "
	switch day := at.Format("20060102"); {
	case s.date != day:
		return fmt.Sprintf("%sthe day of X-Amz-Date, %s, got %q", scope, day, s.date)
	case s.region != region:
		return fmt.Sprintf("%sthe region %s, got %q", scope, region, s.region)
	case s.service != service:
		return fmt.Sprintf("%sthe service %s, got %q", scope, service, s.service)
	case s.terminator != "aws4_request":
		return fmt.Sprintf("%saws4_request, got %q", scope, s.terminator)
	}
	return ""
}

// matches signs the request again, with the headers that the caller has signed, and compares.
func (s signature) matches(r *http.Request, body []byte, at time.Time) bool {
	again := &http.Request{Method: r.Method, Host: r.Host, Header: http.Header{}, URL: &url.URL{
		Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery,
	}}
	for _, name := range s.headers {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	sum := sha256.Sum256(body)
	keys := aws.Credentials{AccessKeyID: s.key, SecretAccessKey: cloud.DeveloperKey}
	if err := v4.NewSigner().SignHTTP(context.Background(), keys, again, hex.EncodeToString(sum[:]), s.service, s.region, at); err != nil {
		return false
	}
	return sameSignature(again.Header.Get("Authorization"), s.whole)
}

// sameSignature compares what follows Signature= of two headers, since spaces may differ before it.
func sameSignature(a, b string) bool {
	_, ours, _ := strings.Cut(a, "Signature=")
	_, theirs, _ := strings.Cut(b, "Signature=")
	return ours != "" && bytes.Equal([]byte(ours), []byte(theirs))
}
