package smoke

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A consumer is a temporary queue whose messages this process handles, with the inbox that any consumer has. Its effect is
// an item beside its memory.
type consumer struct {
	name     string
	table    string // of its memory and its effects
	queue    queue
	handle   inbox.LambdaHandler
	calls    map[string]int       // of its function, by event: it may be called more often than it has effects
	messages map[string][]arrival // by event
}

// An arrival is a message that brought an event.
type arrival struct {
	body  string
	event record.Event
	at    time.Time
}

// detail returns the fields of the event's detail as they came.
func (a arrival) detail() map[string]json.RawMessage {
	var message struct{ Detail map[string]json.RawMessage }
	_ = json.Unmarshal([]byte(a.body), &message) // it was decoded before
	return message.Detail
}

// newConsumer returns a consumer of the queue.
func (r *Runner) newConsumer(of *cleanups, what string, q queue) (*consumer, error) {
	c := &consumer{
		name: namePrefix + r.id + "/" + what, table: r.inboxTable(), queue: q, calls: map[string]int{}, messages: map[string][]arrival{},
	}
	if c.table == "" {
		return nil, skip("it needs an inbox table, and no consumer of the stack has one")
	}
	store, err := inbox.New(r.Clients.Tables, r.Clients.Queues, inbox.Config{
		Table: c.table, Consumer: c.name, TTL: consumerMemory, QueueURL: q.url, DeadLetterQueueURL: q.url,
		Logger: slog.New(slog.DiscardHandler), Metrics: io.Discard,
	})
	if err != nil {
		return nil, err
	}
	c.handle = inbox.Handler(store, c.effect)
	of.add("what consumer "+c.name+" remembers in table "+c.table, func(ctx context.Context) error { return r.forget(ctx, c) })
	return c, nil
}

// consumerMemory is how long a temporary consumer remembers an event, should nobody remove that.
const consumerMemory = 24 * time.Hour

// effect adds an effect of the event to the transaction.
func (c *consumer) effect(_ context.Context, tx *outbox.Tx, e record.Event) error {
	c.calls[e.ID]++
	item := c.effectKey(e.ID, c.calls[e.ID])
	item[record.AttrExpiresAt] = &types.AttributeValueMemberN{Value: fmt.Sprint(time.Now().Add(consumerMemory).Unix())}
	tx.Put(types.Put{TableName: &c.table, Item: item})
	return nil
}

func (c *consumer) effectKey(event string, call int) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{record.AttrPK: &types.AttributeValueMemberS{Value: fmt.Sprintf("%s#effect#%s#%d", c.name, event, call)}}
}

// effects returns how many effects the event had.
func (r *Runner) effects(ctx context.Context, c *consumer, event string) (n int, err error) {
	for call := range c.calls[event] {
		it, err := r.item(ctx, c.table, c.effectKey(event, call+1))
		if err != nil {
			return 0, err
		}
		if it != nil {
			n++
		}
	}
	return n, nil
}

// expectEffects checks how many effects the event had.
func (j *job) expectEffects(ctx context.Context, c *consumer, event, when string, want int) error {
	got, err := j.effects(ctx, c, event)
	if err == nil {
		expect(&j.findings, "how many effects it had"+when, got, want)
	}
	return err
}

// forget removes what the consumer remembers, and its effects.
func (r *Runner) forget(ctx context.Context, c *consumer) error {
	remove := func(key map[string]types.AttributeValue) error {
		_, err := r.Clients.Tables.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &c.table, Key: key})
		return err
	}
	for event, messages := range c.messages {
		marker := map[string]types.AttributeValue{
			record.AttrPK: &types.AttributeValueMemberS{Value: record.MarkerKey(c.name, messages[0].event.Source, event)},
		}
		if err := remove(marker); err != nil {
			return err
		}
	}
	for event, calls := range c.calls {
		for call := range calls {
			if err := remove(c.effectKey(event, call+1)); err != nil {
				return err
			}
		}
	}
	return nil
}

// inboxTable returns the table of a consumer of the stack itself: another app's may be anywhere.
func (r *Runner) inboxTable() string {
	for _, c := range r.Outbox.Consumers {
		if c.InboxTable != "" && c.Mapping != "" {
			return c.InboxTable
		}
	}
	return ""
}

// take handles what is in the queue, for a second at most.
func (r *Runner) take(ctx context.Context, c *consumer) error {
	out, err := r.Clients.Queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &c.queue.url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
	if err != nil {
		return fmt.Errorf("receive from queue %s: %w", c.queue.name, err)
	}
	for _, m := range out.Messages {
		if event, err := record.Decode([]byte(aws.ToString(m.Body))); err == nil {
			response, err := c.handle(ctx, events.SQSEvent{Records: []events.SQSMessage{{MessageId: aws.ToString(m.MessageId), Body: aws.ToString(m.Body)}}})
			if err != nil || len(response.BatchItemFailures) > 0 {
				continue // nothing was committed, and the message comes again
			}
			c.messages[event.ID] = append(c.messages[event.ID], arrival{aws.ToString(m.Body), event, time.Now()})
		}
		if _, err := r.Clients.Queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &c.queue.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
			return fmt.Errorf("delete a message of queue %s: %w", c.queue.name, err)
		}
	}
	return nil
}

// arrives waits until the event has come to the consumer, and returns the first message of it.
func (r *Runner) arrives(ctx context.Context, c *consumer, id string) (arrival, error) {
	err := r.await(ctx, "event "+id+" arrives at queue "+c.queue.name, func() (bool, error) {
		if len(c.messages[id]) == 0 {
			if err := r.take(ctx, c); err != nil {
				return false, err
			}
		}
		return len(c.messages[id]) > 0, nil
	})
	if err != nil {
		return arrival{}, err
	}
	return c.messages[id][0], nil
}
