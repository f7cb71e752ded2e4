package operate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	pipetypes "github.com/aws/aws-sdk-go-v2/service/pipes/types"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// stateOf returns a trace's state of its only event at a consumer.
func stateOf(t *testing.T, trace *Trace, id string) TracedEffect {
	t.Helper()
	if len(trace.Events) != 1 {
		t.Fatalf("the trace has %d events, want 1", len(trace.Events))
	}
	for _, c := range trace.Events[0].Consumers {
		if c.Consumer == id {
			return c
		}
	}
	t.Fatalf("the trace has no consumer %s, but %+v", id, trace.Events[0].Consumers)
	return TracedEffect{}
}

// TestTraceStates: each thing that can have become of an event.
func TestTraceStates(t *testing.T) {
	for name, tc := range map[string]struct {
		age   time.Duration
		setUp func(w *world, it item)
		state EffectState
		says  []string
	}{
		"it had its effect": {time.Hour, func(w *world, it item) { w.handle("Ship", it) }, Effective, []string{"effect at ", "60 min after the commit"}},
		"it failed for good": {time.Hour, func(w *world, it item) {
			w.bury(plantQueues+"Ship-dead", w.body(it), map[string]string{inbox.ReasonAttribute: "no such address", inbox.QueueAttribute: "arn:aws:sqs:eu-central-1:111122223333:Ship"})
		}, DeadLettered, []string{"dead-lettered: no such address", "→ outbox dead-letters list --stack Orders --consumer Ship"}},
		"its rule could not deliver it": {time.Hour, func(w *world, it item) {
			w.bury(plantQueues+"rule-dead", w.body(it), map[string]string{"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "denied", "TARGET_ARN": "arn:aws:sqs:eu-central-1:111122223333:Ship"})
		}, DeadLettered, []string{"NO_PERMISSIONS: denied"}},
		"the pipe gave up on it": {time.Hour, func(w *world, it item) {
			at := record.WrittenAt(it).UTC().Format(time.RFC3339)
			w.bury(plantQueues+"pipe-dead", fmt.Sprintf(`{"context":{"condition":"RetryAttemptsExhausted"},"DDBStreamBatchInfo":{"shardId":"s-1","startSequenceNumber":"1","endSequenceNumber":"9",
				"approximateArrivalOfFirstRecord":%q,"approximateArrivalOfLastRecord":%q,"batchSize":1,"streamArn":"arn"}}`, at, at), nil)
		}, DeadLettered, []string{"among what the pipe gave up", "RetryAttemptsExhausted"}},
		"its consumer has messages": {time.Hour, func(w *world, _ item) {
			w.queues[plantQueues+"Ship"]["ApproximateNumberOfMessages"] = "7"
			w.queues[plantQueues+"Ship"]["ApproximateNumberOfMessagesNotVisible"] = "1"
		}, Queued, []string{"7 messages wait in its queue and 1 is being handled"}},
		"it was written a moment ago": {time.Second, func(*world, item) {}, Young, []string{"on its way"}},
		"the audit has missed it": {time.Hour, func(w *world, it item) { w.missed("Ship", it) }, Nowhere, []string{
			"NOWHERE: the consumer does not remember the event", "the audit has missed it for 10 min", "→ outbox repair --stack Orders --consumer Ship --aggregate 'Order#o-1' --full",
		}},
		"its consumer has begun": {time.Hour, func(w *world, _ item) {
			it := markerOf(w.consumer("Ship").Name, "o-1-1", int(time.Now().Add(time.Hour).Unix()))
			it["leaseUntil"] = number(1)
			put(w.t, w.consumer("Ship").InboxTable, it)
			w.queues[plantQueues+"Ship"]["ApproximateNumberOfMessagesNotVisible"] = "1"
		}, Queued, []string{"has begun to handle the event and has not ended"}},
		"nobody knows":                         {time.Hour, func(*world, item) {}, Nowhere, []string{"NOWHERE"}},
		"its rule may not have been there yet": {25 * time.Hour, func(*world, item) {}, Nowhere, []string{"the consumer's rule may not have been there yet"}},
		"its queue cannot be read":             {time.Hour, func(w *world, _ item) { delete(w.queues, plantQueues+"Ship") }, Unknowable, []string{"its queue could not be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			it := w.commit("OrderCreated", "o-1", 1, tc.age)
			tc.setUp(w, it)
			trace, text := w.trace("o-1-1")
			if got := stateOf(t, trace, "Ship"); got.State != tc.state {
				t.Errorf("it is %+v, want %s", got, tc.state)
			}
			for _, want := range tc.says {
				if !strings.Contains(text, want) {
					t.Errorf("it does not say %q:\n%s", want, text)
				}
			}
			if mail := stateOf(t, trace, "Mail"); name != "the pipe gave up on it" && (mail.State != Unknowable || !strings.Contains(text, "it has no inbox")) {
				t.Errorf("of a consumer without an inbox it says %+v", mail)
			}
		})
	}
}

// TestTraceSaysWhenOnTheBus, as far as an envelope or an effect tells.
func TestTraceSaysWhenOnTheBus(t *testing.T) {
	w := newWorld(t)
	it := w.commit("OrderCreated", "o-1", 1, time.Hour)
	if trace, text := w.trace("o-1-1"); !strings.Contains(text, "on the bus  not known\n") || !trace.Events[0].OnBusAt.IsZero() {
		t.Errorf("with no sign of it, it says\n%s", text)
	}
	w.handle("Ship", it)
	trace, text := w.trace("o-1-1")
	if at := stateOf(t, trace, "Ship").At; !trace.Events[0].OnBusBefore.Equal(at) || !strings.Contains(text, "on the bus  yes, before "+clock(at)) {
		t.Errorf("after an effect at %s it says\n%s", at, text)
	}
	body := w.body(it)
	for _, at := range []string{"2026-11-27T04:00:03Z", "2026-11-27T04:00:02Z"} { // a redriven one came twice
		var message map[string]any
		if err := json.Unmarshal([]byte(body), &message); err != nil {
			t.Fatal(err)
		}
		message["time"] = at
		encoded, _ := json.Marshal(message)
		w.bury(plantQueues+"rule-dead", string(encoded), map[string]string{"TARGET_ARN": "arn:aws:sqs:eu-central-1:111122223333:Mail"})
	}
	if trace, text = w.trace("o-1-1"); !trace.Events[0].OnBusAt.Equal(time.Date(2026, 11, 27, 4, 0, 2, 0, time.UTC)) || !strings.Contains(text, "on the bus  at 2026-11-27 04:00:02 UTC") {
		t.Errorf("with dead letters it says\n%s", text)
	}
}

// TestTraceOfAnOrderedConsumer: a position stands for all versions before it.
func TestTraceOfAnOrderedConsumer(t *testing.T) {
	w := newWorld(t)
	for v := range int64(3) {
		it := w.commit("OrderUpdated", "o-1", v+1, time.Hour)
		if v < 2 {
			w.handle("History", it)
		}
	}
	trace, text := w.trace("Order#o-1")
	if len(trace.Events) != 3 {
		t.Fatalf("the trace has %d events, want 3", len(trace.Events))
	}
	for i, want := range []string{"a later version has had its effect since", "effect at ", "has handled the versions up to 2"} {
		if got := trace.Events[i].Consumers[0].words(trace.Events[i], trace.at); !strings.Contains(got, want) {
			t.Errorf("version %d: %s, want %q", i+1, got, want)
		}
	}
	if trace.Missing() != 1 {
		t.Errorf("%d effects are missing, want 1:\n%s", trace.Missing(), text)
	}
}

// TestTraceFindsTheEvent by each of its names.
func TestTraceFindsTheEvent(t *testing.T) {
	w := newWorld(t)
	w.commit("OrderCreated", "o-1", 1, time.Hour)
	caused := w.commit("OrderShipped", "o-1", 2, time.Minute)
	caused["causationId"] = text("o-1-1")
	put(t, w.box.Table, caused)
	odd := w.commit("OrderCreated", "o-2", 1, time.Hour)
	odd["id"], odd["sk"] = text("0198c5a8#odd"), text("event#0198c5a8#odd")
	put(t, w.box.Table, odd)
	put(t, w.box.Table, item{"pk": text("Order#o-1"), "sk": text("order")}) // a table may be shared
	for id, tc := range map[string]struct {
		events int
		scans  bool
	}{
		"Order#o-1":    {2, false},
		"o-1":          {2, false},
		"o-1-1":        {1, false},
		"0198c5a8#odd": {1, true},
	} {
		trace, text := w.trace(id)
		if len(trace.Events) != tc.events || strings.Contains(text, "reading table") != tc.scans {
			t.Errorf("%s: %d events, want %d, and a scan: %t; it says\n%s", id, len(trace.Events), tc.events, tc.scans, text)
		}
	}
	_, shown := w.trace("o-1-1")
	if !strings.Contains(shown, "led to      OrderShipped o-1-2") {
		t.Errorf("it does not show what the event led to:\n%s", shown)
	}
}

func TestTraceFindsNothing(t *testing.T) {
	w := newWorld(t)
	for n := range 3 {
		w.commit("OrderCreated", fmt.Sprint("o-", n), 1, time.Hour)
	}
	_, notes, err := w.tryTrace("o-9", 1000)
	if err == nil || !strings.Contains(err.Error(), `"o-9"`) || !strings.Contains(err.Error(), "keeps events for 7 d") || !strings.Contains(notes, "reading table "+w.box.Table) {
		t.Errorf("got %v and %q", err, notes)
	}
	if _, _, err := w.tryTrace("Order#"+strings.Repeat("x", 3000), 1000); err == nil {
		t.Error("an id that is no key is found")
	}
}

// TestTraceSaysThatThePipeStands: what is missing may be in the stream.
func TestTraceSaysThatThePipeStands(t *testing.T) {
	w := newWorld(t)
	w.commit("OrderCreated", "o-1", 1, time.Hour)
	w.pipe = &pipes.DescribePipeOutput{CurrentState: pipetypes.PipeStateStopped, StateReason: aws.String("user")}
	if _, shown := w.trace("o-1-1"); !strings.Contains(shown, "the pipe is STOPPED (user): what it has not taken up waits in the stream, at most 20 h") {
		t.Errorf("it shows\n%s", shown)
	}
}

// TestTraceStopsLookingOnceItHasFound: that a queue has no more messages, SQS says only after seconds.
func TestTraceStopsLookingOnceItHasFound(t *testing.T) {
	w := newWorld(t)
	it := w.commit("OrderCreated", "o-1", 1, time.Hour)
	w.handle("History", it)
	w.consumer("Mail").Pattern = []byte(`{"source":["others"]}`)
	w.bury(plantQueues+"Ship-dead", w.body(it), nil)
	if _, shown := w.trace("o-1-1"); !strings.Contains(shown, "dead-lettered") || w.requests["ReceiveMessage"] != 1 {
		t.Errorf("it received %d times, want once:\n%s", w.requests["ReceiveMessage"], shown)
	}
}

// giveUp puts a message into the pipe's dead-letter queue that may stand for what was written around that time.
func (w *world) giveUp(at time.Time) {
	w.bury(plantQueues+"pipe-dead", fmt.Sprintf(`{"context":{"condition":"RetryAttemptsExhausted"},"DDBStreamBatchInfo":{"shardId":"s-1","startSequenceNumber":"1","endSequenceNumber":"9",
		"approximateArrivalOfFirstRecord":%[1]q,"approximateArrivalOfLastRecord":%[1]q,"batchSize":1,"streamArn":"arn"}}`, at.UTC().Format(time.RFC3339)), nil)
}

// TestWhatAnotherConsumerHasThePipeDidNotGiveUp: a message of the pipe names a time and no event, and does not stand for one
// that has passed the bus.
func TestWhatAnotherConsumerHasThePipeDidNotGiveUp(t *testing.T) {
	w := newWorld(t)
	it := w.commit("OrderCreated", "o-1", 1, time.Hour)
	w.giveUp(record.WrittenAt(it))
	for _, tc := range []struct {
		before func()
		state  EffectState
		pipe   bool
		says   string
	}{
		{func() {}, DeadLettered, true, "→ outbox dead-letters list --stack Orders\n"},
		{func() { w.handle("History", it) }, Nowhere, false, "outbox repair --stack Orders --consumer Ship --aggregate 'Order#o-1' --full"},
	} {
		tc.before()
		trace, text := w.trace("Order#o-1")
		if got := stateOf(t, trace, "Ship"); got.State != tc.state || !strings.Contains(text, tc.says) {
			t.Errorf("it is %+v, want %s; it said\n%s", got, tc.state, text)
		}
		_, said, err := w.repair(t.Context(), func(r *Repair) { r.Full, r.DryRun = true, true }, "")
		if err != nil || strings.Contains(said, "dead-letters redrive --stack Orders\n") != tc.pipe || strings.Contains(said, "Ship: 1 event to send") == tc.pipe {
			t.Errorf("a repair said (%v)\n%s", err, said)
		}
	}
}

// TestNowhereOnlyWhereAllWasSeen: what another receiver has may be the event.
func TestNowhereOnlyWhereAllWasSeen(t *testing.T) {
	w := newWorld(t)
	w.commit("OrderCreated", "o-1", 1, time.Hour)
	w.queues[plantQueues+"Ship-dead"]["ApproximateNumberOfMessagesNotVisible"] = "1"
	_, text := w.trace("Order#o-1")
	if !strings.Contains(text, "not all dead-letter messages could be looked at") {
		t.Errorf("it said\n%s", text)
	}
	if n := w.waited.Load(); n > 0 {
		t.Errorf("it waited %d s for messages that others have", n)
	}
}

// TestWhatWaitsForThePipeIsNotRepaired: the pipe brings it once it goes on, unless it has passed the bus or left the stream.
func TestWhatWaitsForThePipeIsNotRepaired(t *testing.T) {
	const resume, repair = "→ outbox resume --stack Orders --pipe\n", "→ outbox repair "
	for name, tc := range map[string]struct {
		age    time.Duration
		before func(*world, item)
		waits  bool
	}{
		"it waits":                     {time.Hour, func(*world, item) {}, true},
		"another consumer has had it":  {time.Hour, func(w *world, it item) { w.handle("History", it) }, false},
		"the pipe discards its record": {21 * time.Hour, func(*world, item) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.pipe = &pipes.DescribePipeOutput{CurrentState: pipetypes.PipeStateStopped}
			tc.before(w, w.commit("OrderCreated", "o-1", 1, tc.age))
			trace, text := w.trace("Order#o-1")
			if stateOf(t, trace, "Ship").State != Nowhere || trace.Missing() == 0 {
				t.Errorf("nothing is missing:\n%s", text)
			}
			if strings.Contains(text, resume) != tc.waits || strings.Contains(text, repair) == tc.waits {
				t.Errorf("it said\n%s", text)
			}
		})
	}
}
