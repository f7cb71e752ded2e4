package functionurl

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/functions"
	"github.com/outboxkit/transactional-outbox/internal/local/guard/guardtest"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// TestEvent compares the event of a request with one recorded on AWS: the same fields, and the request's values.
func TestEvent(t *testing.T) {
	f := &function{answer: `{}`}
	s := start(t, f, nil)
	got := s.do("POST", "/my/p%20th?a=1&a=2&b=x%20y", `{"q":1}`, "Content-Type", "application/json", "X-Two", "1", "X-Two", "2", "Cookie", "one=1; two=2", "User-Agent", "agent")
	if got.status != 200 {
		t.Fatalf("got %+v", got)
	}
	if f.arn != "arn:aws:lambda:eu-central-1:000000000000:function:greet" {
		t.Errorf("invoked %s", f.arn)
	}
	want := []string{"body", "cookies", "headers", "isBase64Encoded", "queryStringParameters", "rawPath", "rawQueryString", "requestContext", "routeKey", "version"}
	if fields := slices.Sorted(maps.Keys(f.event)); !slices.Equal(fields, want) {
		t.Errorf("the event has %v, want %v", fields, want)
	}
	host := strings.TrimSuffix(strings.TrimPrefix(s.url, "http://"), "/")
	_, port, _ := net.SplitHostPort(host)
	for _, tt := range []struct {
		want any
		path []string
	}{
		{"2.0", []string{"version"}},
		{"$default", []string{"routeKey"}},
		{"/my/p%20th", []string{"rawPath"}},
		{"a=1&a=2&b=x%20y", []string{"rawQueryString"}},
		{"1,2", []string{"queryStringParameters", "a"}},
		{"x y", []string{"queryStringParameters", "b"}},
		{"1,2", []string{"headers", "x-two"}},
		{nil, []string{"headers", "cookie"}},
		{host, []string{"headers", "host"}},
		{port, []string{"headers", "x-forwarded-port"}},
		{"127.0.0.1", []string{"headers", "x-forwarded-for"}},
		{"http", []string{"headers", "x-forwarded-proto"}},
		{"anonymous", []string{"requestContext", "accountId"}},
		{"url-id", []string{"requestContext", "apiId"}},
		{"POST", []string{"requestContext", "http", "method"}},
		{"/my/p th", []string{"requestContext", "http", "path"}},
		{"HTTP/1.1", []string{"requestContext", "http", "protocol"}},
		{"127.0.0.1", []string{"requestContext", "http", "sourceIp"}},
		{"agent", []string{"requestContext", "http", "userAgent"}},
		{"$default", []string{"requestContext", "stage"}},
		{`{"q":1}`, []string{"body"}},
		{false, []string{"isBase64Encoded"}},
	} {
		if got := at(f.event, tt.path...); got != tt.want {
			t.Errorf("%v is %v, want %v", tt.path, got, tt.want)
		}
	}
	if cookies := fmt.Sprint(f.event["cookies"]); cookies != "[one=1 two=2]" {
		t.Errorf("cookies are %s", cookies)
	}
	if h := <-s.hops; h.Stage != hop.API || h.Resource != "Url" || h.Outcome != hop.OK || h.Detail != "POST /my/p%20th 200" {
		t.Errorf("hop is %+v", h)
	}
	s.do("GET", "/", "")
	if fields := slices.Sorted(maps.Keys(f.event)); !slices.Equal(fields, []string{"headers", "isBase64Encoded", "rawPath", "rawQueryString", "requestContext", "routeKey", "version"}) {
		t.Errorf("the event of a bare request has %v", fields)
	}
}

// TestBodies checks which bodies a function gets in base64.
func TestBodies(t *testing.T) {
	f := &function{answer: `{}`}
	s := start(t, f, nil)
	for contentType, wantText := range map[string]bool{
		"text/plain; charset=utf-8": true, "application/json": true, "application/problem+json": true, "application/xml": true, "text/javascript": true,
		"application/x-www-form-urlencoded": false, "application/octet-stream": false, "multipart/form-data; boundary=x": false,
	} {
		s.do("POST", "/", "a=1", "Content-Type", contentType)
		want := "a=1"
		if !wantText {
			want = base64.StdEncoding.EncodeToString([]byte(want))
		}
		if f.event["body"] != want || f.event["isBase64Encoded"] == wantText {
			t.Errorf("%s: got %v, base64 %v", contentType, f.event["body"], f.event["isBase64Encoded"])
		}
	}
	s.do("POST", "/", "\xff", "Content-Type", "text/plain")
	if f.event["body"] != "/w==" {
		t.Errorf("text that is none: got %v", f.event["body"])
	}
}

