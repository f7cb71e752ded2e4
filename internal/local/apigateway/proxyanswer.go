package apigateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A proxyAnswer is what a function returns behind a proxy integration. Every field is optional, and no other is allowed.
// Source: API Gateway developer guide, set-up-lambda-proxy-integrations, "Output format of a Lambda function for proxy
// integration"; answers tried on AWS.
type proxyAnswer struct {
	StatusCode        proxyStatus             `json:"statusCode"`
	Headers           map[string]proxyValue   `json:"headers"`
	MultiValueHeaders map[string]*proxyValues `json:"multiValueHeaders"`
	Body              *string                 `json:"body"`
	// IsBase64Encoded has no effect on an API without binary media types: the text is sent as it is.
	IsBase64Encoded bool `json:"isBase64Encoded"`
}

// proxyFields lists the fields, whose names are case-sensitive.
var proxyFields = []string{"body", "headers", "isBase64Encoded", "multiValueHeaders", "statusCode"}

// A proxyStatus is a status as a number, or as a string that is one.
type proxyStatus int

// UnmarshalJSON implements json.Unmarshaler.
func (s *proxyStatus) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	status, err := strconv.Atoi(string(bytes.Trim(raw, `"`)))
	if err != nil || status < 100 || status > 599 {
		return fmt.Errorf("statusCode must be a number from 100 to 599, got %s", raw)
	}
	*s = proxyStatus(status)
	return nil
}

// A proxyValue is the value of a header: a string, a number or a boolean.
type proxyValue string

// UnmarshalJSON implements json.Unmarshaler.
func (v *proxyValue) UnmarshalJSON(raw []byte) error {
	var text string
	switch {
	case json.Unmarshal(raw, &text) == nil:
		*v = proxyValue(text)
	case raw[0] == '{' || raw[0] == '[':
		return fmt.Errorf("a header must be a string, a number or a boolean, got %s", raw)
	default:
		*v = proxyValue(raw)
	}
	return nil
}

// proxyValues are the values of a header: a list, and nothing else.
type proxyValues []proxyValue

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
