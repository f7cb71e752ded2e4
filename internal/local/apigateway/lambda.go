package apigateway

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// A lambdaProxy invokes a function with the whole request and returns the function's response.
// Source: API Gateway developer guide, set-up-lambda-proxy-integrations.
type lambdaProxy struct {
	invoke func(ctx context.Context, arn string, payload []byte) ([]byte, error)
	// authorize and credentials are Config.Authorize and the role of the integration.
	authorize   func(functionARN, roleARN, sourceARN string) error
	credentials string
	cloud       *cloud.Cloud
	arn         string
	timeout     time.Duration
}

// serve implements integration.
func (l *lambdaProxy) serve(ctx context.Context, x *exchange) (response, error) {
	if l.invoke == nil {
		return response{}, functionError(fmt.Errorf("no functions run here: %s cannot be invoked", l.arn))
	}
	if l.authorize != nil {
		if err := l.authorize(l.arn, l.credentials, l.cloud.ARN("execute-api", x.resource())); err != nil {
			return response{}, internal(default5xx, err)
		}
	}
	payload, err := json.Marshal(l.event(x))
	if err != nil {
		return response{}, internal(default5xx, err)
	}
	called, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	answer, err := l.invoke(called, l.arn, payload)
	if err != nil {
		// A function's own timeout is a failure of the function, not of the integration.
		if called.Err() == nil {
			return response{}, functionError(err)
		}
		return response{}, timedOut(called.Err(), functionError(err))
	}
	return readAnswer(answer)
}

// resource returns the request as the resource part of an ARN: <api>/<stage>/<method>/<path>.
// Source: API Gateway developer guide, api-gateway-control-access-using-iam-policies-to-invoke-api.
func (x *exchange) resource() string {
	return x.context.APIID + "/" + x.stage.name + "/" + x.request.Method + x.context.ResourcePath
}

// functionError returns the gateway response for a function that fails, or whose response is not that of a proxy.
func functionError(cause error) *gatewayError {
	e := internal(default5xx, cause)
	e.status = http.StatusBadGateway
	return e
}

// event returns the request in payload format 1.0.
func (l *lambdaProxy) event(x *exchange) events.APIGatewayProxyRequest {
	header := x.request.Header.Clone()
	header.Set("Host", x.request.Host)
	header.Set("X-Amzn-Trace-Id", "Root="+x.context.XrayTraceID)
	header.Set("X-Forwarded-For", x.context.Identity.SourceIP)
	header.Set("X-Forwarded-Proto", "http")
	if _, port, err := net.SplitHostPort(x.request.Host); err == nil {
		header.Set("X-Forwarded-Port", port)
	}
	header.Del("Connection")
	header.Del("Content-Length")
	return events.APIGatewayProxyRequest{
		Resource:                        x.context.ResourcePath,
		Path:                            x.path,
		HTTPMethod:                      x.request.Method,
		Headers:                         lastValues(header),
		MultiValueHeaders:               header,
		QueryStringParameters:           orNull(x.params.Query),
		MultiValueQueryStringParameters: orNull(x.query),
		PathParameters:                  orNull(x.params.Path),
		StageVariables:                  orNull(x.stage.variables),
		Body:                            strings.ToValidUTF8(string(x.body), "\uFFFD"),
		RequestContext: events.APIGatewayProxyRequestContext{
			AccountID:         x.context.AccountID,
			ResourceID:        x.context.ResourceID,
			Stage:             x.context.Stage,
			DomainName:        x.context.DomainName,
			DomainPrefix:      x.context.DomainPrefix,
			RequestID:         x.context.RequestID,
			ExtendedRequestID: x.context.ExtendedRequestID,
			Protocol:          x.context.Protocol,
			Identity: events.APIGatewayRequestIdentity{
				SourceIP:  x.context.Identity.SourceIP,
				UserAgent: x.context.Identity.UserAgent,
			},
			ResourcePath:     x.context.ResourcePath,
			Path:             x.context.Path,
			HTTPMethod:       x.context.HTTPMethod,
			RequestTime:      x.context.RequestTime,
			RequestTimeEpoch: x.context.RequestTimeEpoch,
			APIID:            x.context.APIID,
		},
	}
}

// orNull returns nil for an empty map, which is null in the event.
func orNull[M ~map[string]V, V any](m M) M {
	if len(m) == 0 {
		return nil
	}
	return m
}

// readAnswer decodes a function's response. Every field is optional, and no other field is allowed.
func readAnswer(payload []byte) (response, error) {
	var answer events.APIGatewayProxyResponse
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&answer); err != nil {
		return response{}, functionError(fmt.Errorf("malformed Lambda proxy response %s: %w", payload, err))
	}
	if bytes.Equal(bytes.TrimSpace(payload), []byte("null")) {
		return response{}, functionError(errors.New("malformed Lambda proxy response: null"))
	}
	if answer.StatusCode == 0 {
		answer.StatusCode = http.StatusOK
	}
	if answer.StatusCode < 100 || answer.StatusCode > 599 {
		return response{}, functionError(fmt.Errorf("malformed Lambda proxy response: statusCode is %d", answer.StatusCode))
	}
	out := response{status: answer.StatusCode, header: http.Header{}, body: []byte(answer.Body)}
	out.header.Set("Content-Type", jsonType)
	for name, value := range answer.Headers {
		out.header.Set(name, value)
	}
	for name, values := range answer.MultiValueHeaders {
		out.header[http.CanonicalHeaderKey(name)] = values
	}
	if answer.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(answer.Body)
		if err != nil {
			return response{}, functionError(fmt.Errorf("malformed Lambda proxy response: the body is not base64: %w", err))
		}
		out.body = decoded
	}
	return out, nil
}
