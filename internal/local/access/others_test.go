package access

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCallsToOtherServices(t *testing.T) {
	const account = "arn:aws:%s:eu-west-1:000000000000:"
	arn := func(service, resource string) string { return strings.Replace(account, "%s", service, 1) + resource }
	cases := map[string]struct {
		service, target, method, path, contentType, body string
		allowed, other                                   string
	}{
		"a parameter": {
			"ssm", "AmazonSSM.GetParameter", "POST", "/", "application/x-amz-json-1.1", `{"Name":"/app/key"}`,
			allow("ssm:GetParameter", arn("ssm", "parameter/app/*"), ""), allow("ssm:GetParameter", arn("ssm", "parameter/other"), ""),
		},
		"parameters": {
			"ssm", "AmazonSSM.GetParameters", "POST", "/", "application/x-amz-json-1.1", `{"Names":["a","b"]}`,
			allow("ssm:GetParameters", arn("ssm", "parameter/*"), ""), allow("ssm:GetParameters", arn("ssm", "parameter/a"), ""),
		},
		"a stack": {
			"cloudformation", "", "POST", "/", "application/x-www-form-urlencoded", "Action=DescribeStacks&StackName=Orders",
			allow("cloudformation:DescribeStacks", arn("cloudformation", "stack/Orders/*"), ""), allow("cloudformation:DescribeStacks", arn("cloudformation", "stack/Other/*"), ""),
		},
		"a function": {
			"lambda", "", "POST", "/2015-03-31/functions/Fn/invocations", "application/json", "{}",
			allow("lambda:InvokeFunction", arn("lambda", "function:Fn"), ""), allow("lambda:GetFunction", "*", ""),
		},
		"the mappings": {
			"lambda", "", "GET", "/2015-03-31/event-source-mappings/", "", "",
			allow("lambda:ListEventSourceMappings", "*", ""), allow("lambda:GetEventSourceMapping", "*", ""),
		},
		"a mapping": {
			"lambda", "", "PUT", "/2015-03-31/event-source-mappings/u-1", "application/json", "{}",
			allow("lambda:UpdateEventSourceMapping", arn("lambda", "event-source-mapping:u-1"), ""), allow("lambda:UpdateEventSourceMapping", arn("lambda", "function:u-1"), ""),
		},
		"a pipe": {
			"pipes", "", "POST", "/v1/pipes/P/stop", "application/json", "{}",
			allow("pipes:StopPipe", arn("pipes", "pipe/P"), ""), allow("pipes:StopPipe", arn("pipes", "pipe/Q"), ""),
		},
		"the alarms": {
			"monitoring", "", "POST", "/", "application/x-www-form-urlencoded", "Action=DescribeAlarms",
			allow("cloudwatch:DescribeAlarms", arn("cloudwatch", "alarm:*"), ""), allow("cloudwatch:DescribeAlarms", arn("cloudwatch", "alarm:one"), ""),
		},
		"parameters below a path": {
			"ssm", "AmazonSSM.GetParametersByPath", "POST", "/", "application/x-amz-json-1.1", `{"Path":"/app"}`,
			allow("ssm:GetParametersByPath", arn("ssm", "parameter/app"), ""), allow("ssm:GetParametersByPath", arn("ssm", "parameter/app/*"), ""),
		},
		"metrics": {
			"monitoring", "GraniteServiceVersion20100801.PutMetricData", "POST", "/", "application/x-amz-json-1.0", "{}",
			allow("cloudwatch:PutMetricData", "*", ""), allow("cloudwatch:GetMetricData", "*", ""),
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for statement, allowed := range map[string]bool{c.allowed: true, c.other: false} {
				a, _ := withStatements(t, statement)
				r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
				r.Header.Set("X-Amz-Target", c.target)
				r.Header.Set("Content-Type", c.contentType)
				r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+a.Key(caller, "fn")+"/20261127/eu-west-1/"+c.service+"/aws4_request, SignedHeaders=host, Signature=0")
				w := httptest.NewRecorder()
				a.GuardOthers(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })).ServeHTTP(w, r)
				if allowed && (w.Code != http.StatusOK || w.Body.String() != c.body) {
					t.Errorf("with %s: answer %d %s, want the call to come through", statement, w.Code, w.Body)
				}
				if !allowed && (w.Code < 400 || !strings.Contains(w.Body.String(), "is not authorized to perform: ")) {
					t.Errorf("with %s: answer %d %s, want a denial", statement, w.Code, w.Body)
				}
			}
		})
	}
}

// TestEveryOperationOfTheEndpointNeedsAPermission checks that nothing that the endpoint answers is let in unchecked.
func TestEveryOperationOfTheEndpointNeedsAPermission(t *testing.T) {
	a, _ := withStatements(t)
	for service, actions := range map[string][]restAction{"lambda": functionActions, "pipes": pipeActions} {
		for _, known := range actions {
			method, path, _ := strings.Cut(strings.ReplaceAll(known.pattern, "{}", "name"), " ")
			for _, end := range []string{"", "/"} {
				r := httptest.NewRequest(method, path+end, strings.NewReader("{}"))
				r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+a.Key(caller, "fn")+"/20261127/eu-west-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
				w := httptest.NewRecorder()
				a.GuardOthers(http.NotFoundHandler()).ServeHTTP(w, r)
				if want := "is not authorized to perform: " + service + ":" + known.action; w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), want) {
					t.Errorf("%s %s%s: %d %s, want %q", method, path, end, w.Code, w.Body, want)
				}
			}
		}
	}
}

func TestIdentity(t *testing.T) {
	a, _ := withStatements(t)
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	if arn, id, ok := a.Identity(r); ok {
		t.Errorf("somebody without a key is %s %s", arn, id)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+a.Key(caller, "fn")+"/20261127/eu-west-1/sts/aws4_request, SignedHeaders=host, Signature=0")
	arn, id, ok := a.Identity(r)
	if want := "arn:aws:sts::000000000000:assumed-role/" + nameOf(caller) + "/fn"; !ok || arn != want || !strings.HasPrefix(id, "AROA") || !strings.HasSuffix(id, ":fn") {
		t.Errorf("got %s %s %v, want %s", arn, id, ok, want)
	}
}

func TestWhoOneIsNeedsNoPermission(t *testing.T) {
	a, _ := withStatements(t)
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("Action=GetCallerIdentity"))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+a.Key(caller, "fn")+"/20261127/eu-west-1/sts/aws4_request, SignedHeaders=host, Signature=0")
	w := httptest.NewRecorder()
	a.GuardOthers(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("answer %d %s", w.Code, w.Body)
	}
}
