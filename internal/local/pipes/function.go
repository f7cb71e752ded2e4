package pipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/outboxkit/transactional-outbox/internal/local/messages"
)

// functionParameters is TargetParameters.LambdaFunctionParameters.
type functionParameters struct{ InvocationType string }

// The invocation types. Source: Pipes API reference, PipeTargetLambdaFunctionParameters.
const (
	requestResponse = "REQUEST_RESPONSE"
	fireAndForget   = "FIRE_AND_FORGET"
)

// A functionTarget invokes a function with a batch, which is a list also when it has one record.
// Source: EventBridge user guide, eb-pipes-batching-concurrency, "Batching behavior".
type functionTarget struct {
	client *lambda.Client
	arn    string
	waits  bool // for the response
	input  input
}

func newFunctionTarget(client *lambda.Client, p functionParameters, in input) (*functionTarget, error) {
	t := &functionTarget{client: once(client), arn: in.variables.targetARN, waits: p.InvocationType != fireAndForget, input: in}
	if p.InvocationType != "" && p.InvocationType != requestResponse && p.InvocationType != fireAndForget {
		return t, fmt.Errorf("LambdaFunctionParameters.InvocationType must be %s or %s, got %q", requestResponse, fireAndForget, p.InvocationType)
	}
	return t, nil
}

// once returns the client without the SDK's retries: the pipe retries.
func once(client *lambda.Client) *lambda.Client {
	return lambda.New(client.Options(), func(o *lambda.Options) { o.Retryer = aws.NopRetryer{} })
}

// Deliver implements Target. A function that the pipe waits for names in batchItemFailures what it has failed on; a pipe
// needs no setting for that. What the function has failed on alone is retried.
// Source: EventBridge user guide, eb-pipes-batching-concurrency, "Partial batch failure", and eb-pipes-sqs, "Success and
// failure conditions".
func (t *functionTarget) Deliver(ctx context.Context, records []Record) []error {
	payload, err := t.input.list(records)
	if err != nil {
		return errorForEach(err, len(records))
	}
	kind := types.InvocationTypeRequestResponse
	if !t.waits {
		kind = types.InvocationTypeEvent
	}
	response, err := invoke(ctx, t.client, t.arn, kind, payload)
	if err != nil {
		return errorForEach(err, len(records))
	}
	if !t.waits {
		return nil
	}
	return itemFailures(response, records)
}

// itemFailures returns one error for each record, or nil when the response names none. A response that cannot be read
// fails all.
func itemFailures(response []byte, records []Record) []error {
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = itemID(r)
	}
	failed, err := messages.FailedItems(response, ids)
	if err != nil {
		return errorForEach(err, len(records))
	}
	if len(failed) == 0 {
		return nil
	}
	errs := make([]error, len(records))
	for i, id := range ids {
		if failed[id] {
			errs[i] = fmt.Errorf("batchItemFailures %s", id)
		}
	}
	return errs
}

// itemID returns by what a function names a record: the message id, or the event id of a stream; "" where an enrichment
// has left it out. Source: EventBridge user guide, eb-pipes-batching-concurrency, "Partial batch failure".
func itemID(r Record) string {
	fields, _ := r.Event.(map[string]any)
	for _, name := range []string{"messageId", "eventID"} {
		if id, ok := fields[name].(string); ok {
			return id
		}
	}
	return ""
}

// list returns the JSON list of what is sent of the records.
func (in input) list(records []Record) ([]byte, error) {
	rendered := make([]string, len(records))
	for i, r := range records {
		rendered[i] = in.json(r)
	}
	payload := []byte("[" + strings.Join(rendered, ",") + "]")
	if !json.Valid(payload) {
		return nil, errors.New("InputTemplate must render JSON for a function, got something else; put the value into an object, as in {\"data\": <$.body>}")
	}
	return payload, nil
}

// invoke invokes a function and returns its response. An error of the function itself is the customer's.
func invoke(ctx context.Context, client *lambda.Client, arn string, kind types.InvocationType, payload []byte) ([]byte, error) {
	if len(payload) > messages.MaxPayload {
		return nil, fmt.Errorf("the payload of a function must have at most %d bytes, got %d", messages.MaxPayload, len(payload))
	}
	out, err := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &arn, InvocationType: kind, Payload: payload})
	if err != nil {
		return nil, classifyError(err)
	}
	if out.FunctionError != nil {
		return nil, fmt.Errorf("the function failed: %.300s", out.Payload)
	}
	return out.Payload, nil
}
