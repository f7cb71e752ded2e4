package redrive

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	smithytime "github.com/aws/smithy-go/time"
)

const (
	// hideFor is how long a message that is being redriven, or was kept, is hidden from the next receive. A message that
	// takes longer is hidden again in time.
	hideFor = time.Minute
	// deleteWithin is how long the deletion of a message that was redriven may take.
	deleteWithin = 10 * time.Second
	// maxReceive is the most messages that one receive returns. Source: SQS API reference, ReceiveMessage.
	maxReceive = 10
	// emptyInARow is how many receives in a row must bring nothing before the queue counts as empty. Each waits for a
	// second and asks all of SQS's servers, yet a message that becomes visible again may be overlooked.
	emptyInARow = 3
	// emptyAtMost is how many it takes when SQS's count says that there are more: the count lags behind.
	emptyAtMost = 10
	// clockStep is the precision in which SQS tells its time: that of HTTP's Date. Nothing is sent within the first step,
	// so that a message that comes back can be told from those that were there.
	clockStep = time.Second
)

// errCameLater keeps a redrive from moving the same event round and round.
var errCameLater = errors.New("it arrived after this redrive had begun: if it is one that was redriven and failed again, fix the cause, then redrive")

// queueRedrive is the redrive of one dead-letter queue. It asks for messages until there are none: the count that SQS
// gives is approximate, and may be 0 while messages wait.
type queueRedrive struct {
	*Redriver
	queue   string
	forward func(context.Context, types.Message) error
	began   time.Time        // by SQS's clock
	settled time.Time        // from when on what is sent has a later time than began, by our clock
	known   map[string]bool  // the messages met so far, by id; true: it was redriven
	late    int              // how many of them were kept because they came later
	held    map[string]held  // the messages that are hidden and stay, by id
	stuck   map[string]int64 // for a redrive in order: the lowest version of an aggregate that was kept

	// How many receives in a row, the last one included, brought no message, and none that is new.
	empty, fruitless int

	report Report
}

// redriveQueue forwards the messages of the queue, each once.
func (r *Redriver) redriveQueue(ctx context.Context, queue string, forward func(context.Context, types.Message) error) (Report, error) {
	q := &queueRedrive{Redriver: r, queue: queue, forward: forward, known: map[string]bool{}, held: map[string]held{}, stuck: map[string]int64{}}
	defer q.giveBack(ctx)
	if err := q.run(ctx); err != nil {
		return q.report, fmt.Errorf("redrive %s: %w", queue, err)
	}
	return q.report, nil
}

func (q *queueRedrive) run(ctx context.Context) error {
	_, now, err := q.count(ctx)
	if err != nil {
		return err
	}
	q.began, q.settled = now, time.Now().Add(clockStep)
	for ended := false; !ended; {
		messages, err := q.next(ctx)
		if err != nil {
			return err
		}
		fresh, err := q.handle(ctx, messages)
		if err != nil {
			return err
		}
		q.empty, q.fruitless = q.empty+1, q.fruitless+1
		if len(messages) > 0 {
			q.empty = 0
		}
		if fresh {
			q.fruitless = 0
		}
		if ended, err = q.hasEnded(ctx); err != nil {
			return err
		}
	}
	return nil
}

// hasEnded reports whether to stop receiving, and notes how many messages are left. Receives must have been in vain for a
// while: emptyInARow of them brought nothing, or nothing new; as many more of these as messages stay, which come up
// again after hideFor and may stand before others. Then it ends when one of these holds:
//
//   - by SQS's count nothing is left but what stays
//   - emptyAtMost receives in a row brought nothing: others have the rest, or the count is wrong
//   - the last receive brought messages: there are some, but none that is new
func (q *queueRedrive) hasEnded(ctx context.Context) (bool, error) {
	stays := len(q.report.Kept) + q.report.Skipped
	if q.empty < emptyInARow && q.fruitless < emptyInARow+stays-q.late {
		return false, nil
	}
	total, _, err := q.count(ctx)
	if err != nil {
		return false, err
	}
	q.report.Left = max(0, total-stays)
	return q.report.Left == 0 || q.empty >= emptyAtMost || q.empty == 0, nil
}

