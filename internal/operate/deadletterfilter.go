package operate

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A DeadLetterFilter selects dead-letter messages: those for which everything that is given holds.
type DeadLetterFilter struct {
	Kind      DeadLetterKind // of the queue
	Consumer  string         // id or name
	Type      string         // of the event
	Aggregate string         // "Order#o-1", or "o-1" for any type
	Reason    string         // a part of the reason, in any case
	Older     time.Duration  // sent at least so long ago
	Newer     time.Duration  // sent at most so long ago
	ID        string         // of the message or of the event
	IDs       []string       // of messages, one of which it is

	consumer *Consumer // that Consumer names
}

// Validate reports what is wrong with the filter, all of it.
func (f DeadLetterFilter) Validate() error {
	var problems []error
	if f.Kind != "" && !slices.Contains(deadLetterKinds, f.Kind) {
		problems = append(problems, fmt.Errorf("--kind must be %s, %s, %s or %s, got %q", OfConsumer, OfRule, OfPipe, OfAuditor, f.Kind))
	}
	if f.Older > 0 && f.Newer > 0 && f.Older > f.Newer {
		problems = append(problems, fmt.Errorf("--older %s and --newer %s leave nothing between them", f.Older, f.Newer))
	}
	return errors.Join(problems...)
}

// isEmpty reports whether all messages are meant.
func (f DeadLetterFilter) isEmpty() bool { return reflect.ValueOf(f).IsZero() }

// resolve finds the consumer, and reports an error when the stack has none with the name.
func (f DeadLetterFilter) resolve(s *Stack) (DeadLetterFilter, error) {
	if f.Consumer == "" {
		return f, nil
	}
	c, err := FindConsumer(s.Consumers, f.Consumer)
	if err != nil {
		return f, err
	}
	f.consumer = c
	return f, nil
}

// passesBy reports whether no message of the queue can be meant.
func (f DeadLetterFilter) passesBy(q *DeadLetterQueue) bool {
	if f.Kind != "" && q.Kind != f.Kind {
		return true
	}
	if !q.Kind.holdsEvents() {
		return f.namesEvents()
	}
	return f.consumer != nil && !slices.Contains(q.Consumers, f.consumer)
}

// namesEvents reports whether the filter asks for what only an event has, which a pipe's and an auditor's message do not hold.
func (f DeadLetterFilter) namesEvents() bool {
	return f.Consumer != "" || f.Type != "" || f.Aggregate != ""
}

// matches reports whether the message is meant.
func (f DeadLetterFilter) matches(m *DeadLetterMessage, now time.Time) bool {
	is := func(want string, got ...string) bool {
		if want == "" {
			return true
		}
		for _, g := range got {
			if g == want {
				return true
			}
		}
		return false
	}
	age := now.Sub(m.SentAt)
	return (f.consumer == nil || m.of == f.consumer) && is(f.Type, m.Type) && is(f.Aggregate, m.Aggregate(), m.AggregateID) && is(f.ID, m.MessageID, m.EventID) &&
		(len(f.IDs) == 0 || slices.Contains(f.IDs, m.MessageID)) && strings.Contains(strings.ToLower(m.Reason), strings.ToLower(f.Reason)) &&
		(f.Older == 0 || age >= f.Older) && (f.Newer == 0 || age <= f.Newer)
}

const pipeHoldsNoEvents = "The pipe's dead-letter messages, and the auditor's, name no events: --consumer, --type and --aggregate leave them out."
