package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

var errDied = errors.New("the process has died")

// A mortal is a process of the auditor that dies once, at one of its requests: before the request has its effect, or after it.
type mortal struct {
	*fixture
	auditor *auditor

	at      int // the number of the request
	after   bool
	n       int
	running bool // the auditor, and not a consumer, makes the requests
	dead    bool // every request fails
	died    bool // there is a new process
}

func newMortal(t *testing.T, at int, after bool) *mortal {
	m := &mortal{fixture: newFixture(t), at: at, after: after}
	m.auditor = m.fixture.auditor()
	m.calls.Before = func(string) error {
		if !m.running {
			return nil
		}
		if m.n++; m.n == m.at && !m.after {
			m.dead = true
		}
		return m.fate()
	}
	m.calls.After = func(string) error {
		if m.running && m.n == m.at && m.after {
			m.dead = true
		}
		return m.fate()
	}
	return m
}

func (m *mortal) fate() error {
	if m.dead && m.running {
		return errDied
	}
	return nil
}

// live calls the auditor, and reports whether it survived.
func (m *mortal) live(call func()) bool {
	m.running = true
	call()
	m.running = false
	if m.dead {
		m.dead, m.died = false, true
		m.auditor = m.fixture.auditor()
		return false
	}
	return true
}

// batch hands records to the auditor until it has taken them, as Lambda does.
func (m *mortal) batch(records ...json.RawMessage) {
	m.t.Helper()
	var from string
	var err error
	if !m.live(func() { from, err = m.stream(m.auditor, records...) }) {
		from, err = m.stream(m.auditor, records...)
	}
	if err != nil || from != "" {
		m.t.Fatalf("the batch failed from %q: %v", from, err)
	}
}

// pass lets minutes pass; the consumer history handles what is in its queue, shipping does not.
func (m *mortal) pass(minutes int) {
	m.t.Helper()
	for range minutes {
		var err error
		if m.live(func() { err = m.minute(m.auditor) }) && err != nil {
			m.t.Fatal(err)
		}
		url := queueOf(history)
		out, err := m.queues.ReceiveMessage(m.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10})
		if err != nil {
			m.t.Fatal(err)
		}
		for _, message := range out.Messages {
			m.handle(history, *message.Body)
			if _, err := m.queues.DeleteMessage(m.t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: message.ReceiptHandle}); err != nil {
				m.t.Fatal(err)
			}
		}
	}
}

// TestNothingIsForgottenWhereverTheProcessDies: events go well, come late, and never arrive; one consumer handles what is
// sent to it again, the other does not. At whatever request the process dies, in the end exactly what has no effect is listed.
func TestNothingIsForgottenWhereverTheProcessDies(t *testing.T) {
	for _, after := range []bool{false, true} {
		for at, died := 1, true; died; at++ {
			t.Run(fmt.Sprintf("at request %d, with its effect %t", at, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { died = everythingHappens(t, at, after) })
			})
			if t.Failed() {
				return
			}
		}
	}
}

func everythingHappens(t *testing.T, at int, after bool) (died bool) {
	m := newMortal(t, at, after)
	var events []record.Event
	var records []json.RawMessage
	for _, aggregate := range []string{"o1", "o1", "o2", "o3"} {
		event, rec := m.commit(aggregate)
		events, records = append(events, event), append(records, rec)
	}
	m.batch(records...)
	for _, e := range events[:3] {
		m.deliver(shipping, e)
	}
	m.deliver(history, events[0])
	m.deliver(history, events[2])
	time.Sleep(14 * time.Minute)
	m.pass(2)
	m.deliver(history, events[1])
	m.pass(2)
	_, rec := m.commit("o4")
	m.batch(rec)
	time.Sleep(14 * time.Minute)
	m.pass(8)
	m.n = m.at + 1 // from here on it lives
	m.pass(30)

	m.expectListed(shipping+": o3-1", shipping+": o4-1")
	if left := m.queues.Bodies(pendingURL); len(left) > 0 {
		t.Errorf("the pending queue still has %q", left)
	}
	m.expectMetric(shipping, "Unconfirmed", 2)
	m.expectMetric(history, "Unconfirmed", 0)
	if sent := len(m.queues.Bodies(queueOf(shipping))); sent < 1 || sent > 2 {
		t.Errorf("%d events were sent to the consumer that handles none, want 1 or 2", sent)
	}
	return m.died
}
