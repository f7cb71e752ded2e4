package access

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const urlFunction = "arn:aws:lambda:eu-west-1:000000000000:function:Fn"

// permission returns the properties of a permission for everybody.
func permission(action, property string, value any) map[string]any {
	return map[string]any{"Action": action, "FunctionName": "Fn", "Principal": "*", property: value}
}

// Everybody may call a URL without authorization when both permissions are there, as CDK makes them.
func TestURLForEverybody(t *testing.T) {
	url := permission("lambda:InvokeFunctionUrl", "FunctionUrlAuthType", "NONE")
	invoke := permission(invokeFunction, "InvokedViaFunctionUrl", true)
	for name, tt := range map[string]struct {
		permissions []map[string]any
		missing     string
	}{
		"both":                        {[]map[string]any{url, invoke}, ""},
		"none":                        {nil, `function:Fn"},"Principal":"*","FunctionUrlAuthType":"NONE"}}`},
		"the URL only":                {[]map[string]any{url}, `function:Fn"},"Principal":"*","InvokedViaFunctionUrl":true}}`},
		"for another type":            {[]map[string]any{permission("lambda:InvokeFunctionUrl", "FunctionUrlAuthType", "AWS_IAM"), invoke}, `"FunctionUrlAuthType":"NONE"`},
		"for calls that are not URLs": {[]map[string]any{url, permission(invokeFunction, "InvokedViaFunctionUrl", "false")}, `"InvokedViaFunctionUrl":true`},
		"for one account":             {[]map[string]any{{"Action": "lambda:*", "FunctionName": "Fn", "Principal": "000000000000"}}, `"Principal":"*"`},
	} {
		t.Run(name, func(t *testing.T) {
			a, notices := withStatements(t)
			for _, p := range tt.permissions {
				if _, err := a.Provisions()["AWS::Lambda::Permission"](t.Context(), resource("AWS::Lambda::Permission", "P", p)); err != nil {
					t.Fatal(err)
				}
			}
			err := a.AuthorizeURL(urlFunction)
			if tt.missing == "" {
				if err != nil {
					t.Errorf("denied: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), "User: anonymous is not authorized to perform: lambda:") {
				t.Errorf("error is %v", err)
			}
			if said := strings.Join(*notices, "\n"); !strings.Contains(said, tt.missing) {
				t.Errorf("the notices lack %s:\n%s", tt.missing, said)
			}
		})
	}
}

// Messages name a function by itself, and not by its URL.
func TestAFunctionIsNotNamedByItsURL(t *testing.T) {
	a, _ := withStatements(t)
	a.noteNames(resource("AWS::Lambda::Function", "Fn", nil), template.Attributes{Ref: "Fn", GetAtt: map[string]string{"Arn": urlFunction}})
	a.noteNames(resource("AWS::Lambda::Url", "Url", nil), template.Attributes{Ref: urlFunction, GetAtt: map[string]string{"FunctionArn": urlFunction}})
	if got := a.templateName("", urlFunction); got != `{"Fn::GetAtt":["Fn","Arn"]}` {
		t.Errorf("the function is %s", got)
	}
}

// The callers of a URL with authorization sign for the service lambda, and a role needs both actions.
func TestAuthorizeURLCaller(t *testing.T) {
	const body = `{}`
	now := time.Now()
	both, _ := withStatements(t, allow("lambda:InvokeFunctionUrl", urlFunction, `{"StringEquals":{"lambda:FunctionUrlAuthType":"AWS_IAM"}}`), allow(invokeFunction, urlFunction, `{"Bool":{"lambda:InvokedViaFunctionUrl":"true"}}`))
	one, _ := withStatements(t, allow("lambda:InvokeFunctionUrl", urlFunction, ""))
	by := func(a *Authority) *http.Request {
		return signedFor(t, "lambda", "eu-west-1", a.Key(caller, "fn"), cloud.DeveloperKey, body, now)
	}
	for name, tt := range map[string]struct {
		authority *Authority
		request   *http.Request
		want      string
	}{
		"the developer":           {both, signedFor(t, "lambda", "eu-west-1", cloud.DeveloperKey, cloud.DeveloperKey, body, now), ""},
		"a role that may":         {both, by(both), ""},
		"a role with one of both": {one, by(one), "ACCESS_DENIED"},
		"signed for the API":      {both, signed(t, cloud.DeveloperKey, cloud.DeveloperKey, body, now), "INVALID_SIGNATURE"},
		"not signed":              {both, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)), "MISSING_AUTHENTICATION_TOKEN"},
	} {
		err := tt.authority.AuthorizeURLCaller(tt.request, []byte(body), urlFunction)
		var refused *Refusal
		kind := ""
		if errors.As(err, &refused) {
			kind, _ = refused.GatewayResponse()
		}
		if kind != tt.want || tt.want == "" && err != nil {
			t.Errorf("%s: refused as %q (%v), want %q", name, kind, err, tt.want)
		}
	}
}
