package streams

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	smithytime "github.com/aws/smithy-go/time"
)

// The waits between attempts double, each shortened by up to a half at random. AWS documents only that a reader whose
// target fails backs off gradually.
// Source: EventBridge user guide, eb-pipes-error-troubleshooting.
const (
	retryFirst = 100 * time.Millisecond
	reopenLast = time.Second // of the stream, which is on this machine
)

// failuresBeforeReport is how many failures of the stream in a row it takes for a report: DynamoDB Local now and then
// refuses an iterator that it has just returned, and the next one works.
const failuresBeforeReport = 3

// Backoff returns the wait after an attempt, counted from 0, which is at most last.
func Backoff(attempt int, last time.Duration) time.Duration {
	d := last
	if attempt < 10 {
		d = min(last, retryFirst<<attempt)
	}
	return d/2 + rand.N(d/2+1)
}

// streamFailed waits after the nth failure of the stream in a row. Its error is ctx's.
func (r *Reader) streamFailed(ctx context.Context, n int, attempted string, err error) error {
	if n == failuresBeforeReport && ctx.Err() == nil {
		r.report(fmt.Sprintf("%s: %v", attempted, err))
	}
	return smithytime.SleepWithContext(ctx, Backoff(n-1, reopenLast))
}

func (r *Reader) report(detail string) {
	if r.Report != nil {
		r.Report(detail)
	}
}
