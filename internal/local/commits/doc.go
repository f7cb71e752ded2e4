// Package commits reports what the writes of a stack to its tables mean: the events that they add to an outbox, and the effects
// of events that a function handles.
//
// An event is added by an item that a pipe's filter takes for one: its recordType is "outbox.event". An effect is a write of a
// function that names an event which the run knows, in an attribute of an item or of its key, as a whole or behind its last #,
// as the inbox's items do. Both are reported once DynamoDB has committed them, also where a fault loses its answer.
package commits
