package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/description"
)

func TestARecordThatCannotBeReadBlocksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		a := f.auditor()
		_, good := f.commit("o1")
		var noVersion, business, update, foreign streamRecordMap
		for _, r := range []*streamRecordMap{&noVersion, &business, &update, &foreign} {
			if err := json.Unmarshal(good, r); err != nil {
				t.Fatal(err)
			}
		}
		delete(noVersion.image(), "version")
		business.image()["recordType"] = map[string]any{"S": "order"}
		update["eventName"] = "MODIFY"
		foreign.image()["source"] = map[string]any{"S": "orders.heartbeat"}
		f.mustStream(a, json.RawMessage(`{"dynamodb": "nonsense"}`), f.marshal(noVersion), f.marshal(business), f.marshal(update), f.marshal(foreign), good)
		if got := f.pendingEvents(); len(got) != 1 || got[0] != "o1-1" {
			t.Errorf("pending are %q, want the one event that can be read", got)
		}
		f.expectMetric("", audit.MetricUnreadable, 2)
		f.expectUnreadable(`{"condition":"Unreadable","records":2,`)
		if logs := f.logs.String(); !strings.Contains(logs, "version must be a whole number") {
			t.Errorf("the log does not say what is wrong: %s", logs)
		}
	})
}

// expectUnreadable expects messages that begin so in the auditor's dead-letter queue, whose alarm somebody sees.
func (f *fixture) expectUnreadable(want ...string) {
	f.t.Helper()
	got := f.queues.Bodies(auditDLQ)
	if len(got) != len(want) {
		f.t.Fatalf("the dead-letter queue has %q, want %d messages", got, len(want))
	}
	for i, body := range got {
		if !strings.HasPrefix(body, want[i]) {
			f.t.Errorf("the dead-letter queue has %s, want %s…", body, want[i])
		}
	}
}

// What of a failing batch does not come again is reported at once, and what comes again only then.
func TestAFailingBatchReportsWhatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		a := f.auditor()
		_, good := f.commit("o1")
		_, before := f.commit("o2")
		_, behind := f.commit("o3")
		for _, raw := range []*json.RawMessage{&before, &behind} {
			var r streamRecordMap
			if err := json.Unmarshal(*raw, &r); err != nil {
				t.Fatal(err)
			}
			delete(r.image(), "version")
			*raw = f.marshal(r)
		}
		sends := 0
		f.calls.Before = func(name string) error {
			if name != "SendMessage" {
				return nil
			}
			if sends++; sends == 1 {
				return errAWS
			}
			return nil
		}
		if from, err := f.stream(a, before, good, behind); err != nil || from == "" {
			t.Fatalf("the batch failed from %q: %v", from, err)
		}
		f.expectMetric("", audit.MetricUnreadable, 1)
		f.mustStream(a, good, behind)
		f.expectUnreadable(`{"condition":"Unreadable","records":1,"unreadable":[{"sequenceNumber":"`+fmt.Sprintf("%021d", 2)+`"`,
			`{"condition":"Unreadable","records":1,"unreadable":[{"sequenceNumber":"`+fmt.Sprintf("%021d", 3)+`"`)
	})
}

type streamRecordMap map[string]any

func (m streamRecordMap) image() map[string]any {
	return m["dynamodb"].(map[string]any)["NewImage"].(map[string]any)
}

// pendingEvents returns the events in the pending queue.
func (f *fixture) pendingEvents() []string {
	var ids []string
	for _, body := range f.queues.Bodies(pendingURL) {
		c, err := parseChunk(body)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, p := range c.Events {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// Where SQS fails, the batch comes again from the first event that is not noted, and no earlier one is noted twice.
func TestABatchFailsFromWhereAWSFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		a := f.auditor()
		records := make([]json.RawMessage, 2*maxEvents+1)
		for i := range records {
			_, records[i] = f.commit(fmt.Sprint("o", i))
		}
		f.calls.Before = func(name string) error {
			if name == "SendMessage" && len(f.queuesPeek()) == 1 {
				return errAWS
			}
			return nil
		}
		from, err := f.stream(a, records...)
		if want := fmt.Sprintf("%021d", maxEvents+1); err != nil || from != want {
			t.Fatalf("the batch failed from %q (%v), want from %s", from, err, want)
		}
		f.calls.Before = nil
		f.mustStream(a, records[maxEvents:]...)
		if got := f.pendingEvents(); len(got) != len(records) || got[0] != "o0-1" || got[len(got)-1] != fmt.Sprintf("o%d-1", 2*maxEvents) {
			t.Errorf("%d events are pending, want each of %d once", len(got), len(records))
		}
	})
}

