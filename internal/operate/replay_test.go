package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/runtime/inbox"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A replayed is a stack whose outbox table and inbox table are in DynamoDB Local.
type replayed struct {
	stack  *Stack
	queues *fakeQueues
	t      *testing.T
}

func newReplayed(t *testing.T) *replayed {
	t.Helper()
	r := &replayed{stack: watched(), queues: newFakeQueues(), t: t}
	table := strings.NewReplacer("/", "-", " ", "-", ",", "").Replace(t.Name()) + "-events"
	_, err := db.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}, {AttributeName: aws.String("sk"), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}, {AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.stack.Outboxes[0].Table = table
	inboxTable := newInbox(t)
	for _, c := range r.stack.Consumers {
		c.InboxTable = inboxTable
		c.Pattern = []byte(`{"source":["orders"],"detail-type":["OrderUpdated"],"account":["111122223333"]}`)
	}
	r.consumer("Bill").Pattern = []byte(`{"source":["orders"],"detail-type":["OrderPaid"]}`)
	return r
}

func (r *replayed) consumer(id string) *Consumer {
	c, err := FindConsumer(r.stack.Consumers, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// commit writes an event that was written at the time.
func (r *replayed) commit(eventType, order string, version int64, at time.Time) {
	r.t.Helper()
	e := record.Event{
		ID: fmt.Sprintf("%s-%d", order, version), Type: eventType, Source: "orders", AggregateType: "Order", AggregateID: order,
		Version: version, OccurredAt: at, Data: []byte(`{"note":"ä <\"'"}`),
	}
	it, err := e.Item(time.Now().Add(24 * time.Hour))
	if err != nil {
		r.t.Fatal(err)
	}
	put(r.t, r.stack.Outboxes[0].Table, it)
}

// clients are those of a replay; reads counts the scans.
func (r *replayed) clients(scans *int) Clients {
	return Clients{DynamoDB: scanCounter{db, scans}, SQS: r.queues}
}

type scanCounter struct {
	*dynamodb.Client
	n *int
}

func (c scanCounter) Scan(ctx context.Context, in *dynamodb.ScanInput, options ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	if c.n != nil {
		*c.n++
	}
	return c.Client.Scan(ctx, in, options...)
}

func (r *replayed) run(replay Replay, answers string) (*ReplayResult, string, error) {
	r.t.Helper()
	d, notes := dialog(answers)
	result, err := replay.Run(r.t.Context(), r.clients(nil), r.stack, d, CommandLine{Stack: "Orders"})
	return result, notes.String(), err
}

func TestReplay(t *testing.T) {
	r := newReplayed(t)
	now := time.Now().Truncate(time.Millisecond)
	for v := range int64(3) {
		r.commit("OrderUpdated", "o-1", v+1, now.Add(time.Duration(v-10)*time.Minute))
		r.commit("OrderUpdated", "o-2", v+1, now.Add(time.Duration(v-5)*time.Hour))
	}
	r.commit("OrderPaid", "o-3", 1, now)
	other := item{"pk": text("Order#o-1"), "sk": text("event#x"), "recordType": text(record.RecordTypeEvent), "source": text("billing")}
	put(t, r.stack.Outboxes[0].Table, other)
	put(t, r.stack.Outboxes[0].Table, item{"pk": text("Order#o-1"), "sk": text("order")}) // a table may be shared

	for name, tc := range map[string]struct {
		replay Replay
		want   []string
	}{
		"all that its rule matches": {Replay{Consumer: "Ship"}, []string{"o-2-1", "o-2-2", "o-2-3", "o-1-1", "o-1-2", "o-1-3"}},
		"another rule":              {Replay{Consumer: "Bill"}, []string{"o-3-1"}},
		"since":                     {Replay{Consumer: "Ship", Since: now.Add(-time.Hour)}, []string{"o-1-1", "o-1-2", "o-1-3"}},
		"until":                     {Replay{Consumer: "Ship", Until: now.Add(-9 * time.Minute)}, []string{"o-2-1", "o-2-2", "o-2-3", "o-1-1"}},
		"a type":                    {Replay{Consumer: "Ship", Type: "OrderPaid"}, nil},
		"an aggregate":              {Replay{Consumer: "Ship", Aggregate: "Order#o-1"}, []string{"o-1-1", "o-1-2", "o-1-3"}},
		"an aggregate's id":         {Replay{Consumer: "Ship", Aggregate: "o-2"}, []string{"o-2-1", "o-2-2", "o-2-3"}},
	} {
		r.queues = newFakeQueues()
		d, notes := dialog("y\n")
		scans := 0
		result, err := tc.replay.Run(t.Context(), r.clients(&scans), r.stack, d, CommandLine{Stack: "Orders"})
		if err != nil || result.Sent != len(tc.want) {
			t.Fatalf("%s: %+v, %v; it said %s", name, result, err, notes)
		}
		queue := strings.ToLower(tc.replay.Consumer)
		if got := r.queues.events(queue); !slices.Equal(got, tc.want) {
			t.Errorf("%s: the queue has %v, want %v", name, got, tc.want)
		}
		for url := range r.queues.messages {
			if queueName(url) != queue {
				t.Errorf("%s: queue %s got something", name, url)
			}
		}
		if (scans == 0) != strings.Contains(tc.replay.Aggregate, "#") {
			t.Errorf("%s: the table was scanned %d times", name, scans)
		}
	}
}

// TestReplayedInTheOrderOfVersions: writers' clocks may go back.
func TestReplayedInTheOrderOfVersions(t *testing.T) {
	r := newReplayed(t)
	now := time.Now()
	for v := range int64(250) { // more than one read, and than one request of messages
		r.commit("OrderUpdated", "o-1", v+1, now.Add(-time.Duration(v)*time.Second))
	}
	r.queues.refuse["3"] = true // once, in the first request
	result, notes, err := r.run(Replay{Consumer: "History"}, "y\n")
	if err != nil || result.Sent != 250 {
		t.Fatalf("%+v, %v; it said %s", result, err, notes)
	}
	var want []string
	for v := range 250 {
		want = append(want, fmt.Sprint("o-1-", v+1))
	}
	got := r.queues.events("history")
	if slices.Sort(want[:10]); len(got) < 10 || !slices.Equal(sorted(got[:10]), want[:10]) { // the refused one comes right after its request
		t.Errorf("the first request is %v", got[:10])
	}
	if !slices.Equal(got[10:], want[10:]) {
		t.Errorf("the others are %v", got[10:])
	}
}

func sorted(all []string) []string {
	all = slices.Clone(all)
	slices.Sort(all)
	return all
}

// TestReplayOfWhatMayBeForgotten asks once more, and --yes is no answer.
func TestReplayOfWhatMayBeForgotten(t *testing.T) {
	for name, tc := range map[string]struct {
		consumer string
		answers  string
		yes      bool
		replay   Replay
		want     int
	}{
		"yes to both":              {"Ship", "y\ny\n", false, Replay{}, 3},
		"no to the old ones":       {"Ship", "n\ny\n", false, Replay{}, 2},
		"no to all":                {"Ship", "y\nn\n", false, Replay{}, 0},
		"--yes":                    {"Ship", "", true, Replay{}, 2},
		"--yes and --forgotten":    {"Ship", "", true, Replay{Forgotten: true}, 3},
		"one that never forgets":   {"History", "", true, Replay{}, 3},
		"one that has no inbox":    {"NoInbox", "", true, Replay{}, 0},
		"no inbox and --forgotten": {"NoInbox", "", true, Replay{Forgotten: true}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReplayed(t)
			r.commit("OrderUpdated", "o-1", 1, time.Now().Add(-9*24*time.Hour)) // remembered for 10 days, and may wait in the queue for 4
			r.commit("OrderUpdated", "o-1", 2, time.Now())
			r.commit("OrderUpdated", "o-1", 3, time.Now())
			if tc.consumer == "NoInbox" {
				c := r.consumer("Ship")
				c.ID, c.Inbox = "NoInbox", "NONE"
			}
			d, notes := dialog(tc.answers)
			d.Yes = tc.yes
			tc.replay.Consumer = tc.consumer
			result, err := tc.replay.Run(t.Context(), r.clients(nil), r.stack, d, CommandLine{})
			if (err != nil) != (tc.want == 0) || result.Sent != tc.want {
				t.Errorf("%d were sent (%v), want %d; it said %s", result.Sent, err, tc.want, notes)
			}
			if tc.consumer != "History" && !strings.Contains(notes.String(), "may not remember") {
				t.Errorf("it did not warn: %s", notes)
			}
		})
	}
}

// TestAnInterruptedReplayGoesOn with the command line that it prints.
func TestAnInterruptedReplayGoesOn(t *testing.T) {
	r := newReplayed(t)
	now := time.Now()
	for n := range 350 {
		r.commit("OrderUpdated", fmt.Sprintf("o-%03d", n), 1, now.Add(time.Duration(n-1000)*time.Second))
	}
	ctx, interrupt := context.WithCancel(t.Context())
	n := 0
	r.queues.onSend = func() {
		if n++; n == 15 {
			interrupt()
		}
	}
	d, _ := dialog("y\n")
	result, err := Replay{Consumer: "Ship"}.Run(ctx, r.clients(nil), r.stack, d, CommandLine{Stack: "Orders"})
	if !errors.Is(err, context.Canceled) || result.Continue == "" || !strings.Contains(err.Error(), result.Continue) {
		t.Fatalf("got %+v, %v; want an interruption and how to go on", result, err)
	}
	words := strings.Fields(result.Continue)
	since, err := time.Parse(time.RFC3339, words[slices.Index(words, "--since")+1])
	if err != nil {
		t.Fatal(err)
	}
	rest, _, err := r.run(Replay{Consumer: "Ship", Since: since}, "y\n")
	if err != nil || rest.Sent >= 350 {
		t.Fatalf("%+v, %v", rest, err)
	}
	got := sorted(r.queues.events("ship"))
	if len(got) > 350+100 {
		t.Errorf("%d were sent in all", len(got))
	}
	if got = slices.Compact(got); len(got) != 350 {
		t.Errorf("%d of 350 reached the queue", len(got))
	}
}

// TestWhatGoesOnIsWhatWasAsked: what was said about forgotten events holds for the rest too.
func TestWhatGoesOnIsWhatWasAsked(t *testing.T) {
	for name, tc := range map[string]struct {
		replay  Replay
		answers string
		want    bool
	}{
		"a yes":       {Replay{}, "y\ny\n", true},
		"a no":        {Replay{}, "n\ny\n", false},
		"--forgotten": {Replay{Forgotten: true}, "y\n", true},
		"--as-new":    {Replay{AsNew: true}, "y\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReplayed(t)
			r.commit("OrderUpdated", "o-1", 1, time.Now().Add(-9*24*time.Hour))
			r.commit("OrderUpdated", "o-1", 2, time.Now())
			tc.replay.Consumer = "Ship"
			clients := r.clients(nil)
			clients.SQS = refusing{r.queues}
			d, _ := dialog(tc.answers)
			result, err := tc.replay.Run(t.Context(), clients, r.stack, d, CommandLine{Stack: "Orders"})
			if !errors.Is(err, errNoMore) || strings.Contains(result.Continue, "--forgotten") != tc.want {
				t.Errorf("it goes on with %q (%v), want --forgotten: %v", result.Continue, err, tc.want)
			}
		})
	}
}

