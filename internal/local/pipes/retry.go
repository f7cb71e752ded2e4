package pipes

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// The waits between attempts double, each shortened by up to a half at random. AWS documents only that a pipe whose
// target fails backs off gradually.
// Source: EventBridge user guide, eb-pipes-error-troubleshooting.
const (
	retryFirst = 100 * time.Millisecond
	retryLast  = 10 * time.Second // of the target and the dead-letter queue
	reopenLast = time.Second      // of the stream, which is on this machine
)

// failuresBeforeHop is how many failures of the stream in a row it takes for a hop: DynamoDB Local now and then
// refuses an iterator that it has just returned, and the next one works.
const failuresBeforeHop = 3

// backoff returns the wait after an attempt, counted from 0.
func backoff(attempt int, last time.Duration) time.Duration {
	d := last
	if attempt < 10 {
		d = min(last, retryFirst<<attempt)
	}
	return d/2 + rand.N(d/2+1)
}

// sleep waits for d, or returns ctx's error when ctx is done first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// streamFailed waits after the nth failure of the stream in a row. Its error is ctx's.
func (p *Pipe) streamFailed(ctx context.Context, n int, attempted string, err error) error {
	if n == failuresBeforeHop && ctx.Err() == nil {
		p.report(hop.Hop{Outcome: hop.Retry, Detail: fmt.Sprintf("%s: %v", attempted, err)})
	}
	return sleep(ctx, backoff(n-1, reopenLast))
}

func (p *Pipe) report(h hop.Hop) {
	if p.Sink == nil {
		return
	}
	h.At, h.Stage, h.Resource = time.Now(), hop.Pipe, p.Name
	p.Sink(h)
}
