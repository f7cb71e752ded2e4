package access

import (
	"fmt"
	"net/http"

	"github.com/outboxkit/transactional-outbox/internal/local/iam"
)

// The condition keys of calls through a function's URL.
// Source: Lambda developer guide, urls-auth.
const (
	urlAuthType = "lambda:FunctionUrlAuthType"
	viaURL      = "lambda:InvokedViaFunctionUrl"
)

// urlRequests returns what the caller of a function's URL must be allowed. Both actions are needed since October 2025.
// Source: Lambda developer guide, urls-auth.
func urlRequests(functionARN, authType string) []iam.Request {
	url, invoke := iam.Context{}, iam.Context{}
	url.Set(urlAuthType, authType)
	invoke.Set(viaURL, "true")
	return []iam.Request{
		{Action: "lambda:InvokeFunctionUrl", Resource: functionARN, Context: url},
		{Action: invokeFunction, Resource: functionARN, Context: invoke},
	}
}

// everybody is who calls a URL that authorizes nobody, in messages.
const everybody = "everybody"

// AuthorizeURL returns an error when the policy of a function does not let everybody call its URL, whose type is NONE.
func (a *Authority) AuthorizeURL(functionARN string) error {
	for _, request := range urlRequests(functionARN, "NONE") {
		request.Principal = iam.Principal{Anonymous: true}
		request.Context.Set("aws:SecureTransport", "true") // the same call goes over TLS on AWS
		if denied := a.decide(request, iam.Policies{Resource: a.policyOf(functionARN)}, everybody, a.namesBeside(functionARN)); denied != nil {
			return denied
		}
	}
	return nil
}

// AuthorizeURLCaller returns a *Refusal when the caller of a function's URL, whose type is AWS_IAM, did not sign the
// request with a key of this run, or is a role that may not call it.
func (a *Authority) AuthorizeURLCaller(r *http.Request, body []byte, functionARN string) error {
	return a.authorizeSigned(r, body, "lambda", urlRequests(functionARN, "AWS_IAM")...)
}

// missingURLPermission returns the permission without which everybody may not call the URL of a function.
func missingURLPermission(action, function string) string {
	condition := `"FunctionUrlAuthType":"NONE"`
	if action == invokeFunction {
		condition = `"InvokedViaFunctionUrl":true`
	}
	return fmt.Sprintf(`{"Type":"AWS::Lambda::Permission","Properties":{"Action":%q,"FunctionName":%s,"Principal":"*",%s}}`, action, function, condition)
}
