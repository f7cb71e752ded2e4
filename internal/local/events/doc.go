// Package events keeps what a run knows of each event: what it says, every step that it has taken, and where it is now.
//
// A [Store] learns of an event from the bus that has accepted it ([Store.Accept]), and of its steps from the hops of all
// services ([Store.Hop]). [Store.List] finds events, [Store.Get] returns one with its steps, and [Store.Watch] waits for
// changes, so that neither the page nor a test has to ask again and again.
//
// An event is named by the id that hops have for it: see [hop.EventID].
package events

import "github.com/outboxkit/transactional-outbox/internal/local/hop"

var _ hop.Sink = (*Store)(nil).Hop
