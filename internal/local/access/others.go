package access

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/control/wire"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
)

// GuardOthers returns a handler that lets the calls of roles through to the endpoint of the services that have none of
// their own: Systems Manager, CloudFormation, Lambda, Pipes and CloudWatch. What the endpoint does not answer, it refuses
// itself, and what it passes on to another endpoint is guarded there.
func (a *Authority) GuardOthers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, ok := a.caller(r)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		call, err := wire.Read(w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		for _, request := range a.otherRequests(call) {
			if denied := a.check(caller, request); denied != nil {
				refuseOther(w, call, denied)
				return
			}
		}
		r.Body = call.Reread()
		next.ServeHTTP(w, r)
	})
}

// otherRequests returns what a call asks for, or nothing for a call that needs no permission or that nobody answers.
func (a *Authority) otherRequests(r *wire.Request) []iam.Request {
	switch r.Service {
	case "ssm":
		return a.parameterRequests(r)
	case "cloudformation":
		return []iam.Request{{Action: "cloudformation:" + r.Operation, Resource: a.stackOf(r)}}
	case "lambda":
		return restRequest("lambda:", functionActions, r.Request, func(name string) string {
			if qualifier := r.URL.Query().Get("Qualifier"); qualifier != "" {
				name += ":" + qualifier
			}
			return a.cloud.FunctionARN(name)
		})
	case "pipes":
		return restRequest("pipes:", pipeActions, r.Request, func(name string) string { return a.cloud.ARN("pipes", "pipe/"+name) })
	case "monitoring":
		resource := "*"
		if r.Operation == "DescribeAlarms" {
			resource = a.cloud.ARN("cloudwatch", "alarm:*")
		}
		return []iam.Request{{Action: "cloudwatch:" + r.Operation, Resource: resource}}
	}
	return nil
}

// stackOf returns the ARN of the stack that a call names, or "*".
// Source: Service authorization reference, list_awscloudformation.
func (a *Authority) stackOf(r *wire.Request) string {
	var on struct{ StackName string }
	_ = r.Decode(&on) // the endpoint refuses what it cannot read
	switch {
	case on.StackName == "":
		return "*"
	case strings.HasPrefix(on.StackName, "arn:"):
		return on.StackName
	}
	return a.cloud.ARN("cloudformation", "stack/"+on.StackName+"/*")
}

// parameterRequests returns one request for each parameter.
// Source: Service authorization reference, list_awssystemsmanager; Systems Manager user guide,
// sysman-paramstore-access: the slash at the beginning of a name is that of "parameter/".
func (a *Authority) parameterRequests(r *wire.Request) []iam.Request {
	var on struct {
		Name, Path string
		Names      []string
	}
	_ = r.Decode(&on) // the endpoint refuses what it cannot read
	names := on.Names
	if name := on.Name + on.Path; name != "" {
		names = append(names, name)
	}
	if len(names) == 0 {
		return []iam.Request{{Action: "ssm:" + r.Operation, Resource: "*"}}
	}
	var requests []iam.Request
	for _, name := range names {
		requests = append(requests, iam.Request{Action: "ssm:" + r.Operation, Resource: a.cloud.ARN("ssm", "parameter/"+strings.TrimPrefix(name, "/"))})
	}
	return requests
}

// A restAction is the action of a method and a path, in which {} stands for the name of a resource.
type restAction struct{ pattern, action string }

// The operations of the REST APIs that are answered. Source: Lambda API reference, Pipes API reference.
var (
	functionActions = []restAction{
		{"POST /2015-03-31/functions/{}/invocations", "InvokeFunction"},
		{"GET /2015-03-31/functions", "ListFunctions"},
		{"GET /2015-03-31/functions/{}", "GetFunction"},
		{"GET /2015-03-31/functions/{}/configuration", "GetFunctionConfiguration"},
		{"GET /2015-03-31/event-source-mappings", "ListEventSourceMappings"},
		{"GET /2015-03-31/event-source-mappings/{}", "GetEventSourceMapping"},
		{"PUT /2015-03-31/event-source-mappings/{}", "UpdateEventSourceMapping"},
	}
	pipeActions = []restAction{
		{"GET /v1/pipes", "ListPipes"},
		{"GET /v1/pipes/{}", "DescribePipe"},
		{"PUT /v1/pipes/{}", "UpdatePipe"},
		{"POST /v1/pipes/{}/start", "StartPipe"},
		{"POST /v1/pipes/{}/stop", "StopPipe"},
	}
)

// restRequest returns the request of a call to a REST API, or nothing for an operation that is not listed.
func restRequest(service string, actions []restAction, r *http.Request, arnOf func(name string) string) []iam.Request {
	parts := strings.Split(r.Method+" "+strings.TrimSuffix(r.URL.EscapedPath(), "/"), "/")
	for _, known := range actions {
		if name, ok := matchPath(strings.Split(known.pattern, "/"), parts); ok {
			resource := "*"
			if name != "" {
				resource = arnOf(name)
			}
			if strings.HasSuffix(known.action, "EventSourceMapping") {
				resource = strings.Replace(resource, ":function:", ":event-source-mapping:", 1)
			}
			return []iam.Request{{Action: service + known.action, Resource: resource}}
		}
	}
	return nil
}

// matchPath reports whether the parts are those of the pattern, and what stands for {}.
func matchPath(pattern, parts []string) (name string, ok bool) {
	if len(pattern) != len(parts) {
		return "", false
	}
	for i, part := range parts {
		if pattern[i] == "{}" {
			unescaped, err := url.PathUnescape(part)
			if err != nil {
				return "", false
			}
			name = unescaped
		} else if pattern[i] != part {
			return "", false
		}
	}
	return name, true
}

// refuseOther answers a denial in the form of the call: services with the query protocol have another code
// than those with JSON.
func refuseOther(w http.ResponseWriter, r *wire.Request, denied *Denial) {
	failure := &wire.Error{Status: http.StatusBadRequest, Code: "AccessDeniedException", Message: denied.Error()}
	switch r.Protocol {
	case wire.Query, wire.EC2Query, wire.RESTXML:
		failure.Status, failure.Code = http.StatusForbidden, "AccessDenied"
	case wire.RESTJSON:
		failure.Status = http.StatusForbidden
	case wire.JSON, wire.CBOR:
	}
	r.Fail(w, failure)
}
