package redrive

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Discard deletes the messages of a dead-letter queue of any kind, each after keep has returned nil for it: there a copy can
// be made. A message for which keep returns an error stays. The [Report] counts what was deleted as redriven. What a message
// stood for takes no effect any more, unless its event is sent again from the outbox table.
func (r *Redriver) Discard(ctx context.Context, deadLetterQueue string, keep func(context.Context, types.Message) error) (Report, error) {
	return r.redriveQueue(ctx, deadLetterQueue, keep)
}
