// Command partial is a function that fails exactly the messages whose order has the note "fail" or, for the first
// receive only, "fail once".
package main

import (
	"context"
	"errors"

	"github.com/outboxkit/transactional-outbox/test/e2e/functions/batch"
)

func main() {
	batch.Start(func(_ context.Context, order batch.Order) error {
		if order.Says("fail") {
			return errors.New("the order's note asks for a failure")
		}
		return nil
	})
}
