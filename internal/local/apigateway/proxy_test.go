package apigateway

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// A recorder is a function that keeps its last event, and answers what the test gives it.
type recorder struct {
	event  map[string]any
	raw    []byte
	answer string
}

func (r *recorder) invoke(_ context.Context, _ string, payload []byte) ([]byte, error) {
	r.raw, r.event = payload, nil
	return []byte(r.answer), json.Unmarshal(payload, &r.event)
}

// recordedEvent is an event of a function behind a REST API, as recorded on AWS in July 2024, without the headers that
// CloudFront adds for an edge-optimized endpoint.
const recordedEvent = `{
	"body": null,
	"headers": {"Accept": "*/*", "Authorization": "random-value", "Host": "h", "User-Agent": "python-requests/testing", "X-Amzn-Trace-Id": "t",
		"X-Forwarded-For": "f", "X-Forwarded-Port": "443", "X-Forwarded-Proto": "https", "tEsT-HEADeR": "aValUE"},
	"httpMethod": "PATCH", "isBase64Encoded": false,
	"multiValueHeaders": {"Accept": ["*/*"], "Authorization": ["random-value"], "Host": ["h"], "User-Agent": ["python-requests/testing"],
		"X-Amzn-Trace-Id": ["t"], "X-Forwarded-For": ["f"], "X-Forwarded-Port": ["443"], "X-Forwarded-Proto": ["https"], "tEsT-HEADeR": ["aValUE"]},
	"multiValueQueryStringParameters": null, "path": "/orders/x", "pathParameters": {"id": "x"}, "queryStringParameters": null,
	"requestContext": {
		"accountId": "111111111111", "apiId": "a", "deploymentId": "d", "domainName": "h", "domainPrefix": "a", "extendedRequestId": "e",
		"httpMethod": "PATCH",
		"identity": {"accessKey": null, "accountId": null, "caller": null, "cognitoAuthenticationProvider": null, "cognitoAuthenticationType": null,
			"cognitoIdentityId": null, "cognitoIdentityPoolId": null, "principalOrgId": null, "sourceIp": "s", "user": null,
			"userAgent": "python-requests/testing", "userArn": null},
		"path": "/prod/orders/x", "protocol": "HTTP/1.1", "requestId": "r", "requestTime": "t", "requestTimeEpoch": 1, "resourceId": "i",
		"resourcePath": "/orders/{id}", "stage": "prod"},
	"resource": "/orders/{id}", "stageVariables": {"name": "blue"}
}`

// TestProxyEventIsTheRecordedOne sends the bytes of a request and compares each field of the event, and which of them are
// null, with the recorded ones.
func TestProxyEventIsTheRecordedOne(t *testing.T) {
	f := &recorder{answer: `{}`}
	g := start(t, options{invoke: f.invoke})
	g.send("PATCH /prod/orders/x HTTP/1.1\r\nHost: %s\r\nUser-Agent: python-requests/testing\r\nAccept: */*\r\ntEsT-HEADeR: aValUE\r\nAuthorization: random-value\r\nConnection: close\r\n\r\n")
	var want map[string]any
	if err := json.Unmarshal([]byte(recordedEvent), &want); err != nil {
		t.Fatal(err)
	}
	compareShape(t, "event", f.event, want)
	for _, path := range [][]any{{"path"}, {"pathParameters"}, {"resource"}, {"stageVariables"}, {"isBase64Encoded"}, {"requestContext", "path"}, {"requestContext", "resourcePath"}, {"headers", "tEsT-HEADeR"}} {
		if got, want := at(t, f.event, path...), at(t, want, path...); compact(got) != compact(want) {
			t.Errorf("%v is %v, want %v", path, got, want)
		}
	}
}

// compareShape checks that both have the same fields, and null in the same places.
func compareShape(t *testing.T, at string, got, want any) {
	t.Helper()
	wanted, ok := want.(map[string]any)
	if !ok {
		if (got == nil) != (want == nil) {
			t.Errorf("%s is %v, want %v", at, got, want)
		}
		return
	}
	has, _ := got.(map[string]any)
	if names, wants := slices.Sorted(maps.Keys(has)), slices.Sorted(maps.Keys(wanted)); !slices.Equal(names, wants) {
		t.Errorf("%s has the fields %q, want %q", at, names, wants)
		return
	}
	for name := range wanted {
		compareShape(t, at+"."+name, has[name], wanted[name])
	}
}

