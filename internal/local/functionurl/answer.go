package functionurl

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/outboxkit/transactional-outbox/internal/local/web"
)

// A response is returned to the caller.
type response struct {
	status int
	header http.Header
	body   []byte
}

// jsonType is the type of an answer that does not declare one.
const jsonType = "application/json"

// readAnswer returns the response that a function has answered with. Without statusCode the whole answer is the body.
// Source: Lambda developer guide, urls-invocation, "Response payload format".
func readAnswer(payload []byte) (response, error) {
	if !json.Valid(payload) {
		return response{}, errors.New("it is not JSON")
	}
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(payload, &fields) // what is no object has no statusCode
	if _, ok := fields["statusCode"]; !ok {
		return response{status: http.StatusOK, header: http.Header{"Content-Type": {jsonType}}, body: payload}, nil
	}
	var answer struct {
		StatusCode      web.Status                 `json:"statusCode"`
		Headers         map[string]web.HeaderValue `json:"headers"`
		Cookies         []string                   `json:"cookies"`
		Body            string                     `json:"body"`
		IsBase64Encoded bool                       `json:"isBase64Encoded"`
	}
	if err := json.Unmarshal(payload, &answer); err != nil {
		return response{}, err
	}
	out := response{status: int(answer.StatusCode), header: http.Header{"Content-Type": {jsonType}}, body: []byte(answer.Body)}
	if out.status == 0 {
		return response{}, errors.New("statusCode must be a number, got null")
	}
	for name, value := range answer.Headers {
		out.header.Set(name, string(value))
	}
	for _, cookie := range answer.Cookies {
		out.header.Add("Set-Cookie", cookie)
	}
	if answer.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(answer.Body)
		if err != nil {
			return response{}, fmt.Errorf("body must be base64: %w", err)
		}
		out.body = decoded
	}
	for _, own := range []string{"Connection", "Content-Length", "Transfer-Encoding"} {
		out.header.Del(own)
	}
	return out, nil
}