// queuesPeek is for a hook, which runs while the queues are locked.
func (f *fixture) queuesPeek() []string { return f.queues.BodiesLocked(pendingURL) }

func TestAnErrorOfSSMIsNotAnOutboxWithoutConsumers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		_, rec := f.commit("o1")
		f.calls.Before = func(name string) error {
			if name == "GetParametersByPath" {
				return errAWS
			}
			return nil
		}
		if _, err := f.stream(f.auditor(), rec); err == nil {
			t.Error("a batch was accepted although the consumers are not known")
		}
		if err := f.minute(f.auditor()); err == nil {
			t.Error("a run succeeded although the consumers are not known")
		}
		f.calls.Before = nil
		delete(f.parameters.Values, "outbox")
		if _, err := f.stream(f.auditor(), rec); err == nil {
			t.Error("a batch was accepted although the outbox is not described")
		}
	})
}

func TestAnOutboxMayHaveNoConsumers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.parameters.Values = map[string]string{"outbox": f.parameters.Values["outbox"]}
		_, rec := f.commit("o1")
		a := f.auditor()
		f.mustStream(a, rec)
		f.minutes(a, 20)
		f.expectListed()
		f.expectMetric("", audit.MetricAuditRuns, 1)
	})
}

func TestAConsumerThatJoinsIsAskedForWhatCameAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.queues.Create(queueOf(shipping))
		a := f.auditor()
		_, before := f.commit("o1")
		time.Sleep(4 * time.Minute)
		_, meanwhile := f.commit("o2")
		time.Sleep(2 * time.Minute)
		_, after := f.commit("o3")
		f.mustStream(a, before, meanwhile, after)
		f.minutes(a, 20)
		f.expectListed(history+": o1-1", history+": o2-1", history+": o3-1", shipping+": o3-1")
	})
}

// The pipe tells a consumer that was there first from one that joined. What cannot be known counts as if it joined.
func TestAConsumerThatIsOlderThanThePipeIsAskedForEverything(t *testing.T) {
	everything := []string{"o1", "o2", "o3", "o4"}
	for name, test := range map[string]struct {
		pipe func(*fixture)
		want []string
	}{
		"a first deployment":       {func(f *fixture) { f.pipe.Created = time.Now() }, everything},
		"the pipe was replaced":    {func(f *fixture) { f.pipe.Created = time.Now().Add(48 * time.Hour) }, []string{"o3", "o4"}},
		"it may not be described":  {func(f *fixture) { f.refuse("DescribePipe", "AccessDeniedException") }, []string{"o3", "o4"}},
		"it is gone":               {func(f *fixture) { f.pipe.Created = time.Time{} }, []string{"o3", "o4"}},
		"it begins at the latest":  {func(f *fixture) { f.pipe.Created, f.pipe.Latest = time.Now(), true }, []string{"o3", "o4"}},
		"it is older by a second":  {func(f *fixture) { f.pipe.Created = time.Now().Add(-time.Second) }, []string{"o3", "o4"}},
		"it is of the same second": {func(f *fixture) { f.pipe.Created = time.Now().Add(100 * time.Millisecond) }, everything},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				time.Sleep(500 * time.Millisecond) // the queue's time is rounded down
				f.queues.Create(queueOf(shipping))
				test.pipe(f)
				var records []json.RawMessage
				for _, order := range everything {
					_, rec := f.commit(order)
					records = append(records, rec)
					time.Sleep(150 * time.Second)
				}
				f.mustStream(f.auditor(), records...)
				var want []string
				for _, order := range test.want {
					want = append(want, order+"-1")
				}
				if got := f.pendingFor(shipping); !slices.Equal(got, want) {
					t.Errorf("looked for are %q, want %q", got, want)
				}
			})
		})
	}
}

// A deployment that replaces a queue deletes the old one, with what is in it. One that adds a consumer again does not.
func TestAConsumerWithANewQueueDoesNotJoinAgain(t *testing.T) {
	for name, test := range map[string]struct {
		away bool
		want []string
	}{"replaced": {false, []string{"o1-1"}}, "removed and added": {true, nil}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				a := f.auditor()
				f.minutes(a, 2)
				_, rec := f.commit("o1")
				described := f.parameters.Values["consumer/Shipping"]
				if delete(f.parameters.Values, "consumer/Shipping"); test.away {
					f.minutes(a, 2)
				}
				f.queues.Create(queueOf(shipping))
				f.parameters.Values["consumer/Shipping"] = described
				f.change(func(o *description.Outbox) { o.MaximumRecordAgeSeconds = "3600" }) // a deployment changes a description
				time.Sleep(2 * time.Minute)
				f.mustStream(a, rec)
				if got := f.pendingFor(shipping); !slices.Equal(got, test.want) {
					t.Errorf("looked for are %q, want %q", got, test.want)
				}
			})
		})
	}
}

