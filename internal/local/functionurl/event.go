package functionurl

import (
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/web"
)

// An event is a request in the payload format 2.0. What a request does not have is left out, as in events recorded on AWS.
// Source: Lambda developer guide, urls-invocation, "Request payload format".
type event struct {
	Version               string            `json:"version"`
	RouteKey              string            `json:"routeKey"`
	RawPath               string            `json:"rawPath"`
	RawQueryString        string            `json:"rawQueryString"`
	Cookies               []string          `json:"cookies,omitempty"`
	Headers               map[string]string `json:"headers"`
	QueryStringParameters map[string]string `json:"queryStringParameters,omitempty"`
	RequestContext        requestContext    `json:"requestContext"`
	Body                  string            `json:"body,omitempty"`
	IsBase64Encoded       bool              `json:"isBase64Encoded"`
}

type requestContext struct {
	AccountID    string      `json:"accountId"`
	APIID        string      `json:"apiId"`
	DomainName   string      `json:"domainName"`
	DomainPrefix string      `json:"domainPrefix"`
	HTTP         contextHTTP `json:"http"`
	RequestID    string      `json:"requestId"`
	RouteKey     string      `json:"routeKey"`
	Stage        string      `json:"stage"`
	Time         string      `json:"time"`
	TimeEpoch    int64       `json:"timeEpoch"` // milliseconds
}

type contextHTTP struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

// placeholder is what stands for routes and stages, which a function URL has not.
const placeholder = "$default"

// newEvent returns the event for a request to a URL.
func newEvent(u *functionURL, r *http.Request, body []byte, now time.Time) event {
	sourceIP, _, _ := net.SplitHostPort(r.RemoteAddr)
	domain, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		domain, port = r.Host, "80"
	}
	account := "anonymous"
	if u.signed {
		account = cloud.Account
	}
	e := event{
		Version: "2.0", RouteKey: placeholder,
		RawPath: r.URL.EscapedPath(), RawQueryString: r.URL.RawQuery, QueryStringParameters: joined(r.URL.Query()),
		RequestContext: requestContext{
			AccountID: account, APIID: u.id, DomainName: domain, DomainPrefix: u.id,
			HTTP:      contextHTTP{Method: r.Method, Path: r.URL.Path, Protocol: r.Proto, SourceIP: sourceIP, UserAgent: r.UserAgent()},
			RequestID: uuid.NewString(), RouteKey: placeholder, Stage: placeholder,
			Time: now.UTC().Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
		},
	}
	for _, header := range r.Header.Values("Cookie") {
		for cookie := range strings.SplitSeq(header, ";") {
			e.Cookies = append(e.Cookies, strings.TrimSpace(cookie))
		}
	}
	e.Headers = headers(r, now)
	e.Headers["x-forwarded-for"], e.Headers["x-forwarded-port"] = sourceIP, port
	e.Body, e.IsBase64Encoded = text(r.Header.Get("Content-Type"), body)
	return e
}

// headers returns a request's headers by their names in small letters, and those that Lambda sets.
func headers(r *http.Request, now time.Time) map[string]string {
	all := map[string]string{}
	for name, value := range joined(url.Values(r.Header)) {
		all[strings.ToLower(name)] = value
	}
	delete(all, "cookie")
	delete(all, "connection")
	all["host"] = r.Host
	all["x-amzn-trace-id"] = "Root=" + web.TraceID(r, now)
	all["x-forwarded-proto"] = "http"
	return all
}

// joined returns the values of each name as one, with commas between them.
func joined(values url.Values) map[string]string {
	if len(values) == 0 {
		return nil
	}
	all := make(map[string]string, len(values))
	for name, several := range values {
		all[name] = strings.Join(several, ",")
	}
	return all
}

// text returns a body as text or, if it is not of a type that is text, in base64: a form is not, for example.
// Source: Lambda developer guide, urls-invocation, "body".
func text(contentType string, body []byte) (_ string, isBase64 bool) {
	if len(body) == 0 {
		return "", false
	}
	contentType = strings.ToLower(contentType)
	for _, kind := range []string{"text/", "json", "xml", "javascript"} {
		if strings.Contains(contentType, kind) && utf8.Valid(body) {
			return string(body), false
		}
	}
	return base64.StdEncoding.EncodeToString(body), true
}
