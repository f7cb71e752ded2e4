// Command slow is a function that sleeps past its timeout when an order's note is "sleep" or, for the first receive
// only, "sleep once".
package main

import (
	"context"
	"time"

	"github.com/outboxkit/transactional-outbox/test/e2e/functions/batch"
)

func main() {
	batch.Start(func(ctx context.Context, order batch.Order) error {
		if order.Says("sleep") {
			deadline, _ := ctx.Deadline()
			time.Sleep(time.Until(deadline) + time.Minute)
		}
		return nil
	})
}