// Every other error makes the batch come again: nothing must be left out because a service is slow for a while.
func TestAnErrorOfPipesIsNotAPipeThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.refuse("DescribePipe", "ThrottlingException")
		_, rec := f.commit("o1")
		if _, err := f.stream(f.auditor(), rec); err == nil {
			t.Error("a batch was accepted although it is not known whose the events are")
		}
	})
}

// refuse lets a service answer an operation with an error.
func (f *fixture) refuse(operation, code string) {
	f.calls.Before = func(name string) error {
		if name == operation {
			return &smithy.GenericAPIError{Code: code}
		}
		return nil
	}
}

// pendingFor returns the events in the pending queue that are a consumer's.
func (f *fixture) pendingFor(consumer string) []string {
	var ids []string
	for _, body := range f.queues.Bodies(pendingURL) {
		c, err := parseChunk(body)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, p := range c.Events {
			if slices.ContainsFunc(p.Consumers, func(at int) bool { return c.Consumers[at] == consumer }) {
				ids = append(ids, p.ID)
			}
		}
	}
	return ids
}

func TestADescriptionMaySayWhenTheRuleIsActive(t *testing.T) {
	for seconds, want := range map[string][]string{
		"0":  {history + ": o1-1", history + ": o2-1", shipping + ": o1-1", shipping + ": o2-1"},
		"60": {history + ": o1-1", history + ": o2-1", shipping + ": o2-1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t)
			f.queues.Create(queueOf(shipping))
			var d description.Consumer
			name := "consumer/" + shipping[strings.LastIndex(shipping, "/")+1:]
			if err := description.Decode(f.parameters.Values[name], &d); err != nil {
				t.Fatal(err)
			}
			d.RuleActiveAfterSeconds = seconds
			f.describe(name, d)
			a := f.auditor()
			_, before := f.commit("o1")
			time.Sleep(2 * time.Minute)
			_, after := f.commit("o2")
			f.mustStream(a, before, after)
			f.minutes(a, 20)
			f.expectListed(want...)
		})
	}
}

func TestAQueueThatIsGoneHasLostItsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.queues.Remove(queueOf(shipping))
		f.change(func(d *description.Outbox) { d.Audit.RepairPerMinute = "" })
		a := f.auditor()
		_, rec := f.commit("o1")
		f.mustStream(a, rec)
		f.minutes(a, 20)
		f.expectListed(bothOf("o1-1")...)
	})
}

// An event whose writer did not say when it was written has only its own time, which may be years ago. It must not be taken
// for one that has expired.
func TestTheTimeOfTheCommitIsTheStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		a := f.auditor()
		_, rec := f.commit("o1")
		var r streamRecordMap
		if err := json.Unmarshal(rec, &r); err != nil {
			t.Fatal(err)
		}
		delete(r.image(), "writtenAt")
		r.image()["occurredAt"] = map[string]any{"N": "1"}
		f.mustStream(a, f.marshal(r))
		f.minutes(a, 20)
		f.expectListed(bothOf("o1-1")...)
		f.expectMetric(shipping, audit.MetricOldestUnconfirmed, 20*60)
	})
}

func TestAnUnknownInvocationIsRefused(t *testing.T) {
	_, err := (&auditor{}).handle(t.Context(), json.RawMessage(`{"source": "orders"}`))
	if err == nil || !strings.Contains(err.Error(), "must be a batch of a DynamoDB stream or an event of a schedule") {
		t.Errorf("got %v", err)
	}
}

// The longest keys that an event can have fit into a chunk, a message and an item.
func TestTheLongestEventFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		a := f.auditor()
		long := strings.Repeat("\x01", 1024)
		var records []json.RawMessage
		for range 50 {
			_, rec := f.commit("o1")
			var r streamRecordMap
			if err := json.Unmarshal(rec, &r); err != nil {
				t.Fatal(err)
			}
			r.image()["aggregateId"] = map[string]any{"S": long}
			records = append(records, f.marshal(r))
		}
		f.mustStream(a, records...)
		for _, body := range f.queues.Bodies(pendingURL) {
			if len(body) > 256_000 {
				t.Errorf("a pending message has %d bytes", len(body))
			}
		}
		if n := len(f.pendingEvents()); n != 50 {
			t.Errorf("%d events are pending, want 50", n)
		}
	})
}
