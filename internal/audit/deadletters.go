package audit

import (
	"cmp"
	"math/big"
	"strings"
	"time"
)

// A DeadLetter is a message in a dead-letter queue: an event that a consumer could not handle, one that a rule could not
// deliver, or the position of records that the pipe gave up.
type DeadLetter struct {
	Queue     string // URL of the dead-letter queue
	MessageID string
	SentAt    time.Time // when it was first put into a queue; the zero time where SQS does not say
	Reason    string    // as far as it was noted
	Target    string    // ARN of the queue that its event was for, as far as it was noted

	// The event, none in the message of a pipe.
	EventID, Source, Type string
	// Time is the envelope's: when the event came to the bus, to the second. The zero time where there is none.
	// Source: EventBridge API reference, PutEventsRequestEntry, Time; the construct's pipe leaves it out.
	Time time.Time

	// The records that a pipe gave up, from the first to the last.
	Shard, First, Last        string
	FirstArrival, LastArrival time.Time
}

// ofPipe reports whether the message stands for records of the stream.
func (d DeadLetter) ofPipe() bool { return d.Shard != "" }

// clockDifference is how far a writer's clock may be from that of the stream, as for a redrive.
const clockDifference = 5 * time.Minute

// covers reports whether the message of a pipe may stand for the event. The sequence numbers of two shards do not exclude
// each other, and the event does not name its shard, so one may be held that is not meant.
func (d DeadLetter) covers(e Event) bool {
	if e.SequenceNumber != "" {
		return compareNumbers(d.First, e.SequenceNumber) <= 0 && compareNumbers(e.SequenceNumber, d.Last) <= 0
	}
	return !e.WrittenAt.Before(d.FirstArrival.Add(-clockDifference)) && !e.WrittenAt.After(d.LastArrival.Add(clockDifference))
}

// isFor reports whether the event of the message was for the consumer.
func (d DeadLetter) isFor(c *Consumer) bool {
	if d.Target != "" && c.Queue != "" {
		return isQueue(d.Target, c.Queue)
	}
	return d.Queue == c.DeadLetterQueue || d.Queue == c.RuleDeadLetterQueue
}

// isQueue reports whether an ARN and a URL name the same queue, by account and name: "arn:aws:sqs:<region>:<account>:<name>"
// and "https://<host>/<account>/<name>".
func isQueue(arn, url string) bool {
	parts := strings.Split(arn, ":")
	return len(parts) == 6 && strings.HasSuffix(url, "/"+parts[4]+"/"+parts[5])
}

// compareNumbers compares two sequence numbers, which have up to 40 digits.
func compareNumbers(a, b string) int {
	x, okX := new(big.Int).SetString(a, 10)
	y, okY := new(big.Int).SetString(b, 10)
	if !okX || !okY {
		return cmp.Compare(a, b)
	}
	return x.Cmp(y)
}

// DeadLetters are the messages of some dead-letter queues.
type DeadLetters struct {
	Messages []DeadLetter
	// Complete reports whether those are all. They are not while another receiver has some, or where there are more than
	// [MaximumPeek] in a queue.
	Complete bool

	byEvent map[eventKey][]int
	ofPipes []int
}

type eventKey struct{ source, id string }

func keyOf(e Event) eventKey { return eventKey{e.Source, e.ID} }

func (d *DeadLetters) add(letter DeadLetter) {
	at := len(d.Messages)
	d.Messages = append(d.Messages, letter)
	switch {
	case letter.ofPipe():
		d.ofPipes = append(d.ofPipes, at)
	case letter.EventID != "":
		if d.byEvent == nil {
			d.byEvent = map[eventKey][]int{}
		}
		key := eventKey{letter.Source, letter.EventID}
		d.byEvent[key] = append(d.byEvent[key], at)
	}
}

// Find returns a message in which the event of a missing effect waits, or may wait.
func (d *DeadLetters) Find(e Effect) (DeadLetter, bool) {
	for _, at := range d.byEvent[keyOf(e.Event)] {
		if d.Messages[at].isFor(e.Consumer) {
			return d.Messages[at], true
		}
	}
	if e.Passed {
		return DeadLetter{}, false
	}
	for _, at := range d.ofPipes {
		if d.Messages[at].covers(e.Event) {
			return d.Messages[at], true
		}
	}
	return DeadLetter{}, false
}