// send writes a request byte by byte as it is given, with the API's address for %s, and returns the response's status.
func (g *gateway) send(request string) int {
	g.t.Helper()
	address := g.listener.Addr().String()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		g.t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, strings.ReplaceAll(request, "%s", address))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		g.t.Fatal(err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

func TestProxyEventOfOtherRequests(t *testing.T) {
	f := &recorder{answer: `{}`}
	g := start(t, options{invoke: f.invoke})
	const head = "Host: %s\r\nConnection: close\r\n"
	for name, tt := range map[string]struct {
		request string
		want    string // JSON
		path    []any
	}{
		"a path parameter stays encoded":  {"PATCH /prod/orders/a%2Bb@c%20d+e HTTP/1.1\r\n" + head + "\r\n", `"a%2Bb@c%20d+e"`, []any{"pathParameters", "id"}},
		"the path stays encoded":          {"PATCH /prod/orders/a%2Bb/ HTTP/1.1\r\n" + head + "\r\n", `"/orders/a%2Bb/"`, []any{"path"}},
		"two slashes":                     {"PATCH /prod//orders/7 HTTP/1.1\r\n" + head + "\r\n", `"/orders/7"`, []any{"path"}},
		"two slashes in the context":      {"PATCH /prod//orders/7 HTTP/1.1\r\n" + head + "\r\n", `"/prod//orders/7"`, []any{"requestContext", "path"}},
		"a query is decoded":              {"PATCH /prod/orders/7?a=1&a=%C3%A9 HTTP/1.1\r\n" + head + "\r\n", `["1","é"]`, []any{"multiValueQueryStringParameters", "a"}},
		"two spellings of one name":       {"PATCH /prod/orders/7 HTTP/1.1\r\n" + head + "x-a: 1\r\nX-A: 2\r\nx-a: 3\r\n\r\n", `["1","3"]`, []any{"multiValueHeaders", "x-a"}},
		"the last of several values":      {"PATCH /prod/orders/7 HTTP/1.1\r\n" + head + "x-a: 1\r\nx-a: 3\r\n\r\n", `"3"`, []any{"headers", "x-a"}},
		"headers of the connection":       {"PATCH /prod/orders/7 HTTP/1.1\r\n" + head + "TE: x\r\n\r\n", `null`, []any{"headers", "TE"}},
		"the signature of the caller":     {"PATCH /prod/orders/7 HTTP/1.1\r\n" + head + "Authorization: AWS4-HMAC-SHA256 Credential=x\r\n\r\n", `null`, []any{"headers", "Authorization"}},
		"no user agent":                   {"PATCH /prod/orders/7 HTTP/1.1\r\n" + head + "\r\n", `null`, []any{"requestContext", "identity", "userAgent"}},
		"a body":                          {"PATCH /prod/orders/7 HTTP/1.1\r\n" + head + "content-length: 2\r\n\r\nhi", `"hi"`, []any{"body"}},
		"what the caller says of proxies": {"PATCH /prod/orders/7 HTTP/1.1\r\n" + head + "x-forwarded-proto: https\r\n\r\n", `null`, []any{"headers", "x-forwarded-proto"}},
		"a body that looks like a header": {"PATCH /prod/orders/7 HTTP/1.1\r\n" + head + "x-a: 1\r\ncontent-length: 8\r\n\r\n\r\nX-A: 2\r\n", `"1"`, []any{"headers", "x-a"}},
	} {
		t.Run(name, func(t *testing.T) {
			if status := g.send(tt.request); status != 200 {
				t.Fatalf("status is %d", status)
			}
			if got := compact(at(t, f.event, tt.path...)); got != tt.want {
				t.Errorf("%v is %s, want %s", tt.path, got, tt.want)
			}
		})
	}
}

// TestSpellingOnOneConnection checks that each of several requests on one connection has its own, whatever their bodies
// hold, and also when they are sent before the first is answered.
func TestSpellingOnOneConnection(t *testing.T) {
	events := make(chan map[string]any, 3)
	g := start(t, options{invoke: func(_ context.Context, _ string, payload []byte) ([]byte, error) {
		var event map[string]any
		err := json.Unmarshal(payload, &event)
		events <- event
		return []byte(`{}`), err
	}})
	conn, err := net.Dial("tcp", g.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "PATCH /prod/orders/1 HTTP/1.1\r\nHost: localhost\r\nx-FIRST: 1\r\nTransfer-Encoding: chunked\r\n\r\n9;x=y\r\nX-First:\n\r\n0\r\nTrailer-One: x\r\n\r\n"+
		"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nX-Third: 2\r\n\r\n"+
		"PATCH /prod/orders/3 HTTP/1.1\r\nHost: localhost\r\nX-THIRD: 3\r\nContent-Length: 3\r\n\r\nabc")
	answers := bufio.NewReader(conn)
	for i, want := range []int{200, 403, 200} {
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Fatalf("answer %d is %d, want %d", i, answer.StatusCode, want)
		}
	}
	for _, want := range []string{"x-FIRST", "X-THIRD"} {
		event := <-events
		if at(t, event, "headers", want) == nil {
			t.Errorf("there is no %s in %v", want, event["headers"])
		}
	}
}