// TestAnswers checks how Lambda reads the answer of a function.
func TestAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		answer      string
		status      int
		contentType string
		body        string
	}{
		"a string":            {`"Hello, world!"`, 200, "application/json", `"Hello, world!"`},
		"an object":           {`{"message": "Hello"}`, 200, "application/json", `{"message": "Hello"}`},
		"a list":              {`[1, 2]`, 200, "application/json", `[1, 2]`},
		"nothing":             {`null`, 200, "application/json", `null`},
		"a body alone":        {`{"body": "x"}`, 200, "application/json", `{"body": "x"}`},
		"a response":          {`{"statusCode": 201, "headers": {"content-type": "text/html"}, "body": "<p>"}`, 201, "text/html", "<p>"},
		"a response, no type": {`{"statusCode": "202", "body": "x"}`, 202, "application/json", "x"},
		"base64":              {`{"statusCode": 200, "headers": {"Content-Type": "image/x"}, "body": "AP8=", "isBase64Encoded": true}`, 200, "image/x", "\x00\xff"},
		"no base64":           {`{"statusCode": 200, "body": "?", "isBase64Encoded": true}`, 502, "application/json", "Internal Server Error"},
		"no status":           {`{"statusCode": "many"}`, 502, "application/json", "Internal Server Error"},
		"a null status":       {`{"statusCode": null}`, 502, "application/json", "Internal Server Error"},
		"an object as body":   {`{"statusCode": 200, "body": {}}`, 502, "application/json", "Internal Server Error"},
		"no JSON":             {`hello`, 502, "application/json", "Internal Server Error"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, &function{answer: tt.answer}, nil)
			got := s.do("GET", "/", "")
			if got.status != tt.status || got.header.Get("Content-Type") != tt.contentType || got.body != tt.body {
				t.Errorf("got %d %s %q, want %d %s %q", got.status, got.header.Get("Content-Type"), got.body, tt.status, tt.contentType, tt.body)
			}
		})
	}
	s := start(t, &function{answer: `{"statusCode": 200, "headers": {"X-Number": 7, "X-True": true}, "cookies": ["a=1; Secure", "b=2"]}`}, nil)
	got := s.do("GET", "/", "")
	if cookies := got.header.Values("Set-Cookie"); !slices.Equal(cookies, []string{"a=1; Secure", "b=2"}) || got.header.Get("X-Number") != "7" || got.header.Get("X-True") != "true" {
		t.Errorf("the headers are %v", got.header)
	}
}

// TestFailures checks what the caller gets when the function is not there for it.
func TestFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		status int
	}{
		"it fails":     {&functions.FunctionError{Function: "Greet", Type: "Error", Message: "boom"}, 502},
		"throttled":    {fmt.Errorf("invoke: %w", functions.ErrThrottled), 429},
		"too large":    {fmt.Errorf("invoke: %w", functions.ErrRequestTooLarge), 413},
		"not there":    {fmt.Errorf("invoke: %w", functions.ErrNotFound), 502},
		"it timed out": {&functions.FunctionError{Type: functions.TypeTimeout}, 502},
	} {
		s := start(t, &function{err: tt.err}, nil)
		if got := s.do("GET", "/", ""); got.status != tt.status || strings.Contains(got.body, "boom") {
			t.Errorf("%s: got %+v, want %d", name, got, tt.status)
		}
		if h := <-s.hops; h.Outcome != hop.Failed || !strings.Contains(h.Detail, tt.err.Error()) {
			t.Errorf("%s: the hop is %+v", name, h)
		}
	}
	f := &function{answer: `{}`}
	s := start(t, f, nil)
	if got := s.do("POST", "/", strings.Repeat("x", functions.MaxRequest+1)); got.status != 413 || f.event != nil {
		t.Errorf("too large a body: got %d", got.status)
	}
}

