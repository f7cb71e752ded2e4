package inbox

import (
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// claim is how the inbox remembers an event: the write that goes first in the transaction, and what the
// stored item means for the event.
type claim interface {
	// key returns the item's key in the inbox table. It names the event's source: ids and aggregates of two
	// sources are not the same.
	key(record.Event) string
	// put writes the item on the condition that the event is due.
	put(record.Event) types.Put
	// judge returns nil if the event is due, and a verdict if not. The item is nil when there is none.
	judge(event record.Event, item map[string]types.AttributeValue) error
}

// The verdicts about an event that is not due, besides *tooEarlyError and *mismatchError.
var (
	errDuplicate = errors.New("the event has been handled before")
	errPassed    = errors.New("a later version has been handled before") // a duplicate, unless the consumer began later
	errSkipped   = errors.New("the event was written before the consumer joined")
)

// tooEarlyError: the event's predecessors have not been handled yet. The last one that was, is last.
type tooEarlyError struct {
	version, last int64
	lastAt        time.Time // when the last one was handled; the zero time where that is not known
	held          bool      // it waits on when it is overdue: until the queue's maxReceiveCount
}

func (e *tooEarlyError) Error() string {
	return fmt.Sprintf("version %d came before version %d was handled", e.version, e.last+1)
}

// mismatchError: the inbox remembers another event under the event's key. Taking the event for a duplicate
// would lose it without a word.
type mismatchError struct{ text string }

func (e *mismatchError) Error() string { return e.text }

func mismatch(format string, args ...any) error {
	return Permanent(&mismatchError{fmt.Sprintf(format, args...)})
}

// isVerdict reports whether an error is the inbox's verdict about an event.
func isVerdict(err error) bool {
	var tooEarly *tooEarlyError
	var other *mismatchError
	return errors.Is(err, errDuplicate) || errors.Is(err, errPassed) || errors.As(err, &tooEarly) || errors.As(err, &other)
}

var (
	allOld      = types.ReturnValuesOnConditionCheckFailureAllOld
	notThereYet = "attribute_not_exists(" + record.AttrPK + ")"
)
