package local

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/local/faults"
)

// What a test or the page has set stays over an update: stubs, the clock, faults, and what is known of events.
func TestAnUpdateKeepsWhatWasSet(t *testing.T) {
	w := startWatched(t)
	stubbed := make(chan bool, 1)
	if _, err := w.Stub("Speaker", Stub{Handle: func(context.Context, []byte) ([]byte, error) {
		stubbed <- true
		return []byte("{}"), nil
	}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Faults().SetRate(faults.BusDuplicate, 0.5); err != nil {
		t.Fatal(err)
	}
	before := w.current()
	known, injector := w.Events(), w.Faults()

	w.synthesize(`"source": ["first"]`, `"source": ["second"]`)
	w.await("updated in ")
	if w.current() == before {
		t.Fatal("the update runs the services before")
	}
	if w.current().clock != before.clock || w.Events() != known || w.Faults() != injector {
		t.Error("the update has a clock, a store of events or faults of its own")
	}
	for _, s := range w.Faults().Settings() {
		if s.Point == faults.BusDuplicate && s.Rate != 0.5 {
			t.Errorf("the rate of %s must be 0.5, got %v", s.Point, s.Rate)
		}
	}
	if _, err := w.Cloud().SQS().SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: w.queueURL("Orders"), MessageBody: aws.String("{}")}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-stubbed:
	case <-time.After(time.Minute):
		t.Error("the stub gets no message")
	}
}
