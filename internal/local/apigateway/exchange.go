package apigateway

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/web"
)

// maxBody is the largest request API Gateway takes, in bytes.
// Source: API Gateway developer guide, api-gateway-execution-service-limits-table, "Payload size".
const maxBody = 10 << 20

// jsonType is the type of a request or response that does not declare one.
const jsonType = "application/json"

// An exchange is one request that the gateway handles.
type exchange struct {
	request  *http.Request
	received time.Time
	stage    *stage
	method   *method // nil until it is routed
	path     string  // below the stage, as the caller wrote it
	shown    string  // the path in a function's event
	// header holds what the API sees of the request's headers, and spelled the same with the client's spelling. Neither
	// has Host.
	header  http.Header
	spelled map[string][]string
	// encoded holds the path parameters as the caller wrote them.
	encoded map[string]string
	// traced reports whether a backend was called, which gives the response a trace header.
	traced  bool
	body    []byte
	params  params
	query   url.Values
	context requestContext
}

// params holds the request's parameters, as $input.params() shows them. Of several values of one name the
// last counts.
type params struct {
	Path   map[string]string `json:"path"`
	Query  map[string]string `json:"querystring"`
	Header map[string]string `json:"header"`
}

// A requestContext is $context and, for the most part, a Lambda event's requestContext.
// Source: API Gateway developer guide, api-gateway-variables-for-access-logging and api-gateway-mapping-template-reference.
type requestContext struct {
	AccountID         string              `json:"accountId"`
	APIID             string              `json:"apiId"`
	DeploymentID      string              `json:"deploymentId"`
	DomainName        string              `json:"domainName"`
	DomainPrefix      string              `json:"domainPrefix"`
	Error             *contextError       `json:"error,omitempty"`
	ExtendedRequestID string              `json:"extendedRequestId"`
	HTTPMethod        string              `json:"httpMethod"`
	Identity          identity            `json:"identity"`
	Integration       *contextIntegration `json:"integration,omitempty"`
	Path              string              `json:"path"`
	Protocol          string              `json:"protocol"`
	RequestID         string              `json:"requestId"`
	RequestTime       string              `json:"requestTime"`
	RequestTimeEpoch  int64               `json:"requestTimeEpoch"` // milliseconds
	ResourceID        string              `json:"resourceId"`
	ResourcePath      string              `json:"resourcePath"`
	Stage             string              `json:"stage"`
	XrayTraceID       string              `json:"xrayTraceId"`
}

type identity struct {
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
	APIKey    string `json:"apiKey,omitempty"` // of a method that requires one, as APIKeyID
	APIKeyID  string `json:"apiKeyId,omitempty"`
}

type contextIntegration struct {
	Status int `json:"status"`
}

type contextError struct {
	Message               string `json:"message"`
	MessageString         string `json:"messageString"`
	ResponseType          string `json:"responseType"`
	ValidationErrorString string `json:"validationErrorString"`
}

// A response is returned to the caller.
type response struct {
	status int
	header http.Header
	body   []byte
}

// newExchange reads a request for a location.
func newExchange(r *http.Request, at location, a *api) *exchange {
	now := time.Now()
	x := &exchange{request: r, received: now, stage: at.stage, path: at.path, shown: at.shown, query: r.URL.Query()}
	if at.stage == nil {
		x.stage = &stage{}
	}
	x.spelled = withoutDropped(spelled(r))
	x.header = canonical(x.spelled)
	x.encoded = map[string]string{}
	x.params = params{Path: map[string]string{}, Query: lastValues(x.query), Header: lastValues(x.spelled)}
	x.params.Header["Host"] = r.Host
	sourceIP, _, _ := net.SplitHostPort(r.RemoteAddr)
	domain, _, _ := strings.Cut(r.Host, ":")
	prefix := a.id
	if at.domain != "" {
		domain = at.domain
		prefix, _, _ = strings.Cut(domain, ".")
	}
	x.context = requestContext{
		AccountID:         cloud.Account,
		APIID:             a.id,
		DeploymentID:      x.stage.deploymentID,
		DomainName:        domain,
		DomainPrefix:      prefix,
		ExtendedRequestID: extendedRequestID(),
		HTTPMethod:        r.Method,
		Identity:          identity{SourceIP: sourceIP, UserAgent: r.UserAgent()},
		Path:              at.whole,
		Protocol:          r.Proto,
		RequestID:         requestID(r),
		RequestTime:       now.UTC().Format("02/Jan/2006:15:04:05 -0700"),
		RequestTimeEpoch:  now.UnixMilli(),
		Stage:             x.stage.name,
		XrayTraceID:       web.TraceID(r, now),
	}
	return x
}

// requestID returns the id that the caller chose, or a new one.
// Source: API Gateway developer guide, api-gateway-variables-for-access-logging: "Clients can override this request ID."
func requestID(r *http.Request) string {
	return cmp.Or(r.Header.Get("X-Amzn-Requestid"), uuid.NewString())
}

// extendedRequestID returns a new id that no caller chooses, in the form that API Gateway gives it: 15 characters of base64 and
// one of padding.
func extendedRequestID() string {
	id := uuid.New()
	return base64.StdEncoding.EncodeToString(id[:11])
}

// route sets the method that answers the exchange.
func (x *exchange) route(r *resource, m *method) {
	x.method = m
	x.context.ResourceID, x.context.ResourcePath = r.id, r.path
}

// setPathParameters stores the path parameters, which the template of a resource's path names.
func (x *exchange) setPathParameters(encoded map[string]string) error {
	x.encoded = encoded
	for name, value := range encoded {
		decoded, err := url.PathUnescape(value)
		if err != nil {
			return &gatewayError{kind: default4xx, message: "Bad Request", cause: err}
		}
		x.params.Path[name] = decoded
	}
	return nil
}

// readBody reads the request's body.
func (x *exchange) readBody(w http.ResponseWriter) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, x.request.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &gatewayError{kind: requestTooLarge, message: "Request Too Long"}
	}
	x.body = body
	return err
}

// contentType returns the request's content type, without its parameters.
func (x *exchange) contentType() string { return mediaType(x.request.Header.Get("Content-Type")) }

// variables returns what a mapping template sees with that body as its input. The parameters are the
// request's in the integration response too.
func (x *exchange) variables(body []byte) *variables {
	return &variables{Body: string(body), Params: &x.params, Context: &x.context, StageVariables: x.stage.variables}
}

// contextVariable returns $context.<path>, or empty.
func (x *exchange) contextVariable(path string) string {
	raw, err := json.Marshal(x.context)
	if err != nil {
		return ""
	}
	for step := range strings.SplitSeq(path, ".") {
		var fields map[string]json.RawMessage
		if json.Unmarshal(raw, &fields) != nil {
			return ""
		}
		raw = fields[step]
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// mediaType returns the first media type of a header, in lower case and without parameters; JSON when there
// is none.
func mediaType(header string) string {
	first, _, _ := strings.Cut(header, ",")
	first, _, _ = strings.Cut(first, ";")
	if first = strings.ToLower(strings.TrimSpace(first)); first != "" {
		return first
	}
	return jsonType
}

func lastValues(values map[string][]string) map[string]string {
	last := make(map[string]string, len(values)+1)
	for name, all := range values {
		last[name] = all[len(all)-1]
	}
	return last
}
