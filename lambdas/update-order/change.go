package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// A change is what a request asks for.
type change struct {
	id      string
	version int64 // the order's, as the client knows it
	next    status
}

// orderID is the form of every order's id.
var orderID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// changeOf reads a request. Each of its errors is a problem.
func changeOf(request events.APIGatewayProxyRequest) (change, error) {
	id := request.PathParameters["id"]
	if !orderID.MatchString(id) {
		return change{}, notFound
	}
	version, err := versionOf(header(request, "If-Match"))
	if err != nil {
		return change{}, err
	}
	next, err := statusOf(request)
	return change{id: id, version: version, next: next}, err
}

// header returns a header's values, joined by commas. Names arrive as the client wrote them, and may come more than once.
// Source: RFC 9110, section 5.2.
func header(request events.APIGatewayProxyRequest, name string) string {
	var values []string
	for given, all := range request.MultiValueHeaders {
		if strings.EqualFold(given, name) {
			values = append(values, all...)
		}
	}
	return strings.TrimSpace(strings.Join(values, ", "))
}

// versionOf reads an If-Match: one entity tag, which is the version in quotes or without. It refuses a list, a weak tag
// and *, because they do not say which version the client has seen.
// Source: RFC 9110, section 13.1.1; RFC 6585, section 3, for 428.
func versionOf(ifMatch string) (int64, error) {
	if ifMatch == "" {
		return 0, &problem{http.StatusPreconditionRequired, "IF_MATCH_REQUIRED", `send If-Match with the order's version, as the ETag of GET gives it: If-Match: "1"`}
	}
	tag := ifMatch
	if inner, quoted := strings.CutPrefix(tag, `"`); quoted {
		tag, quoted = strings.CutSuffix(inner, `"`)
		if !quoted {
			tag = ""
		}
	}
	version, err := strconv.ParseInt(tag, 10, 64)
	if err != nil || version < 1 || strconv.FormatInt(version, 10) != tag {
		return 0, &problem{http.StatusBadRequest, "IF_MATCH_INVALID", fmt.Sprintf(`If-Match must be one version as the ETag of GET gives it, for example "1", got %q`, ifMatch)}
	}
	return version, nil
}

// statusOf reads the body. API Gateway has validated it where it came as application/json; for another
// type it validates nothing.
// Source: API Gateway developer guide, api-gateway-method-request-validation.
func statusOf(request events.APIGatewayProxyRequest) (status, error) {
	if given := header(request, "Content-Type"); given != "" {
		if mediaType, _, err := mime.ParseMediaType(given); err != nil || mediaType != "application/json" {
			return "", &problem{http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "the body must be JSON: send Content-Type: application/json"}
		}
	}
	var body struct {
		Status status `json:"status"`
	}
	if err := decode(request.Body, &body); err != nil {
		return "", badBody("the body must be a JSON object with status: " + err.Error())
	}
	if _, known := transitions[body.Status]; !known {
		return "", badBody(fmt.Sprintf("status must be %s, %s, %s or %s, got %q", created, confirmed, shipped, cancelled, body.Status))
	}
	return body.Status, nil
}

func badBody(message string) *problem {
	return &problem{http.StatusBadRequest, "BAD_REQUEST_BODY", message}
}

// decode reads one JSON document with known fields and nothing after it.
func decode(body string, into any) error {
	dec := json.NewDecoder(strings.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}