// TestAuthorization: the function's policy counts for a URL of the type NONE, the caller for one of the type AWS_IAM.
func TestAuthorization(t *testing.T) {
	refused := errors.New("not allowed")
	everybody := func(c *Config) { c.Authorize = func(string) error { return refused } }
	callers := func(c *Config) {
		c.AuthorizeCaller = func(_ *http.Request, body []byte, arn string) error {
			return fmt.Errorf("%w: %s %s", refused, body, arn)
		}
	}
	for name, tt := range map[string]struct {
		authType  string
		configure func(*Config)
		status    int
	}{
		"NONE, the policy refuses":    {"NONE", everybody, 403},
		"NONE, callers do not count":  {"NONE", callers, 200},
		"AWS_IAM, the caller may not": {"AWS_IAM", callers, 403},
		"AWS_IAM, without --auth":     {"AWS_IAM", everybody, 200},
	} {
		s := start(t, &function{answer: `{}`}, map[string]any{"AuthType": tt.authType}, tt.configure)
		got := s.do("POST", "/", "the body")
		if got.status != tt.status {
			t.Errorf("%s: got %+v, want %d", name, got, tt.status)
		}
		h := <-s.hops
		if tt.status == 403 && (!strings.Contains(h.Detail, "not allowed") || got.header.Get("X-Amzn-Errortype") != "AccessDeniedException" || !strings.Contains(got.body, "urls-auth.html")) {
			t.Errorf("%s: got %+v, hop %+v", name, got, h)
		}
		if tt.authType == "AWS_IAM" && tt.status == 403 && !strings.Contains(h.Detail, "the body arn:aws:lambda:eu-central-1:000000000000:function:greet") {
			t.Errorf("%s: authorized with %s", name, h.Detail)
		}
	}
}

// The URL of an alias invokes the alias.
func TestAlias(t *testing.T) {
	f := &function{answer: `{}`}
	start(t, f, map[string]any{"Qualifier": "live"}).do("GET", "/", "")
	if f.arn != "arn:aws:lambda:eu-central-1:000000000000:function:greet:live" {
		t.Errorf("invoked %s", f.arn)
	}
}

// A page of another site reaches no function, whatever its CORS allows.
func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	s := start(t, &function{answer: `{}`}, map[string]any{"Cors": map[string]any{"AllowOrigins": []any{"*"}}})
	guardtest.Closed(t, func() *http.Request { return guardtest.Request(t, http.MethodPost, s.url, `{}`) })
}

// Each URL has a port of its own, in the order of the template.
func TestPorts(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	onPort := config()
	onPort.Port = port
	s := New(onPort)
	defer s.Close()
	want := fmt.Sprintf("port %d of the function URL Url is taken: choose another one with --port", port)
	if _, err := s.provision(t.Context(), resource("Url", nil)); err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
	free.Close()
	made, err := s.provision(t.Context(), resource("Url", nil))
	if err != nil {
		t.Fatal(err)
	}
	if u, err := url.Parse(made.GetAtt["FunctionUrl"]); err != nil || u.Port() != fmt.Sprint(port) || u.Path != "/" {
		t.Errorf("the URL is %v", made)
	}
	if made.Ref != "arn:aws:lambda:eu-central-1:000000000000:function:greet" || s.URLs()["Url"] != made.GetAtt["FunctionUrl"] {
		t.Errorf("made %v, URLs %v", made, s.URLs())
	}
}

func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		properties map[string]any
		want       string
	}{
		"a type":        {map[string]any{"AuthType": "JWT"}, `AuthType must be NONE or AWS_IAM, got "JWT"`},
		"streaming":     {map[string]any{"InvokeMode": "RESPONSE_STREAM"}, `InvokeMode must be BUFFERED in the local run, which does not stream answers, got "RESPONSE_STREAM"`},
		"a version":     {map[string]any{"Qualifier": "1"}, `Qualifier must be an alias of the function, got "1"`},
		"no such alias": {map[string]any{"Qualifier": "test"}, `Qualifier must be an alias of the function, got "test"`},
		"an alias' ARN": {map[string]any{"TargetFunctionArn": "arn:aws:lambda:eu-central-1:000000000000:function:greet:live"}, `TargetFunctionArn must name a function, and Qualifier its alias, got "arn:aws:lambda:eu-central-1:000000000000:function:greet:live"`},
		"no function":   {map[string]any{"TargetFunctionArn": "other"}, `TargetFunctionArn must name a function of this stack, got "other"`},
		"a method":      {map[string]any{"Cors": map[string]any{"AllowMethods": []any{"OPTIONS"}}}, `Cors.AllowMethods must be some of [* DELETE GET HEAD PATCH POST PUT], got "OPTIONS"`},
		"an age":        {map[string]any{"Cors": map[string]any{"MaxAge": 86401}}, `Cors.MaxAge must be from 0 to 86400 seconds, got 86401`},
		"a property":    {map[string]any{"Throttle": 1}, `property Throttle is not supported by the local run`},
		"a second one":  {map[string]any{}, `TargetFunctionArn must be of a function that has no other URL for the Qualifier, got that of First`},
	} {
		s := New(config())
		defer s.Close()
		if _, err := s.provision(t.Context(), resource("First", nil)); err != nil {
			t.Fatal(err)
		}
		_, err := s.provision(t.Context(), resource("Url", tt.properties))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v, want %q", name, err, tt.want)
		}
	}
}
