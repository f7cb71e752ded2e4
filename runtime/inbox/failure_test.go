package inbox_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// failing fails the event e2 in the given way and ships the others.
func failing(fail func() error) func(context.Context, *outbox.Tx, record.Event) error {
	return func(ctx context.Context, tx *outbox.Tx, event record.Event) error {
		if event.ID == "e2" {
			if err := fail(); err != nil {
				return err
			}
		}
		return ship(ctx, tx, event)
	}
}

func threeOrders() []events.SQSMessage {
	return []events.SQSMessage{message("e1", "o1", 1), message("e2", "o2", 1), message("e3", "o3", 1)}
}

func TestMessageFailsAlone(t *testing.T) {
	broken := message("e2", "o2", 1)
	broken.Body = `{"detail-type":"OrderCreated"}`
	tests := map[string]struct {
		fail    func() error
		message events.SQSMessage
		logged  string
	}{
		"error":       {func() error { return errTest }, message("e2", "o2", 1), "no such order"},
		"panic":       {func() error { panic("out of shipments") }, message("e2", "o2", 1), "panic: out of shipments"},
		"undecodable": {func() error { return nil }, broken, "not an outbox envelope: detail is missing"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			handler := inbox.Handler(f.store(t, f.DB), failing(tt.fail))
			messages := threeOrders()
			messages[1] = tt.message
			expect(t, "failures", deliver(t.Context(), t, handler, messages...), []string{"m-e2"})
			expect(t, "shipments", len(f.Items(shipments)), 2)
			expect(t, "markers", len(f.Items(inboxTable)), 2)
			expect(t, "dead letters", len(f.queues.sent), 0)
			for _, line := range f.logs.lines(t) {
				if line["messageId"] != "m-e2" {
					continue
				}
				expect(t, "outcome", line["msg"], "failed")
				if text, _ := line["error"].(string); !strings.Contains(text, tt.logged) {
					t.Errorf("logged %q, want %q", text, tt.logged)
				}
				if stack, _ := line["stack"].(string); name == "panic" && !strings.Contains(stack, "failure_test.go") {
					t.Errorf("the stack does not name the panic's place: %s", stack)
				}
			}
		})
	}
}

// A function may end its goroutine: the messages after it are handled all the same, however few goroutines
// there are to handle them.
func TestGoexitFailsItsMessageAlone(t *testing.T) {
	f := newFixture()
	f.config.Concurrency = 2
	handler := inbox.Handler(f.store(t, f.DB), func(ctx context.Context, tx *outbox.Tx, event record.Event) error {
		if event.ID == "e1" || event.ID == "e2" {
			runtime.Goexit()
		}
		return ship(ctx, tx, event)
	})
	messages := append(threeOrders(), message("e4", "o4", 1))
	expect(t, "failures", sorted(deliver(t.Context(), t, handler, messages...)), []string{"m-e1", "m-e2"})
	expect(t, "shipments", len(f.Items(shipments)), 2)
	for _, line := range f.logs.lines(t) {
		if line["msg"] == "failed" {
			expect(t, "error", line["error"], "the function called runtime.Goexit")
		}
	}
}

func TestDeadLetterStaysInItsTrace(t *testing.T) {
	f := newFixture()
	handler := inbox.Handler(f.store(t, f.DB), failing(func() error { return inbox.Permanent(errTest) }))
	const header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	m := message("e2", "o2", 1)
	m.Attributes["AWSTraceHeader"] = header
	deliver(t.Context(), t, handler, m)
	expect(t, "trace header", aws.ToString(f.queues.sent[0].MessageSystemAttributes["AWSTraceHeader"].StringValue), header)
}

func TestFailedMessageIsHandledWhenItComesAgain(t *testing.T) {
	f := newFixture()
	broken := true
	handler := inbox.Handler(f.store(t, f.DB), failing(func() error {
		if broken {
			return errTest
		}
		return nil
	}))
	deliver(t.Context(), t, handler, message("e2", "o2", 1))
	broken = false
	expect(t, "failures", deliver(t.Context(), t, handler, message("e2", "o2", 1)), []string{})
	expect(t, "shipments", len(f.Items(shipments)), 1)
}

func TestFailedConditionOfTheApplicationFailsTheMessage(t *testing.T) {
	f := newFixture()
	handler := inbox.Handler(f.store(t, f.DB), func(_ context.Context, tx *outbox.Tx, _ record.Event) error {
		tx.Put(types.Put{
			TableName: aws.String(shipments), Item: dynamotest.Item{"id": s("always the same")},
			ConditionExpression: aws.String("attribute_not_exists(id)"),
		})
		return nil
	})
	deliver(t.Context(), t, handler, message("e1", "o1", 1))
	expect(t, "failures", deliver(t.Context(), t, handler, message("e2", "o1", 1)), []string{"m-e2"})
	expect(t, "markers", len(f.Items(inboxTable)), 1)
}

