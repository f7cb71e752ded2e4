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

// change is what a request asks for.
type change struct {
	id      string
	version int64 // the order's, as the client knows it
	next    status
}

// orderID is what an order's id looks like. No order has another one.
var orderID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// changeOf reads a request. Its errors are problems.
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

// header finds a header under its name in any case: names arrive as the client wrote them.
func header(request events.APIGatewayProxyRequest, name string) string {
	for given, value := range request.Headers {
		if strings.EqualFold(given, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// versionOf reads an If-Match: one entity tag, which is the version in quotes. Without quotes it is
// understood too. A list, a weak tag and * do not say which version the client has seen.
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
		return 0, &problem{http.StatusBadRequest, "IF_MATCH_INVALID", fmt.Sprintf(`If-Match is %q, a version as the ETag of GET gives it is needed: If-Match: "1"`, ifMatch)}
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
		return "", badBody("the body is not as it should be: " + err.Error())
	}
	if _, known := transitions[body.Status]; !known {
		return "", badBody(fmt.Sprintf("status is %q, allowed are %s, %s, %s and %s", body.Status, created, confirmed, shipped, cancelled))
	}
	return body.Status, nil
}

func badBody(message string) *problem {
	return &problem{http.StatusBadRequest, "BAD_REQUEST_BODY", message}
}

// decode reads one JSON document and nothing beside.
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
