package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/messages"
	"github.com/outboxkit/transactional-outbox/internal/local/pipes"
	"github.com/outboxkit/transactional-outbox/internal/local/queues"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A memoryQueue is a queue in memory: each receive returns the next of its batches, and nothing after the last.
type memoryQueue struct {
	mu      sync.Mutex
	batches [][]types.Message
	deleted []string
	waits   []time.Duration
}

func makeMessage(id string) types.Message {
	return types.Message{MessageId: &id, ReceiptHandle: &id, Body: aws.String(`{"detail":` + detail(id) + `}`)}
}

func newMemoryQueue(batches ...[]string) *memoryQueue {
	l := &memoryQueue{}
	for _, ids := range batches {
		var batch []types.Message
		for _, id := range ids {
			batch = append(batch, makeMessage(id))
		}
		l.batches = append(l.batches, batch)
	}
	return l
}

func (l *memoryQueue) Receive(_ context.Context, _ int, wait time.Duration) ([]types.Message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waits = append(l.waits, wait)
	if len(l.batches) == 0 {
		return nil, nil
	}
	batch := l.batches[0]
	l.batches = l.batches[1:]
	return batch, nil
}

func (l *memoryQueue) Delete(_ context.Context, messages []types.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deleted = append(l.deleted, idsOf(messages)...)
	return nil
}

func idsOf(messages []types.Message) []string {
	ids := []string{}
	for _, m := range messages {
		ids = append(ids, *m.MessageId)
	}
	return ids
}

// withQueueFaults returns the memory queue with faults, under a name; shown are the messages made visible.
func withQueueFaults(i *Injector, name string, l *memoryQueue) (q *queue, shown *[]string) {
	shown = &[]string{}
	show := func(_ context.Context, m types.Message) { *shown = append(*shown, *m.MessageId) }
	return &queue{Injector: i, name: name, makeVisible: show, next: l}, shown
}

// receive receives n times and lists what it got; an error is "!".
func receive(q *queue, n int) (all [][]string) {
	for range n {
		messages, err := q.Receive(context.Background(), 10, 20*time.Second)
		if err != nil {
			all = append(all, []string{"!"})
			continue
		}
		all = append(all, idsOf(messages))
	}
	return all
}

func TestReceive(t *testing.T) {
	for name, c := range map[string]struct {
		step  Step
		queue string
		want  string
	}{
		"nothing":                 {Step{Point: QueueDuplicate, Key: "z"}, "Queue", "[[a b] [c] []]"},
		"a message twice":         {Step{Point: QueueDuplicate, Key: "a"}, "Queue", "[[a b] [c a] []]"},
		"a message late":          {Step{Point: QueueReorder, Key: "a"}, "Queue", "[[b] [c a] []]"},
		"the last message late":   {Step{Point: QueueReorder, Key: "c"}, "Queue", "[[a b] [] [c]]"},
		"an error":                {Step{Point: QueueReceiveError, Key: "b"}, "Queue", "[[!] [c a b] []]"},
		"no duplicate in a FIFO":  {Step{Point: QueueDuplicate}, "Queue.fifo", "[[a b] [c] []]"},
		"no reordering in a FIFO": {Step{Point: QueueReorder}, "Queue.fifo", "[[a b] [c] []]"},
		"an error in a FIFO":      {Step{Point: QueueReceiveError, Key: "b"}, "Queue.fifo", "[[!] [c a b] []]"},
	} {
		t.Run(name, func(t *testing.T) {
			i, _ := scripted(c.step)
			q, shown := withQueueFaults(i, c.queue, newMemoryQueue([]string{"a", "b"}, []string{"c"}))
			if got := fmt.Sprint(receive(q, 3)); got != c.want {
				t.Errorf("received %s, want %s", got, c.want)
			}
			if len(*shown) > 0 {
				t.Errorf("made visible: %v", *shown)
			}
		})
	}
}

// TestHeldMessages checks that held messages wait no longer than the shortest wait, and respect the limit.
func TestHeldMessages(t *testing.T) {
	i, _ := injecting(QueueReorder)
	l := newMemoryQueue([]string{"a", "b", "c"})
	q, _ := withQueueFaults(i, "Queue", l)
	receive(q, 1)
	i.Heal()
	for n, want := range []string{"[a b]", "[c]", "[]"} {
		messages, err := q.Receive(t.Context(), 2, 20*time.Second)
		if got := fmt.Sprint(idsOf(messages)); err != nil || got != want {
			t.Errorf("receive %d: %s, %v; want %s", n, got, err, want)
		}
	}
	if want := []time.Duration{20 * time.Second, heldWait, 20 * time.Second}; !slices.Equal(l.waits, want) {
		t.Errorf("waits %v, want %v", l.waits, want)
	}
}