// TestProxyAnswers has the answers that were tried on AWS, and what became of them.
func TestProxyAnswers(t *testing.T) {
	f := &recorder{}
	g := start(t, options{invoke: f.invoke})
	for name, tt := range map[string]struct {
		answer string
		status int
		body   string
		header map[string][]string
	}{
		"no body":                   {`{"statusCode":200}`, 200, "", map[string][]string{"Content-Type": {jsonType}}},
		"nothing":                   {`{}`, 200, "", nil},
		"null everywhere":           {`{"statusCode":null,"headers":null,"multiValueHeaders":null,"body":null}`, 200, "", nil},
		"a boolean in headers":      {`{"headers":{"test-header":"value","header-bool":true}}`, 200, "", map[string][]string{"Test-Header": {"value"}, "Header-Bool": {"true"}}},
		"a number in headers":       {`{"headers":{"n":1.50},"multiValueHeaders":{"m":[1,false]}}`, 200, "", map[string][]string{"N": {"1.50"}, "M": {"1", "false"}}},
		"a status that is a string": {`{"statusCode":"201"}`, 201, "", nil},
		"both maps":                 {`{"multiValueHeaders":{"test-multi":["value-multi"]},"headers":{"test-multi":"value-solo"}}`, 200, "", map[string][]string{"Test-Multi": {"value-multi", "value-solo"}}},
		"both maps, spelled apart":  {`{"multiValueHeaders":{"tesT-Multi":["value-multi"]},"headers":{"test-multi":"value-solo"}}`, 200, "", map[string][]string{"Test-Multi": {"value-multi", "value-solo"}}},
		"the same in both maps":     {`{"multiValueHeaders":{"a":["1","2"]},"headers":{"a":"1"}}`, 200, "", map[string][]string{"A": {"1", "2"}}},
		"base64":                    {`{"body":"dGVzdC1kYXRh","isBase64Encoded":true}`, 200, "dGVzdC1kYXRh", nil},
		"base64 that is none":       {`{"body":"?","isBase64Encoded":true}`, 200, "?", nil},
		"a type of its own":         {`{"headers":{"content-type":"text/plain"},"body":"x"}`, 200, "x", map[string][]string{"Content-Type": {"text/plain"}}},
		"reserved names": {`{"headers":{"Authorization":"a","connection":"close","www-authenticate":"Basic","X-Amzn-RequestId":"mine"}}`, 200, "", map[string][]string{
			"X-Amzn-Remapped-Authorization": {"a"}, "X-Amzn-Remapped-Connection": {"close"}, "X-Amzn-Remapped-Www-Authenticate": {"Basic"}, "X-Amzn-Remapped-X-Amzn-Requestid": {"mine"},
			"Authorization": nil, "Www-Authenticate": nil,
		}},
		"dropped names":              {`{"headers":{"Upgrade":"h2c","Via":"x"}}`, 200, "", map[string][]string{"Upgrade": nil, "Via": nil}},
		"another field":              {`{"statusCode":200,"wrongValue":"value"}`, 502, "", nil},
		"another spelling":           {`{"StatusCode":200}`, 502, "", nil},
		"a status that is no number": {`{"statusCode":"test"}`, 502, "", nil},
		"a list that is none":        {`{"multiValueHeaders":{"test-multi-invalid":"value1"}}`, 502, "", nil},
		"a header that is an object": {`{"headers":{"a":{}}}`, 502, "", nil},
		"a string":                   {`"justAString"`, 502, "", nil},
		"a body that is no text":     {`{"body":{}}`, 502, "", nil},
		"null":                       {`null`, 502, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			f.answer = tt.answer
			got := g.do("PATCH", "/orders/7", "")
			if tt.status == 502 {
				tt.body = `{"message":"Internal server error"}`
			}
			if got.status != tt.status || got.body != tt.body && tt.status != 502 {
				t.Errorf("got %d %q, want %d %q", got.status, got.body, tt.status, tt.body)
			}
			for name, want := range tt.header {
				if values := got.header.Values(name); !slices.Equal(values, want) {
					t.Errorf("%s is %q, want %q", name, values, want)
				}
			}
		})
	}
}
