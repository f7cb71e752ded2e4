package apigateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/web"
)

// A proxyAnswer is what a function returns behind a proxy integration. Every field is optional, and no other is allowed.
// Source: API Gateway developer guide, set-up-lambda-proxy-integrations, "Output format of a Lambda function for proxy
// integration"; answers tried on AWS.
type proxyAnswer struct {
	StatusCode        web.Status                 `json:"statusCode"`
	Headers           map[string]web.HeaderValue `json:"headers"`
	MultiValueHeaders map[string]*proxyValues    `json:"multiValueHeaders"`
	Body              *string                    `json:"body"`
	// IsBase64Encoded has no effect on an API without binary media types: the text is sent as it is.
	IsBase64Encoded bool `json:"isBase64Encoded"`
}

// proxyFields lists the fields, whose names are case-sensitive.
var proxyFields = []string{"body", "headers", "isBase64Encoded", "multiValueHeaders", "statusCode"}

// proxyValues are the values of a header: a list, and nothing else.
type proxyValues []web.HeaderValue

// readProxyAnswer decodes a function's answer.
func readProxyAnswer(payload []byte) (response, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(payload, &fields); err != nil {
		return response{}, err
	}
	if fields == nil {
		return response{}, errors.New("it must be an object, got null")
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(proxyFields, name) {
			return response{}, fmt.Errorf("it must have no field but %s, got %q", strings.Join(proxyFields, ", "), name)
		}
	}
	var answer proxyAnswer
	if err := json.Unmarshal(payload, &answer); err != nil {
		return response{}, err
	}
	out := response{status: int(answer.StatusCode), header: answer.header()}
	if out.status == 0 {
		out.status = http.StatusOK
	}
	if answer.Body != nil {
		out.body = []byte(*answer.Body)
	}
	return out, nil
}

// header merges both maps: of a header in both, the values of the list come first, and the single one after them unless
// it is among them.
func (a *proxyAnswer) header() http.Header {
	header := http.Header{}
	for _, name := range slices.Sorted(maps.Keys(a.MultiValueHeaders)) {
		if values := a.MultiValueHeaders[name]; values != nil {
			for _, value := range *values {
				header.Add(name, string(value))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		if value := string(a.Headers[name]); !slices.Contains(header.Values(name), value) {
			header.Add(name, value)
		}
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", jsonType)
	}
	return remap(header, remappedIfProxy, droppedIfProxy)
}
