// Package draw draws faults for property tests. It is apart from dynamotest because rapid adds flags to every test that
// imports it, also to those of others (see inboxtest).
package draw

import (
	"pgregory.net/rapid"

	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
)

// Faults draws the faults of a connection's first calls. The calls after them have none, so whoever
// keeps trying succeeds.
func Faults(t *rapid.T, label string) func() dynamotest.Fault {
	faults := rapid.SliceOfN(rapid.SampledFrom(dynamotest.Faults), 0, 8).Draw(t, label)
	return func() dynamotest.Fault {
		if len(faults) == 0 {
			return dynamotest.None
		}
		fault := faults[0]
		faults = faults[1:]
		return fault
	}
}
