package eventsource

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// A fakeQueue is a queue in memory with long polls and visibility timeouts, for use in a synctest bubble.
type fakeQueue struct {
	visibility time.Duration

	mu       sync.Mutex
	messages []*fakeMessage
	arrived  chan struct{} // closed and replaced when a message arrives
	seen     stats
	polling  int  // number of receives that wait now
	failing  int  // number of receives that will fail
	refusing bool // deletions fail
}

// stats counts how a queue was polled.
type stats struct {
	receives int
	most     int // largest number that waited at the same time
}

type fakeMessage struct {
	body     string
	id       string
	received int
	visible  time.Time
}

func newQueue(visibility time.Duration) *fakeQueue {
	return &fakeQueue{visibility: visibility, arrived: make(chan struct{})}
}

func (q *fakeQueue) send(bodies ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, body := range bodies {
		q.messages = append(q.messages, &fakeMessage{body: body, id: body[:min(len(body), 40)], visible: time.Now()})
	}
	close(q.arrived)
	q.arrived = make(chan struct{})
}

func (q *fakeQueue) Receive(ctx context.Context, limit int, wait time.Duration) ([]types.Message, error) {
	if limit > 10 || wait < time.Second || wait > 20*time.Second || wait%time.Second != 0 {
		return nil, fmt.Errorf("receive %d messages in %v: SQS refuses that", limit, wait)
	}
	q.count(+1)
	defer q.count(-1)
	if q.fails() {
		return nil, errors.New("no connection")
	}
	for end := time.Now().Add(wait); ; {
		taken, next, arrived := q.take(limit)
		if len(taken) > 0 {
			return taken, nil
		}
		if next.IsZero() || next.After(end) {
			next = end
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-arrived:
		case <-time.After(time.Until(next)):
			if !time.Now().Before(end) {
				return nil, nil
			}
		}
	}
}

func (q *fakeQueue) count(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.polling += n
	q.seen.receives += max(n, 0)
	q.seen.most = max(q.seen.most, q.polling)
}

func (q *fakeQueue) stats() stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.seen
}

func (q *fakeQueue) fails() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failing--
	return q.failing >= 0
}

// take returns what is visible, or the time of the next message and a channel that is closed when one arrives.
func (q *fakeQueue) take(limit int) (taken []types.Message, next time.Time, arrived <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		switch {
		case m.visible.After(time.Now()):
			if next.IsZero() || m.visible.Before(next) {
				next = m.visible
			}
		case len(taken) < limit:
			m.received++
			m.visible = time.Now().Add(q.visibility)
			taken = append(taken, types.Message{
				MessageId: aws.String(m.id), ReceiptHandle: aws.String(m.id), Body: aws.String(m.body),
				Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.received)},
			})
		}
	}
	return taken, next, q.arrived
}

func (q *fakeQueue) Delete(ctx context.Context, messages []types.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refusing {
		return errors.New("no connection")
	}
	for _, gone := range messages {
		for i, m := range q.messages {
			if m.id == *gone.ReceiptHandle {
				q.messages = append(q.messages[:i], q.messages[i+1:]...)
				break
			}
		}
	}
	return nil
}

// left returns the bodies that are still in the queue.
func (q *fakeQueue) left() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var bodies []string
	for _, m := range q.messages {
		bodies = append(bodies, m.body)
	}
	return bodies
}
