package control

import (
	"context"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

type identity struct{ Arn, UserId, Account string }

// callers returns the operations of STS. There is one account here, and everybody is its root user.
func callers() operations {
	return operations{
		"GetCallerIdentity": on(func(context.Context, struct{}) (identity, error) {
			return identity{"arn:aws:iam::" + cloud.Account + ":root", cloud.Account, cloud.Account}, nil
		}),
	}
}
