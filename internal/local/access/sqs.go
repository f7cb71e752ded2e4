package access

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/guard"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
)

// Messages of SQS name actions in lower case. Seen in answers of AWS, for example aws/serverless-application-model
// issue 3633.
var sqsProtocol = protocol{
	requests: (*Authority).queueRequests, targets: []string{"AmazonSQS."},
	errorType: "com.amazon.coral.service#AccessDeniedException", contentType: "application/x-amz-json-1.0", status: http.StatusForbidden,
	text: func(d *Denial) string { return d.text(strings.ToLower(d.Request.Action)) },
}

// queueRequests returns the request of a call to SQS. A batch needs the permission of its single action.
// Source: Service authorization reference, list_amazonsqs; SQS developer guide, sqs-api-permissions-reference.
func (a *Authority) queueRequests(operation string, body []byte) ([]iam.Request, error) {
	var on struct{ QueueUrl, QueueName, SourceArn string }
	if err := decode(body, &on); err != nil {
		return nil, err
	}
	resource := "*"
	switch {
	case on.QueueUrl != "":
		resource = a.cloud.ARN("sqs", nameOf(on.QueueUrl))
	case on.QueueName != "":
		resource = a.cloud.ARN("sqs", on.QueueName)
	case on.SourceArn != "":
		resource = on.SourceArn
	}
	return []iam.Request{{Action: "sqs:" + strings.TrimSuffix(operation, "Batch"), Resource: resource}}, nil
}

// ServeQueues answers, at the URL that it returns, whether a call to SQS is allowed: the queues run in a program of
// their own, which asks before it handles a call. stop ends it.
func (a *Authority) ServeQueues() (url string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := a.queuesServer()
	go server.Serve(listener) //nolint:errcheck // stop ends it
	return "http://" + listener.Addr().String(), func() { server.Close() }, nil
}

// queuesServer returns the server for the queues, closed to pages as the endpoints are.
func (a *Authority) queuesServer() *http.Server {
	return &http.Server{Handler: guard.AWS(http.HandlerFunc(a.answerQueues), guard.JSON...), ReadHeaderTimeout: 10 * time.Second}
}

// answerQueues answers 204 for a call that is allowed, and else 200 with the refusal.
func (a *Authority) answerQueues(w http.ResponseWriter, r *http.Request) {
	caller, ok := a.caller(r)
	if !ok {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		err = a.checkCall(sqsProtocol, caller, r.Header.Get("X-Amz-Target"), body)
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	answer := sqsProtocol.refusal(err)
	// The code of the older protocol, which SDKs show.
	answer.Headers["x-amzn-query-error"] = "AccessDenied;Sender"
	_ = json.NewEncoder(w).Encode(answer)
}

// Allows implements eventbus.Policies: it reports whether the policy of a queue, topic, function or bus lets a service use it on
// behalf of the resource sourceARN. One without a policy lets no service.
func (a *Authority) Allows(targetARN, service, sourceARN string) bool {
	return a.checkService(service, sourceARN, iam.Request{Action: useOf(targetARN), Resource: targetARN}) == nil
}

// RoleAllows implements eventbus.Policies: it reports whether a service may assume a role on behalf of the resource
// sourceARN, and the role may use the target. Of a role that the template does not have nothing is known, so it may.
func (a *Authority) RoleAllows(roleARN, service, sourceARN, targetARN string) bool {
	if r := a.role(roleARN); r != nil {
		if err := a.assumable(need{who: nameOf(sourceARN), service: service, source: sourceARN}, r); err != nil {
			a.noticeOnce(err.Error(), "IAM: "+err.Error())
			return false
		}
	}
	return a.check(session{role: roleARN, name: nameOf(sourceARN)}, iam.Request{Action: useOf(targetARN), Resource: targetARN}) == nil
}

// useOf returns the action with which a service uses a target of a rule, a pipe or a schedule, or "" for what is none.
func useOf(targetARN string) string {
	switch {
	case strings.HasPrefix(targetARN, "arn:aws:lambda:"):
		return invokeFunction
	case strings.HasPrefix(targetARN, "arn:aws:sqs:"):
		return "sqs:SendMessage"
	case cloud.IsTopic(targetARN):
		return publish
	case strings.HasPrefix(targetARN, "arn:aws:events:") && strings.Contains(targetARN, ":event-bus/"):
		return "events:PutEvents"
	}
	return ""
}