var errNoMore = errors.New("no more")

// refusing are queues that take nothing.
type refusing struct{ *fakeQueues }

func (refusing) SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	return nil, errNoMore
}

// handle lets the real inbox handle what is in the consumer's queue, and returns the events that took effect.
func (r *replayed) handle(c *Consumer) (handled []string) {
	r.t.Helper()
	store, err := inbox.New(db, noQueue{}, inbox.Config{
		Table: c.InboxTable, Consumer: c.Name, TTL: time.Hour, QueueURL: "queue", DeadLetterQueueURL: "dlq",
		OriginTable: r.stack.Outboxes[0].Table, Logger: slog.New(slog.DiscardHandler), Metrics: io.Discard,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	options := []inbox.Option{inbox.ReadFirst()}
	if c.Ordered {
		options = append(options, inbox.InOrder())
	}
	handler := inbox.Handler(store, func(_ context.Context, _ *outbox.Tx, event record.Event) error {
		if string(event.Data) != `{"note":"ä <\"'"}` {
			r.t.Errorf("the data is %s", event.Data)
		}
		handled = append(handled, event.ID)
		return nil
	}, options...)
	for n, m := range r.queues.messages[c.Queue] {
		if _, err := handler(r.t.Context(), events.SQSEvent{Records: []events.SQSMessage{{MessageId: fmt.Sprint("m-", n), Body: *m.Body}}}); err != nil {
			r.t.Fatal(err)
		}
	}
	delete(r.queues.messages, c.Queue)
	return handled
}

// TestAReplayHasNoSecondEffect, and one as new has.
func TestAReplayHasNoSecondEffect(t *testing.T) {
	for _, id := range []string{"Ship", "History"} {
		t.Run(id, func(t *testing.T) {
			r := newReplayed(t)
			c := r.consumer(id)
			for v := int64(1); v <= 4; v++ {
				r.commit("OrderUpdated", "o-1", v, time.Now())
			}
			r.commit("OrderUpdated", "o-2", 1, time.Now())
			effects := func(replay Replay) []string {
				replay.Consumer = id
				if _, notes, err := r.run(replay, "y\ny\n"); err != nil {
					t.Fatalf("%v; it said %s", err, notes)
				}
				return sorted(r.handle(c))
			}
			all := []string{"o-1-1", "o-1-2", "o-1-3", "o-1-4", "o-2-1"}
			if got := effects(Replay{}); !slices.Equal(got, all) {
				t.Fatalf("the first time %v took effect", got)
			}
			if got := effects(Replay{}); len(got) != 0 {
				t.Errorf("a replay had the effects %v once more", got)
			}
			if got := effects(Replay{AsNew: true, Aggregate: "Order#o-1"}); !slices.Equal(got, all[:4]) {
				t.Errorf("as new, the aggregate has the effects %v", got)
			}
			if got := effects(Replay{}); len(got) != 0 {
				t.Errorf("after that a replay had the effects %v once more", got)
			}
			// The first versions have left the table: an ordered consumer must not wait for them.
			_, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &r.stack.Outboxes[0].Table, Key: item{"pk": text("Order#o-1"), "sk": text("event#o-1-2")}})
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"o-1-1", "o-1-3", "o-1-4", "o-2-1"}
			if c.Ordered {
				want = want[1:]
			}
			if got := effects(Replay{AsNew: true}); !slices.Equal(got, want) {
				t.Errorf("as new, without version 2, the effects are %v, want %v", got, want)
			}
		})
	}
}

