// Command crasher is a function that exits in the middle of an invocation when an order's note is "crash" or, for the
// first receive only, "crash once". With the environment variable CRASH=always it does so for every order.
package main

import (
	"context"
	"os"

	"github.com/outboxkit/transactional-outbox/test/e2e/functions/batch"
)

func main() {
	always := os.Getenv("CRASH") == "always"
	batch.Start(func(_ context.Context, order batch.Order) error {
		if always || order.Says("crash") {
			os.Exit(1)
		}
		return nil
	})
}
