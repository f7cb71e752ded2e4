package chaos

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

// The outputs with the dead-letter queues of pipe and rules.
const (
	pipeDeadLetterQueue = "PipeDeadLetterQueueUrl"
	ruleDeadLetterQueue = "RuleDeadLetterQueueUrl"
)

// readDeadLetters reads all dead-letter queues, and leaves the messages where they are.
func readDeadLetters(ctx context.Context, run *localrun.Run) ([]history.DeadLetter, error) {
	var found []history.DeadLetter
	read := func(output string, describe func(sqstypes.Message) history.DeadLetter) error {
		messages, err := peek(ctx, run, output)
		for _, m := range messages {
			l := describe(m)
			l.Name = output
			found = append(found, l)
		}
		return err
	}
	err := read(pipeDeadLetterQueue, func(m sqstypes.Message) history.DeadLetter { return pipeMessage(ctx, run, m) })
	err = errors.Join(err, read(ruleDeadLetterQueue, ruleMessage))
	for _, c := range present(run) {
		err = errors.Join(err, read(c+"DeadLetterQueueUrl", func(m sqstypes.Message) history.DeadLetter { return consumerMessage(c, m) }))
	}
	return found, err
}

// present returns the consumers that the run has: one joins later, in some runs.
func present(run *localrun.Run) []string {
	var names []string
	for _, c := range consumers {
		if _, ok := run.Summary.Outputs[c+"QueueUrl"]; ok {
			names = append(names, c)
		}
	}
	return names
}

func pipeMessage(ctx context.Context, run *localrun.Run, m sqstypes.Message) history.DeadLetter {
	l := history.DeadLetter{Queue: history.PipeQueue}
	items, err := redriver(run).Events(ctx, aws.ToString(m.Body), pipeTarget(run))
	if err != nil {
		l.Reason = err.Error()
	}
	for _, item := range items {
		l.Events = append(l.Events, text(item[record.AttrID]))
	}
	return l
}

// pipeTarget returns where the events of the orders stack are and go.
func pipeTarget(run *localrun.Run) redrive.PipeTarget {
	return redrive.PipeTarget{Bus: run.Summary.Outputs["EventBusName"], OutboxTable: run.Summary.Outputs["OutboxTableName"], Source: ordersSource}
}

func ruleMessage(m sqstypes.Message) history.DeadLetter {
	l := history.DeadLetter{Queue: history.RuleQueue, Events: eventIn(m)}
	attribute := func(name string) string { return aws.ToString(m.MessageAttributes[name].StringValue) }
	l.Reason = attribute("ERROR_CODE") + ": " + attribute("ERROR_MESSAGE")
	for _, c := range consumers {
		if strings.Contains(attribute("TARGET_ARN"), c) {
			l.Consumer = c
		}
	}
	return l
}

func consumerMessage(consumer string, m sqstypes.Message) history.DeadLetter {
	l := history.DeadLetter{Queue: history.ConsumerQueue, Consumer: consumer, Events: eventIn(m)}
	l.Reason = aws.ToString(m.MessageAttributes[inbox.ReasonAttribute].StringValue)
	if l.Reason == "" {
		l.Reason = "received " + m.Attributes["ApproximateReceiveCount"] + " times"
	}
	return l
}

func eventIn(m sqstypes.Message) []string {
	event, err := record.Decode([]byte(aws.ToString(m.Body)))
	if err != nil {
		return nil
	}
	return []string{event.ID}
}

// peek receives all messages of a queue and makes them visible again.
func peek(ctx context.Context, run *localrun.Run, output string) ([]sqstypes.Message, error) {
	client, queue := run.Cloud().SQS(), run.Summary.Outputs[output]
	var all []sqstypes.Message
	for {
		out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &queue, MaxNumberOfMessages: 10, VisibilityTimeout: 60,
			MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"All"},
		})
		if err != nil {
			return all, fmt.Errorf("read %s: %w", output, err)
		}
		if len(out.Messages) == 0 {
			break
		}
		all = append(all, out.Messages...)
	}
	for _, m := range all {
		_, err := client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &queue, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0})
		if err != nil {
			return all, fmt.Errorf("put back a message of %s: %w", output, err)
		}
	}
	return all, nil
}

func redriver(run *localrun.Run) *redrive.Redriver {
	c := run.Cloud()
	return redrive.New(redrive.Clients{SQS: c.SQS(), EventBridge: c.EventBridge(), Streams: c.Streams(), DynamoDB: c.DynamoDB()})
}

// redriveOrders redrives all dead-letter queues, side by side: an empty one takes seconds to be known as such.
func redriveOrders(ctx context.Context, run *localrun.Run) error {
	r, outputs := redriver(run), run.Summary.Outputs
	var all errgroup.Group
	all.Go(func() error {
		_, err := r.Pipe(ctx, outputs[pipeDeadLetterQueue], pipeTarget(run))
		return err
	})
	all.Go(func() error {
		_, err := r.Rule(ctx, outputs[ruleDeadLetterQueue])
		return err
	})
	for _, c := range present(run) {
		all.Go(func() error {
			_, err := r.Consumer(ctx, outputs[c+"DeadLetterQueueUrl"], redrive.ConsumerTarget{Queue: outputs[c+"QueueUrl"]})
			return err
		})
	}
	return all.Wait()
}

// waiting returns how many messages there are in the queues, in flight included.
func waiting(ctx context.Context, run *localrun.Run, outputs []string) (int, error) {
	total := 0
	for _, output := range outputs {
		n, err := count(ctx, run.Cloud().SQS(), run.Summary.Outputs[output])
		if err != nil {
			return 0, fmt.Errorf("count the messages of %s: %w", output, err)
		}
		total += n
	}
	return total, nil
}

// count returns how many messages there are in a queue, in flight included.
func count(ctx context.Context, client *sqs.Client, queue string) (int, error) {
	const visible, inFlight, delayed = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"
	out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &queue, AttributeNames: []sqstypes.QueueAttributeName{visible, inFlight, delayed},
	})
	if err != nil {
		return 0, err
	}
	total := 0
	for _, name := range []string{visible, inFlight, delayed} {
		n, _ := strconv.Atoi(out.Attributes[name])
		total += n
	}
	return total, nil
}
