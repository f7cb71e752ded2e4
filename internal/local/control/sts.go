package control

import (
	"context"
	"net/http"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/control/wire"
)

// An Identity is who has signed a request. Source: STS API reference, GetCallerIdentity.
type Identity struct{ Arn, UserId, Account string }

// root is whoever is no role: there is one account here.
var root = Identity{"arn:aws:iam::" + cloud.Account + ":root", cloud.Account, cloud.Account}

// callers returns the operations of STS.
func callers(identify func(*http.Request) (Identity, bool)) operations {
	return operations{
		"GetCallerIdentity": func(_ context.Context, r *wire.Request) (any, error) {
			if identify != nil {
				if role, ok := identify(r.Request); ok {
					return role, nil
				}
			}
			return root, nil
		},
	}
}
