package apigateway

import (
	"net/http"
	"strings"
)

// What API Gateway does with headers of its own and those of a connection.
// Source: API Gateway developer guide, api-gateway-known-issues, "Important notes for REST APIs", the table of headers; where it
// leaves something open, what was recorded on AWS.

// droppedFromRequest holds the headers of a request that neither mappings nor a function see.
var droppedFromRequest = headerSet(
	"Connection", "Content-Length", "Content-MD5", "Expect", "Max-Forwards", "Proxy-Authenticate", "Server", "TE", "Trailer",
	"Transfer-Encoding", "Upgrade", "WWW-Authenticate",
)

// signature begins an Authorization header that authorizes the caller, which the API does not see.
const signature = "AWS4-HMAC-SHA256 "

// withoutDropped returns the headers that the API sees.
func withoutDropped(header map[string][]string) map[string][]string {
	for name, values := range header {
		signed := strings.EqualFold(name, "Authorization") && len(values) > 0 && strings.HasPrefix(values[0], signature)
		if signed || droppedFromRequest[http.CanonicalHeaderKey(name)] {
			delete(header, name)
		}
	}
	return header
}

// A parameter mapping that sets one of these fails: they are API Gateway's own.
var (
	illegalForAll = headerSet("Content-Length", "Transfer-Encoding", "X-Amzn-Trace-Id", "X-Amzn-Apigateway-Api-Id")
	illegalForAWS = headerSet("Authorization", "Connection", "Expect", "Proxy-Authenticate", "TE")
)

// remapping is the prefix of a response header whose name is API Gateway's or the connection's.
const remapping = "x-amzn-Remapped-"

// What happens to headers of a mapped response, and of a function's.
var (
	remappedIfMapped = headerSet(
		"Authorization", "Connection", "Content-Length", "Content-MD5", "Date", "Expect", "Host", "Max-Forwards", "Proxy-Authenticate",
		"Server", "Trailer", "Upgrade", "User-Agent", "WWW-Authenticate", "X-Amzn-Requestid", "X-Amz-Apigw-Id", "X-Amzn-Trace-Id",
	)
	droppedIfMapped = headerSet("Transfer-Encoding")
	remappedIfProxy = headerSet(
		"Authorization", "Connection", "Content-Length", "Content-MD5", "Date", "Max-Forwards", "Server", "User-Agent", "WWW-Authenticate",
		"X-Amzn-Requestid", "X-Amz-Apigw-Id", "X-Amzn-Trace-Id",
	)
	droppedIfProxy = headerSet("Expect", "Host", "Proxy-Authenticate", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Via")
)

// remap returns the headers of a response as the caller gets them.
func remap(header http.Header, remapped, dropped map[string]bool) http.Header {
	out := make(http.Header, len(header))
	for name, values := range header {
		switch {
		case dropped[name]:
		case remapped[name]:
			out[http.CanonicalHeaderKey(remapping+name)] = values
		default:
			out[name] = values
		}
	}
	return out
}

// headerSet returns a set of canonical names.
func headerSet(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[http.CanonicalHeaderKey(name)] = true
	}
	return set
}