func TestReplayRefuses(t *testing.T) {
	r := newReplayed(t)
	r.consumer("Bill").Inbox = "NONE"
	told := &Consumer{Outbox: r.stack.Outboxes[0]}
	told.ID = "Told"
	imported := &Consumer{}
	imported.ID = "Imported"
	r.stack.Consumers = append(r.stack.Consumers, told, imported)
	for says, replay := range map[string]Replay{
		"one of Bill, History, Ship":            {Consumer: "Shop"},
		"has no inbox and remembers nothing":    {Consumer: "Bill", AsNew: true},
		"can forget whole aggregates only":      {Consumer: "History", AsNew: true, Since: time.Now()},
		"is not known: tell the audit":          {Consumer: "Told"},
		"an outbox that another stack has":      {Consumer: "Imported"},
		"has no archive":                        {Consumer: "Ship", FromArchive: true, Since: time.Now()},
		"nothing was done: answer y, or give -": {Consumer: "Ship", AsNew: true},
	} {
		r.commit("OrderUpdated", "o-1", 1, time.Now())
		if _, _, err := r.run(replay, "n\n"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: got %v, want %q", replay, err, says)
		}
	}
	if len(r.queues.messages) > 0 {
		t.Errorf("queues got something: %v", r.queues.messages)
	}
}
