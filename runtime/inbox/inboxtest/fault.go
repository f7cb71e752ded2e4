package inboxtest

import "github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"

// A Fault is what goes wrong with one TransactWriteItems.
type Fault string

// The faults that a client of DynamoDB must expect. After each of them package outbox sends the transaction again by itself,
// until the context ends or for one minute.
const (
	// Conflict cancels the transaction because of another one.
	Conflict = Fault(dynamotest.Conflict)
	// Throttled refuses the transaction because there are too many.
	Throttled = Fault(dynamotest.Throttled)
	// ServerError is an error 500; the transaction has no effect.
	ServerError = Fault(dynamotest.ErrorBefore)
	// LostAnswer loses the answer: the transaction has its effect, and the client gets an error.
	LostAnswer = Fault(dynamotest.ErrorAfter)
)

// Inject makes the next calls of TransactWriteItems suffer the faults, one each. Faults that are injected before have their
// turn first.
func (db *DB) Inject(faults ...Fault) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.faults = append(db.faults, faults...)
}

// FaultsLeft returns how many faults still wait for a call: a test that expects them to happen wants 0.
func (db *DB) FaultsLeft() int {
	db.mu.Lock()
	defer db.mu.Unlock()
	return len(db.faults)
}

// next returns the fault of a call.
func (db *DB) next() dynamotest.Fault {
	db.mu.Lock()
	defer db.mu.Unlock()
	if len(db.faults) == 0 {
		return dynamotest.None
	}
	fault := db.faults[0]
	db.faults = db.faults[1:]
	return dynamotest.Fault(fault)
}