func TestDelete(t *testing.T) {
	really := map[bool]int{}
	for seed := range uint64(10) {
		i, fired := newInjector(&Plan{Seed: seed, Script: []Step{{Point: QueueDeleteFails, Key: "b"}}})
		l := newMemoryQueue()
		q, _ := withQueueFaults(i, "Queue", l)
		err := q.Delete(t.Context(), []types.Message{makeMessage("a"), makeMessage("b"), makeMessage("c")})
		if !errors.Is(err, errDelete) || !slices.Contains(l.deleted, "a") || !slices.Contains(l.deleted, "c") {
			t.Errorf("%v, deleted %v", err, l.deleted)
		}
		really[slices.Contains(l.deleted, "b")]++
		if got := fired.list(); !slices.Equal(got, []string{"queue.delete-fails | b @ Queue | 1"}) {
			t.Errorf("fired %q", got)
		}
		if err := q.Delete(t.Context(), []types.Message{makeMessage("b")}); err != nil {
			t.Errorf("the second attempt: %v", err)
		}
	}
	if really[true] == 0 || really[false] == 0 {
		t.Errorf("only one of the two forms occurred: %v", really)
	}
}

// TestNothingStaysHeld checks that every message is received in the end.
func TestNothingStaysHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, fired := newInjector(&Plan{Seed: 5, Rates: map[Point]float64{QueueDuplicate: 0.3, QueueReorder: 0.3, QueueReceiveError: 0.2}})
		var batches [][]string
		want := map[string]bool{}
		for n := range 30 {
			batches = append(batches, []string{fmt.Sprint(n, "a"), fmt.Sprint(n, "b")})
			want[batches[n][0]], want[batches[n][1]] = true, true
		}
		q, _ := withQueueFaults(i, "Queue", newMemoryQueue(batches...))
		for _, ids := range receive(q, 200) {
			for _, id := range ids {
				delete(want, id)
			}
		}
		if len(want) > 0 || len(fired.all()) < 10 {
			t.Errorf("never received: %v, after %d faults", want, len(fired.all()))
		}
	})
}

// TestEarlyVisibility checks with a real queue that a message becomes visible while it is handled, and that it can
// still be deleted.
func TestEarlyVisibility(t *testing.T) {
	c := cloud.New("eu-west-1")
	service, err := queues.Start(t.Context(), queues.Config{Cloud: c, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(service.Close)
	made, err := service.Provisions()["AWS::SQS::Queue"](t.Context(), template.Resource{PhysicalName: "Queue", Properties: map[string]any{"VisibilityTimeout": 600}})
	if err != nil {
		t.Fatal(err)
	}
	client := c.SQS()
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &made.Ref, MessageBody: aws.String(`{"detail":{"id":"a"}}`)}); err != nil {
		t.Fatal(err)
	}
	i, fired := scripted(Step{Point: QueueEarlyVisibility, Key: "a"})
	q := i.Queue(c)(made.GetAtt["Arn"], &realQueue{client: client, url: made.Ref})
	for n := range 2 {
		messages, err := q.Receive(t.Context(), 10, time.Second)
		if err != nil || len(messages) != 1 {
			t.Fatalf("receive %d: %d messages, %v", n, len(messages), err)
		}
		if n == 1 {
			if err := q.Delete(t.Context(), messages); err != nil {
				t.Fatal(err)
			}
		}
	}
	if messages, err := q.Receive(t.Context(), 10, time.Second); err != nil || len(messages) != 0 {
		t.Errorf("after the deletion: %d messages, %v", len(messages), err)
	}
	if got := fired.list(); !slices.Equal(got, []string{"queue.early-visibility | a @ Queue | 1"}) {
		t.Errorf("fired %q", got)
	}
}

// A pipe that reads a queue has the faults of queues, and none of streams.
func TestFaultsOfAPipesQueue(t *testing.T) {
	i, fired := scripted(Step{Point: QueueReceiveError, Key: "a"})
	p := &pipes.Pipe{Queue: newMemoryQueue([]string{"a"})}
	p.SourceARN = "arn:aws:sqs:eu-west-1:000000000000:Queue"
	i.Pipe(cloud.New("eu-west-1"))(p)
	if _, err := p.Queue.Receive(t.Context(), 10, time.Second); !errors.Is(err, errReceive) || p.Stream != nil || p.Target != nil || p.Checkpoints != nil {
		t.Errorf("error %v, pipe %+v", err, p)
	}
	if got := fired.list(); !slices.Equal(got, []string{"queue.receive-error | a @ Queue | 1"}) {
		t.Errorf("fired %q", got)
	}
}

// A realQueue is a messages.Queue of a real queue.
type realQueue struct {
	client *sqs.Client
	url    string
}

var _ messages.Queue = (*realQueue)(nil)

func (w *realQueue) Receive(ctx context.Context, limit int, wait time.Duration) ([]types.Message, error) {
	out, err := w.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &w.url, MaxNumberOfMessages: int32(limit), WaitTimeSeconds: int32(wait / time.Second)})
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

func (w *realQueue) Delete(ctx context.Context, messages []types.Message) error {
	for _, m := range messages {
		if _, err := w.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &w.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
			return err
		}
	}
	return nil
}
