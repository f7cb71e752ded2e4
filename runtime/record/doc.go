// Package record defines the one contract between the write side, the pipe and the consumers: the
// attribute names of an outbox item and the envelope its event travels in.
//
// It imports neither awscdk nor an SDK client, so that the construct (at synth), the functions
// (in Lambda) and the tests can all share it.
//
// The way of an event:
//
//	Event.Item   → the item that a transaction puts into the outbox table
//	(pipe)       → reads the item's attributes by the names below, builds the detail
//	Decode       → turns the event that arrived in a consumer's queue back into an Event
package record
