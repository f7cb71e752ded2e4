package access

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/iam"
)

// GuardOthers returns a handler that lets the calls of roles through to the endpoint of the services that have none of
// their own: Systems Manager, CloudFormation, Lambda and CloudWatch. What the endpoint does not answer, it refuses
// itself.
func (a *Authority) GuardOthers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, ok := a.caller(r)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		for _, request := range a.otherRequests(r, body) {
			if denied := a.check(caller, request); denied != nil {
				refuseOther(w, r, denied)
				return
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// otherRequests returns what a call asks for, or nothing for a call that needs no permission or that nobody answers.
func (a *Authority) otherRequests(r *http.Request, body []byte) []iam.Request {
	signed, _ := parseSignature(r.Header.Get("Authorization"))
	switch signed.service {
	case "ssm":
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		return a.parameterRequests(operation, body)
	case "cloudformation":
		form, _ := url.ParseQuery(string(body))
		resource := "*"
		if name := form.Get("StackName"); name != "" && !strings.HasPrefix(name, "arn:") {
			resource = a.cloud.ARN("cloudformation", "stack/"+name+"/local")
		} else if name != "" {
			resource = name
		}
		return []iam.Request{{Action: "cloudformation:" + form.Get("Action"), Resource: resource}}
	case "lambda":
		return a.functionRequests(r)
	case "monitoring":
		_, operation, found := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if !found {
			form, _ := url.ParseQuery(string(body))
			operation = form.Get("Action")
		}
		return []iam.Request{{Action: "cloudwatch:" + operation, Resource: "*"}}
	}
	return nil
}

// parameterRequests returns one request for each parameter.
// Source: Service authorization reference, list_awssystemsmanager; Systems Manager user guide,
// sysman-paramstore-access: the slash at the beginning of a name is that of "parameter/".
func (a *Authority) parameterRequests(operation string, body []byte) []iam.Request {
	var on struct {
		Name, Path string
		Names      []string
	}
	_ = json.Unmarshal(body, &on) // the endpoint refuses what is no JSON
	names := on.Names
	if name := on.Name + on.Path; name != "" {
		names = append(names, name)
	}
	if len(names) == 0 {
		return []iam.Request{{Action: "ssm:" + operation, Resource: "*"}}
	}
	var requests []iam.Request
	for _, name := range names {
		requests = append(requests, iam.Request{Action: "ssm:" + operation, Resource: a.cloud.ARN("ssm", "parameter/"+strings.TrimPrefix(name, "/"))})
	}
	return requests
}

// functionRequests returns the request of a call to Lambda on a function.
// Source: Lambda API reference, Invoke and GetFunction.
func (a *Authority) functionRequests(r *http.Request) []iam.Request {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) < 3 || parts[1] != "functions" {
		return []iam.Request{{Action: "lambda:" + lambdaAction(r.Method, parts), Resource: "*"}}
	}
	arn, err := url.PathUnescape(parts[2])
	if err != nil || !strings.HasPrefix(arn, "arn:") {
		arn = a.cloud.ARN("lambda", "function:"+parts[2])
	}
	return []iam.Request{{Action: "lambda:" + lambdaAction(r.Method, parts), Resource: arn}}
}

// lambdaAction returns the action of a method and path: <version>/functions/<name>[/<what>], or of event source mappings.
func lambdaAction(method string, parts []string) string {
	path := method + " " + strings.Join(parts[min(1, len(parts)):], "/")
	switch {
	case strings.HasSuffix(path, "/invocations"):
		return "InvokeFunction"
	case strings.HasSuffix(path, "/configuration"):
		return "GetFunctionConfiguration"
	case strings.HasPrefix(path, "GET event-source-mappings/"):
		return "GetEventSourceMapping"
	case strings.HasPrefix(path, "GET event-source-mappings"):
		return "ListEventSourceMappings"
	case strings.HasPrefix(path, "PUT event-source-mappings"):
		return "UpdateEventSourceMapping"
	case path == "GET functions":
		return "ListFunctions"
	}
	return "GetFunction"
}

// refuseOther answers a denial in the form of the call: XML for the services with the query protocol, or else JSON.
func refuseOther(w http.ResponseWriter, r *http.Request, err error) {
	var denied *Denial
	errors.As(err, &denied)
	w.Header().Set("X-Amzn-ErrorType", "AccessDeniedException")
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		status := http.StatusBadRequest
		if r.Header.Get("X-Amz-Target") == "" {
			status = http.StatusForbidden
		}
		protocol{errorType: "AccessDeniedException", contentType: "application/x-amz-json-1.1", status: status, text: (*Denial).Error}.refuse(w, denied)
		return
	}
	type failure struct {
		Type, Code, Message string
	}
	answer := struct {
		XMLName   xml.Name `xml:"ErrorResponse"`
		Error     failure
		RequestId string
	}{Error: failure{"Sender", "AccessDenied", denied.Error()}, RequestId: requestID()}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(http.StatusForbidden)
	_ = xml.NewEncoder(w).Encode(answer)
}
