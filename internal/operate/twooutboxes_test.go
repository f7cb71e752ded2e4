package operate

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// twoOutboxes is a stack with the outboxes A and B. Each has a consumer Ship with queues of its own, and a consumer Bill; both
// Bills and both outboxes' rules share their dead-letter queues.
func twoOutboxes() *Stack {
	s := &Stack{Name: "Orders"}
	for _, id := range []string{"a", "b"} {
		box := &Outbox{}
		box.Path, box.Source, box.RuleDeadLetterQueue, box.PipeDeadLetterQueue = "Orders/"+id, "orders", queueURLs+"rules-dlq", queueURLs+id+"-pipe-dlq"
		for name, dlq := range map[string]string{"Ship": id + "-ship-dlq", "Bill": "bills-dlq"} {
			c := &Consumer{Outbox: box}
			c.ID, c.Name, c.MaxReceiveCount = name, box.Path+"/"+name, "5"
			c.Queue, c.DeadLetterQueue, c.RuleDeadLetterQueue = queueURLs+id+"-"+name, queueURLs+dlq, box.RuleDeadLetterQueue
			box.Consumers = append(box.Consumers, c)
		}
		byLabel(box.Consumers)
		s.Outboxes, s.Consumers = append(s.Outboxes, box), append(s.Consumers, box.Consumers...)
	}
	byLabel(s.Consumers)
	return s
}

// inBoth are queues with a dead-letter message of each consumer, and an undelivered one for each Ship.
func inBoth() *fakeQueues {
	q := newFakeQueues()
	for n, id := range []string{"a", "b"} {
		q.add(queueURLs+id+"-ship-dlq", body("ship-"+id, n+1), failedOf("Orders/"+id+"/Ship", id+"-Ship", "no such address"))
		q.add(queueURLs+"bills-dlq", body("bill-"+id, n+1), failedOf("Orders/"+id+"/Bill", id+"-Bill", "card declined"))
		q.add(queueURLs+"rules-dlq", body("rule-"+id, n+1), notDelivered(id+"-Ship"))
		q.add(queueURLs+id+"-pipe-dlq", `{}`, nil)
	}
	return q
}

// TestOneOutboxOnly: what is another outbox's is neither shown nor touched, also in queues that both use.
func TestOneOutboxOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		only, err := twoOutboxes().Only("a")
		if err != nil {
			t.Fatal(err)
		}
		q := inBoth()
		l, err := ListDeadLetters(t.Context(), Clients{SQS: q}, only, DeadLetterFilter{}, 100)
		if err != nil || len(l.Messages) != 4 {
			t.Errorf("it shows %v (%v), want the four of a", whoseAll(l), err)
		}
		d, _ := dialog("y\n")
		if _, err := (DeadLetterDiscard{}).Run(t.Context(), Clients{SQS: q}, only, d); err != nil {
			t.Fatal(err)
		}
		for queue, want := range map[string][]string{
			"a-ship-dlq": nil, "b-ship-dlq": {"ship-b-2"}, "bills-dlq": {"bill-b-2"}, "rules-dlq": {"rule-b-2"},
		} {
			if got := q.events(queue); !slices.Equal(got, want) {
				t.Errorf("%s has %v, want %v", queue, got, want)
			}
		}
		for queue, want := range map[string]int{"a-pipe-dlq": 0, "b-pipe-dlq": 1} {
			if got, _ := q.counts(queueURLs + queue); got != want {
				t.Errorf("%s has %d messages, want %d", queue, got, want)
			}
		}
	})
}

// TestAConsumerAndItsNamesake: a consumer of another outbox with the same id is another one.
func TestAConsumerAndItsNamesake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, s := inBoth(), twoOutboxes()
		filter := DeadLetterFilter{Consumer: "Orders/a/Ship"}
		l, err := ListDeadLetters(t.Context(), Clients{SQS: q}, s, filter, 100)
		if want := []string{"Orders/a/Ship ship-a-1: no such address", "rule: Orders/a/Ship rule-a-1: NO_PERMISSIONS: access denied"}; err != nil || !slices.Equal(whoseAll(l), want) {
			t.Errorf("it shows %v (%v), want %v", whoseAll(l), err, want)
		}
		d, notes := dialog("y\n")
		if _, err := (DeadLetterDiscard{Filter: filter}).Run(t.Context(), Clients{SQS: q}, s, d); err != nil {
			t.Fatal(err)
		}
		if got := append(q.events("b-ship-dlq"), q.events("rules-dlq")...); !slices.Equal(got, []string{"ship-b-2", "rule-b-2"}) {
			t.Errorf("%v are left, want those of its namesake; it said %s", got, notes)
		}
		if !strings.Contains(notes.String(), "Orders/a/Ship: about 1 message") {
			t.Errorf("it does not say which Ship: %s", notes)
		}
		_, err = ListDeadLetters(t.Context(), Clients{SQS: q}, s, DeadLetterFilter{Consumer: "Ship"}, 100)
		if err == nil || !strings.Contains(err.Error(), "Orders/a/Ship, Orders/b/Ship") {
			t.Errorf("a name of two: got %v, want what to say", err)
		}
		for _, c := range s.Consumers {
			name := c.fullName()
			c.Name = "" // without an inbox
			if found, err := FindConsumer(s.Consumers, name); found != c {
				t.Errorf("%s without an inbox: found %+v (%v)", name, found, err)
			}
		}
	})
}
