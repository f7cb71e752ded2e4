package apigateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

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
	payload, err := json.Marshal(newProxyEvent(x))
	if err != nil {
		return response{}, internal(default5xx, err)
	}
	called, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	x.traced = true
	answer, err := l.invoke(called, l.arn, payload)
	if err != nil {
		// A function's own timeout is a failure of the function, not of the integration.
		if called.Err() == nil {
			return response{}, functionError(err)
		}
		return response{}, timedOut(called.Err(), functionError(err))
	}
	out, err := readProxyAnswer(answer)
	if err != nil {
		return response{}, functionError(fmt.Errorf("malformed Lambda proxy response %s: %w", excerptOf(answer), err))
	}
	return out, nil
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

// excerptOf returns the beginning of a function's response, for the developer.
func excerptOf(answer []byte) string {
	const most = 200
	if len(answer) <= most {
		return string(answer)
	}
	return string(answer[:most]) + "…"
}