// handle forwards the messages that it has not met yet, and reports whether there was one.
func (q *queueRedrive) handle(ctx context.Context, messages []types.Message) (fresh bool, err error) {
	if len(messages) == 0 {
		return false, nil
	}
	hidden := q.keepHidden(ctx, messages)
	defer hidden.stop()
	for _, m := range messages {
		q.hold(m)
	}
	if err := smithytime.SleepWithContext(ctx, time.Until(q.settled)); err != nil {
		return false, err
	}
	for _, m := range messages {
		if err := ctx.Err(); err != nil {
			return fresh, err
		}
		id := aws.ToString(m.MessageId)
		moved, met := q.known[id]
		switch {
		case moved:
			// Delivered once more although it was deleted, as standard queues may do.
			err = q.remove(ctx, m)
		case met:
		case q.selection.Match != nil && !q.selection.Match(m):
			q.known[id] = false
			q.report.Skipped++
		case !sentAt(m).Before(q.began.Add(clockStep)):
			q.keep(m, errCameLater)
			q.late++
		default:
			fresh = true
			err = q.move(ctx, m)
		}
		hidden.release(m)
		if err != nil {
			return fresh, err
		}
	}
	return fresh, nil
}

// move forwards a message, and deletes it if that worked.
func (q *queueRedrive) move(ctx context.Context, m types.Message) error {
	if err := q.behind(m); err != nil {
		q.keep(m, err)
		return nil
	}
	if err := q.forward(ctx, m); err != nil {
		if ctx.Err() != nil {
			return ctx.Err() // it was interrupted, which says nothing about the message
		}
		q.keep(m, err)
		return nil
	}
	q.known[aws.ToString(m.MessageId)] = true
	q.report.Redriven++
	defer q.progress()
	return q.remove(ctx, m)
}

func (q *queueRedrive) progress() {
	if q.selection.Progress != nil {
		q.selection.Progress(q.report)
	}
}

func (q *queueRedrive) keep(m types.Message, reason error) {
	id := aws.ToString(m.MessageId)
	q.known[id] = false
	q.report.Kept = append(q.report.Kept, Kept{MessageID: id, Err: reason})
	q.holdUp(m)
	q.progress()
}

// remove deletes a message that was redriven, also when the redrive is interrupted at that moment: else it would be
// redriven twice.
func (q *queueRedrive) remove(ctx context.Context, m types.Message) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteWithin)
	defer cancel()
	_, err := q.clients.SQS.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.queue, ReceiptHandle: m.ReceiptHandle})
	if err != nil {
		return fmt.Errorf("message %s was redriven but could not be deleted: %w", aws.ToString(m.MessageId), err)
	}
	delete(q.held, aws.ToString(m.MessageId))
	return nil
}

// count returns SQS's count of the messages, those that others have received and those that are delayed included, and
// the time by SQS's clock.
func (q *queueRedrive) count(ctx context.Context) (total int, now time.Time, err error) {
	out, err := q.clients.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &q.queue,
		AttributeNames: []types.QueueAttributeName{
			types.QueueAttributeNameApproximateNumberOfMessages,
			types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
			types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
		},
	})
	if err != nil {
		return 0, time.Time{}, err
	}
	for name, value := range out.Attributes {
		n, err := strconv.Atoi(value)
		if err != nil {
			return 0, time.Time{}, fmt.Errorf("queue attribute %s must be a whole number, got %q", name, value)
		}
		total += n
	}
	now, ok := middleware.GetServerTime(out.ResultMetadata)
	if !ok {
		now = time.Now()
	}
	return total, now, nil
}

func (q *queueRedrive) receive(ctx context.Context) ([]types.Message, error) {
	out, err := q.clients.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:              &q.queue,
		MaxNumberOfMessages:   maxReceive,
		VisibilityTimeout:     seconds(q.hideFor()),
		WaitTimeSeconds:       1, // asks all of SQS's servers, so that none is overlooked
		MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{
			types.MessageSystemAttributeNameSentTimestamp, types.MessageSystemAttributeNameAWSTraceHeader,
			types.MessageSystemAttributeNameDeadLetterQueueSourceArn,
		},
	})
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

// sentAt returns when the message was first put into a queue: SQS leaves that as it is when it moves a message to a
// dead-letter queue. It is the zero time when SQS does not say.
// Source: SQS developer guide, setting-up-dead-letter-queue-retention.
func sentAt(m types.Message) time.Time {
	ms, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func seconds(d time.Duration) int32 { return int32(d / time.Second) }
