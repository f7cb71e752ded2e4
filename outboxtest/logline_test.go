package outboxtest

import (
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/events"
)

func TestALogLineDoesNotRepeatItsEvent(t *testing.T) {
	t.Parallel()
	event := events.Event{ID: "e-1", Type: "OrderCreated", AggregateType: "Order", AggregateID: "o-1", Version: 1, CorrelationID: "e-0"}
	for detail, want := range map[string]string{
		`{"msg":"handled","eventId":"e-1","eventType":"OrderCreated","aggregateType":"Order","aggregateId":"o-1","version":1,"correlationId":"e-0","ageMs":7}`: "handled  ageMs=7",
		`{"msg":"handled","receiveCount":1,"correlationId":"e-1"}`:  "handled  receiveCount=1",
		`{"msg":"handled","eventId":"e-12","version":12,"ageMs":7}`: "handled  eventId=e-12 version=12 ageMs=7",
		"a plain line about eventId=e-2":                            "a plain line about eventId=e-2",
		`{"_aws":{},"Handled":1}`:                                   "",
	} {
		if got := logLine(detail, event); got != want {
			t.Errorf("%s\nbecomes %q, want %q", detail, got, want)
		}
	}
}