func TestPermanentErrorGoesToTheDeadLetterQueue(t *testing.T) {
	f := newFixture()
	handler := inbox.Handler(f.store(t, f.DB), failing(func() error { return inbox.Permanent(errTest) }))
	messages := threeOrders()
	messages[1].MessageAttributes = map[string]events.SQSMessageAttribute{"tenant": {DataType: "String", StringValue: aws.String("t1")}}
	expect(t, "failures", deliver(t.Context(), t, handler, messages...), []string{})
	if len(f.queues.sent) != 1 {
		t.Fatalf("%d dead letters, want 1", len(f.queues.sent))
	}
	sent := f.queues.sent[0]
	expect(t, "queue", *sent.QueueUrl, dlqURL)
	expect(t, "body", *sent.MessageBody, messages[1].Body)
	for name, want := range map[string]string{inbox.ReasonAttribute: "no such order", inbox.ConsumerAttribute: "shipping", inbox.QueueAttribute: messages[1].EventSourceARN, "tenant": "t1"} {
		expect(t, name, aws.ToString(sent.MessageAttributes[name].StringValue), want)
	}
	expect(t, "markers", len(f.Items(inboxTable)), 2)
	expect(t, "outcome", f.outcomes(t)["m-e2"], "permanent")
}

func TestPermanentErrorIsAcknowledgedOnlyWhenMoved(t *testing.T) {
	f := newFixture()
	f.queues.err = errors.New("access denied")
	handler := inbox.Handler(f.store(t, f.DB), failing(func() error { return inbox.Permanent(errTest) }))
	expect(t, "failures", deliver(t.Context(), t, handler, message("e2", "o2", 1)), []string{"m-e2"})
	expect(t, "outcome", f.outcomes(t)["m-e2"], "failed")
}

func TestRedrivenMessageIsHandled(t *testing.T) {
	f := newFixture()
	err := inbox.Permanent(errTest)
	handler := inbox.Handler(f.store(t, f.DB), failing(func() error { return err }))
	deliver(t.Context(), t, handler, message("e2", "o2", 1))
	err = nil
	redriven := message("e2", "o2", 1)
	redriven.Body = *f.queues.sent[0].MessageBody
	expect(t, "failures", deliver(t.Context(), t, handler, redriven), []string{})
	expect(t, "shipments", len(f.Items(shipments)), 1)
}

// The second run of a function may well find its own effects and call them an error.
func TestErrorOfADuplicateIsADuplicate(t *testing.T) {
	for name, err := range map[string]error{"error": errTest, "permanent error": inbox.Permanent(errTest)} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			var fail error
			handler := inbox.Handler(f.store(t, f.DB), failing(func() error { return fail }))
			deliver(t.Context(), t, handler, message("e2", "o2", 1))
			fail = err
			expect(t, "failures", deliver(t.Context(), t, handler, message("e2", "o2", 1)), []string{})
			expect(t, "outcome", f.outcomes(t)["m-e2"], "duplicate")
			expect(t, "dead letters", len(f.queues.sent), 0)
		})
	}
}

func TestDeadLetterAttributesFitSQS(t *testing.T) {
	f := newFixture()
	f.config.DeadLetterQueueURL = dlqURL + ".fifo"
	reason := errors.New("control \x00 and \ufffe, " + strings.Repeat("é", 1000))
	handler := inbox.Handler(f.store(t, f.DB), failing(func() error { return inbox.Permanent(reason) }))
	m := message("e2", "o2", 1)
	m.Attributes["MessageGroupId"] = "g"
	m.MessageAttributes = map[string]events.SQSMessageAttribute{}
	for _, name := range strings.Split("a b c d e f g h i j", " ") {
		m.MessageAttributes[name] = events.SQSMessageAttribute{DataType: "Binary", BinaryValue: []byte(name)}
	}
	deliver(t.Context(), t, handler, m)
	sent := f.queues.sent[0]
	expect(t, "attributes", len(sent.MessageAttributes), 10)
	text := aws.ToString(sent.MessageAttributes[inbox.ReasonAttribute].StringValue)
	if len(text) > 1024 || strings.ContainsAny(text, "\x00\ufffe") || !strings.HasPrefix(text, "control   and  , éé") || strings.Contains(text, "\ufffd") {
		t.Errorf("reason of %d bytes: %q", len(text), text)
	}
	expect(t, "group", aws.ToString(sent.MessageGroupId), "g")
	expect(t, "deduplication", aws.ToString(sent.MessageDeduplicationId), "m-e2")
}

func TestPermanentOfNil(t *testing.T) {
	if err := inbox.Permanent(nil); err != nil {
		t.Errorf("got %v", err)
	}
	if err := inbox.Permanent(errTest); !errors.Is(err, errTest) {
		t.Errorf("%v does not wrap its cause", err)
	}
}
