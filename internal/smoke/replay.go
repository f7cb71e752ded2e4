package smoke

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

var replayCheck = Check{
	Number: 13, Title: "a replay has no second effect",
	Does: "places 1 order and replays its event to the consumer of notifications; removed at the end",
	Open: "nothing in the documents; that memory, queue and function do as documented, together",

	Minutes: 1.5, Dollars: 0.001, Reference: true, run: replay,
}

func replay(ctx context.Context, j *job) error {
	c, err := operate.FindConsumer(j.Outbox.Consumers, notifier)
	if err != nil {
		return skip("the stack has no consumer %s", notifier)
	}
	id, err := j.place(ctx, "replay", "to be replayed")
	if err != nil {
		return err
	}
	before, err := j.notifications(ctx, id)
	if err != nil {
		return err
	}
	expect(&j.findings, "how many notifications the order has", before, 2) // of the order and of its shipment
	sent, err := operate.Replay{Consumer: c.Label(), Aggregate: record.PartitionKey("Order", id)}.
		Run(ctx, j.Clients.Clients, j.Stack, operate.NewDialog(nil, discard{}, true, false), j.Command)
	if err != nil {
		return fmt.Errorf("replay order %s: %w", id, err)
	}
	expect(&j.findings, "how many events were replayed", sent.Sent, 1)
	if err := j.drained(ctx, c); err != nil {
		return err
	}
	after, err := j.notifications(ctx, id)
	if err != nil {
		return err
	}
	expect(&j.findings, "how many notifications it has after the replay", after, before)
	j.see("%d event replayed, %d notifications before and %d after", sent.Sent, before, after)
	return nil
}

// notifications counts what the customer was told of the order.
func (j *job) notifications(ctx context.Context, order string) (n int, err error) {
	items, err := j.beside(ctx, j.reference.notifications, "customerId", j.customer())
	if err != nil {
		return 0, err
	}
	for _, it := range items {
		raw, _ := json.Marshal(it) // attribute values always marshal
		if strings.Contains(string(raw), order) {
			n++
		}
	}
	return n, nil
}

// drainedLooks is how many times in a row a queue must be empty: SQS's counts are approximate.
const drainedLooks = 3

// drained waits until the consumer's queue is empty.
func (j *job) drained(ctx context.Context, c *operate.Consumer) error {
	looks := 0
	return j.await(ctx, "the queue of "+c.Label()+" is empty", func() (bool, error) {
		n, err := j.depth(ctx, c)
		if looks++; n > 0 {
			looks = 0
		}
		return looks >= drainedLooks, err
	})
}

// depth returns how many messages the consumer's queue has, visible or not.
func (j *job) depth(ctx context.Context, c *operate.Consumer) (total int, err error) {
	out, err := j.Clients.Queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &c.Queue, AttributeNames: []sqstypes.QueueAttributeName{
		sqstypes.QueueAttributeNameApproximateNumberOfMessages, sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		sqstypes.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	}})
	if err != nil {
		return 0, fmt.Errorf("look at the queue of %s: %w", c.Label(), err)
	}
	for _, text := range out.Attributes {
		n, err := strconv.Atoi(text)
		if err != nil {
			return 0, fmt.Errorf("the queue of %s: %w", c.Label(), err)
		}
		total += n
	}
	return total, nil
}

var traceCheck = Check{
	Number: 15, Title: "trace: an order's effects, and its trace context",
	Does: "places 2 orders, removed at the end, and looks for them as `outbox trace` does",
	Open: "the form of $context.xrayTraceId and $context.requestId, of which the API makes a traceparent",

	Minutes: 1, Dollars: 0.001, Reference: true, run: trace,
}

const callersTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func trace(ctx context.Context, j *job) error {
	given, err := j.place(ctx, "traced", "with a trace", "traceparent: "+callersTrace)
	if err != nil {
		return err
	}
	made, err := j.place(ctx, "untraced", "without a trace")
	if err != nil {
		return err
	}
	for _, id := range []string{given, made} {
		t, err := j.trace(ctx, id)
		if err != nil {
			return err
		}
		if len(t.Events) == 0 || t.Events[0].ID != id+"-1" {
			j.fail("the trace of %s does not begin with its event", id)
			continue
		}
		for _, c := range t.Events[0].Consumers {
			j.see("%s: %s", c.Consumer, c.State)
		}
		event, err := j.item(ctx, j.Outbox.Table, eventKey("Order", id, id+"-1"))
		if err != nil {
			return err
		}
		parent := textOf(event, record.AttrTraceparent)
		j.see("traceparent `%s`", parent)
		switch {
		case id == given:
			expect(&j.findings, "the traceparent that the caller sent", parent, callersTrace)
		case parent == "":
			j.differ("API Gateway's ids do not have the form that the template expects, so the event has no traceparent")
		}
	}
	return nil
}
