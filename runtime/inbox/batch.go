package inbox

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

const (
	fifo      = ".fifo"          // how the name, URL and ARN of a FIFO queue end
	attrGroup = "MessageGroupId" // a message's system attribute
)

// consumer handles batches: it runs their messages, a process for each event, and reports which failed.
type consumer struct {
	store      *Store
	process    func(context.Context, record.Event) error
	inOrder    bool
	gapTimeout time.Duration
	starter    *starter // nil where every aggregate begins with version 1
}

// message is one message of a batch, and its event.
type message struct {
	sqs       *events.SQSMessage
	event     record.Event
	undecoded error
}

// handle is the consumer's LambdaHandler.
func (c *consumer) handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	ctx, abandon, cancel := inTime(ctx)
	defer cancel()
	if c.starter != nil {
		// The first message shows that the rule is active. Messages that depend on it try again and fail.
		if _, err := c.store.join(ctx); err != nil {
			c.store.config.Logger.Error("join", "error", err)
		}
	}
	b := &run{consumer: c, messages: decode(batch.Records)}
	b.results = make([]result, len(b.messages))
	select {
	case <-b.start(ctx):
	case <-abandon:
	}
	results := b.finish()
	c.writeMetrics(results)
	return failures(b.messages, results), nil
}

func decode(records []events.SQSMessage) []message {
	messages := make([]message, len(records))
	for i := range records {
		m := &messages[i]
		m.sqs = &records[i]
		m.event, m.undecoded = record.Decode([]byte(m.sqs.Body))
	}
	return messages
}

// inTime leaves time for the answer: work on a message ends with the context returned, a tenth of the
// remaining time but at most a second before the function is stopped. A function that goes on regardless
// is abandoned half of that later.
func inTime(ctx context.Context) (_ context.Context, abandon <-chan time.Time, _ context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, nil, func() {}
	}
	reserve := max(0, min(time.Until(deadline)/10, time.Second))
	timer := time.NewTimer(time.Until(deadline.Add(-reserve / 2)))
	ctx, cancel := context.WithDeadline(ctx, deadline.Add(-reserve))
	return ctx, timer.C, func() { timer.Stop(); cancel() }
}

// run is the handling of one batch.
type run struct {
	*consumer
	messages []message

	mu       sync.Mutex
	results  []result // of the messages, by index
	finished bool     // the answer is given: results no longer change
}

// start handles the messages, a limited number of groups at a time, and closes the channel returned when
// all have a result.
func (r *run) start(ctx context.Context) <-chan struct{} {
	groups := r.groups()
	queue := make(chan []int, len(groups))
	for _, g := range groups {
		queue <- g
	}
	close(queue)
	var workers sync.WaitGroup
	work := func() {
		defer workers.Done()
		for g := range queue {
			r.handleGroup(ctx, g)
		}
	}
	for range min(len(groups), r.store.config.Concurrency) {
		workers.Add(1)
		go work()
	}
	done := make(chan struct{})
	go func() {
		workers.Wait()
		close(done)
	}()
	return done
}

// groups returns the indices of messages that must be handled one after the other: those of a FIFO group in
// the queue's order, and with InOrder those of an aggregate in the order of their versions.
func (r *run) groups() [][]int {
	var groups [][]int
	byKey := map[string]int{}
	for i := range r.messages {
		key, grouped := r.groupOf(&r.messages[i])
		at, known := byKey[key]
		switch {
		case grouped && known:
			groups[at] = append(groups[at], i)
			continue
		case grouped:
			byKey[key] = len(groups)
		}
		groups = append(groups, []int{i})
	}
	if r.inOrder {
		for _, g := range groups {
			if !isFIFO(&r.messages[g[0]]) {
				slices.SortStableFunc(g, func(a, b int) int {
					return cmp.Compare(r.messages[a].event.Version, r.messages[b].event.Version)
				})
			}
		}
	}
	return groups
}

func (r *run) groupOf(m *message) (key string, grouped bool) {
	switch {
	case isFIFO(m):
		return m.sqs.Attributes[attrGroup], true
	case r.inOrder && m.undecoded == nil:
		return m.event.Source + "#" + record.PartitionKey(m.event.AggregateType, m.event.AggregateID), true
	}
	return "", false
}

func isFIFO(m *message) bool { return strings.HasSuffix(m.sqs.EventSourceARN, fifo) }

// handleGroup handles messages one after the other. After one that comes back, the rest must come back
// too, or it would be overtaken.
// Source: Lambda developer guide, "Handling errors for an SQS event source in Lambda", FIFO queues.
func (r *run) handleGroup(ctx context.Context, group []int) {
	var before result
	for _, i := range group {
		m := &r.messages[i]
		switch {
		case before.outcome == tooEarly && r.inOrder && m.waited() < r.gapTimeout:
			before = r.giveBack(ctx, m, errPredecessorEarly)
		case before.comesBack():
			before = result{outcome: failed, err: errPredecessorFailed}
		default:
			before = r.handleMessage(ctx, m)
		}
		r.settle(i, before)
	}
}

// settle notes and logs a result. What comes after the answer is too late to count, but is logged.
func (r *run) settle(i int, result result) {
	r.mu.Lock()
	if !r.finished {
		r.results[i] = result
	}
	r.mu.Unlock()
	r.log(&r.messages[i], result)
}

// finish takes the results there are; a message without one is failed.
func (r *run) finish() []result {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished = true
	for i := range r.results {
		if r.results[i].outcome == "" {
			r.results[i] = result{outcome: failed, err: errOutOfTime}
			r.log(&r.messages[i], r.results[i])
		}
	}
	return r.results
}

// failures names the messages that must come back.
func failures(messages []message, results []result) events.SQSEventResponse {
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for i, result := range results {
		if result.comesBack() {
			response.BatchItemFailures = append(response.BatchItemFailures,
				events.SQSBatchItemFailure{ItemIdentifier: messages[i].sqs.MessageId})
		}
	}
	return response
}
