package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/outboxkit/transactional-outbox/runtime/outbox"
)

// A handler answers the requests of an AWS_PROXY integration.
type handler struct {
	orders orders
	log    *slog.Logger
}

// handle answers with the order as it is now and its version as ETag, or says what is wrong:
//
//	400  the body or If-Match is not what it should be
//	404  there is no such order
//	409  the order's status forbids the change
//	412  the order has another version than If-Match says
//	415  the body is not JSON
//	428  If-Match is missing: without it a client could undo a change that it has not seen
//	503  try again
//	500  anything else
func (h *handler) handle(ctx context.Context, request events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	ctx, cancel := inTime(ctx)
	defer cancel()
	o, err := h.update(ctx, request)
	if err != nil {
		return h.refusal(ctx, request, err), nil
	}
	return answer(http.StatusOK, o, map[string]string{"ETag": `"` + strconv.FormatInt(o.Version, 10) + `"`}), nil
}

// inTime returns a context that ends a second before the function does, so that it can still answer.
func inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, deadline.Add(-time.Second))
	}
	return context.WithCancel(ctx)
}

func (h *handler) update(ctx context.Context, request events.APIGatewayProxyRequest) (order, error) {
	c, err := changeOf(request)
	if err != nil {
		return order{}, err
	}
	o, found, err := h.orders.find(ctx, c.id)
	switch {
	case err != nil:
		return order{}, err
	case !found:
		return order{}, notFound
	case o.Version != c.version:
		return order{}, stale
	case !o.may(c.next):
		return order{}, &problem{http.StatusConflict, "TRANSITION_FORBIDDEN", fmt.Sprintf("an order that is %s cannot become %s", o.Status, c.next)}
	}
	return h.orders.move(ctx, o, c.next)
}

// A problem is an error that the client is told about.
type problem struct {
	status        int
	code, message string
}

func (p *problem) Error() string { return p.message }

var (
	notFound = &problem{http.StatusNotFound, "ORDER_NOT_FOUND", "there is no order with this id"}
	stale    = &problem{http.StatusPreconditionFailed, "ORDER_CHANGED", "the order has another version than If-Match says; read it again"}
	busy     = &problem{http.StatusServiceUnavailable, "TRY_AGAIN", "the store is busy; send the same request again"}
	unknown  = &problem{http.StatusServiceUnavailable, "OUTCOME_UNKNOWN", "the order may have been changed or not; read it to find out"}
	internal = &problem{http.StatusInternalServerError, "INTERNAL", "the request failed; nothing is known about the reason"}
)

// problemOf returns the problem that an error is to the client.
func problemOf(err error) *problem {
	var known *problem
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, outbox.ErrUnknownOutcome):
		return unknown
	case errors.Is(err, outbox.ErrConditionFailed):
		return stale
	case passes(err):
		return busy
	}
	return internal
}

// passes reports whether the same request may succeed later: the order was not changed.
func passes(err error) bool {
	return errors.Is(err, outbox.ErrConflict) || errors.Is(err, outbox.ErrThrottled) || errors.Is(err, context.DeadlineExceeded) ||
		retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary
}

// refusal answers with the problem, in the shape that all of the API's errors have. What the client is
// not told goes to the log.
func (h *handler) refusal(ctx context.Context, request events.APIGatewayProxyRequest, err error) events.APIGatewayProxyResponse {
	p := problemOf(err)
	if p.status >= http.StatusInternalServerError {
		h.log.ErrorContext(ctx, "order not updated", "orderId", request.PathParameters["id"], "code", p.code, "error", err.Error())
	}
	var headers map[string]string
	if p.status == http.StatusServiceUnavailable {
		headers = map[string]string{"Retry-After": "1"}
	}
	type description struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	return answer(p.status, map[string]description{"error": {p.code, p.message}}, headers)
}

func answer(status int, body any, headers map[string]string) events.APIGatewayProxyResponse {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	if headers == nil {
		headers = map[string]string{}
	}
	headers["Content-Type"] = "application/json"
	return events.APIGatewayProxyResponse{StatusCode: status, Headers: headers, Body: string(raw)}
}
