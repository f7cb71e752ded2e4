package operate

import (
	"cmp"
	"slices"
	"strings"
)

// A DeadLetterKind is whose messages a dead-letter queue holds.
type DeadLetterKind string

// The kinds of dead-letter queues.
const (
	OfConsumer DeadLetterKind = "consumer" // what a consumer could not handle
	OfRule     DeadLetterKind = "rule"     // what a rule could not put into a consumer's queue
	OfPipe     DeadLetterKind = "pipe"     // places in the stream that a pipe gave up
	OfAuditor  DeadLetterKind = "auditor"  // places in the stream that the auditor gave up
)

// deadLetterKinds are all, in the order of the flow.
var deadLetterKinds = []DeadLetterKind{OfPipe, OfRule, OfConsumer, OfAuditor}

// holdsEvents reports whether the messages hold events, and not only their places in the stream.
func (k DeadLetterKind) holdsEvents() bool { return k == OfRule || k == OfConsumer }

// A DeadLetterQueue is one of a stack's.
type DeadLetterQueue struct {
	Kind DeadLetterKind
	URL  string
	// Consumers are those whose messages it may hold. A pipe's and an auditor's hold messages of none.
	Consumers []*Consumer
	// Outbox is the one whose pipe's or auditor's it is; nil for another kind.
	Outbox *Outbox

	path   string               // " of Orders/Outbox", where the stack has several
	names  map[*Consumer]string // of those that have the label of another one: their full names
	others []*Consumer          // those of Consumers whose messages are not meant: another outbox's
}

// concerns reports whether messages of a consumer are meant. Where others share the queue, those of nobody knows whom, for
// which the consumer is nil, are not.
func (q *DeadLetterQueue) concerns(c *Consumer) bool {
	return len(q.others) == 0 || c != nil && !slices.Contains(q.others, c)
}

// Label returns how messages call the queue: "Ship", "Ship, Bill" where two consumers share it, "rules", "pipe" or "auditor",
// where there are several outboxes "pipe of Orders/Outbox".
func (q *DeadLetterQueue) Label() string {
	switch q.Kind {
	case OfRule:
		return "rules" + q.path
	case OfPipe, OfAuditor:
		return string(q.Kind) + q.path
	default:
		var labels []string
		for _, c := range q.Consumers {
			labels = append(labels, q.nameOf(c))
		}
		return strings.Join(labels, ", ")
	}
}

// nameOf returns what to call a consumer: its label, or its full name where another one has the label too.
func (q *DeadLetterQueue) nameOf(c *Consumer) string { return cmp.Or(q.names[c], c.Label()) }

// fullNames returns the full names of those consumers that have the label of another one.
func (s *Stack) fullNames() map[*Consumer]string {
	names := map[*Consumer]string{}
	first := map[string]*Consumer{}
	for _, c := range s.Consumers {
		if before := first[c.Label()]; before != nil {
			names[before], names[c] = before.fullName(), c.fullName()
			continue
		}
		first[c.Label()] = c
	}
	return names
}

// DeadLetterQueues returns the dead-letter queues of the stack in the order of the flow: pipes, rules, consumers, and then
// auditors. Of a stack
// with only some of its outboxes they are those that hold messages of these, and others may share them.
func (s *Stack) DeadLetterQueues() []*DeadLetterQueue {
	queues := s.all().allDeadLetterQueues()
	if s.whole == nil {
		return queues
	}
	own := map[string]bool{}
	for _, q := range s.allDeadLetterQueues() {
		own[q.URL] = true
	}
	for _, q := range queues {
		for _, c := range q.Consumers {
			if !slices.Contains(s.Consumers, c) {
				q.others = append(q.others, c)
			}
		}
	}
	return slices.DeleteFunc(queues, func(q *DeadLetterQueue) bool { return !own[q.URL] })
}

func (s *Stack) allDeadLetterQueues() []*DeadLetterQueue {
	var all []*DeadLetterQueue
	names := s.fullNames()
	queue := func(kind DeadLetterKind, url string) *DeadLetterQueue {
		if url == "" {
			return &DeadLetterQueue{} // of a consumer of another app, whose queues nobody has told
		}
		if n := slices.IndexFunc(all, func(q *DeadLetterQueue) bool { return q.Kind == kind && q.URL == url }); n >= 0 {
			return all[n]
		}
		q := &DeadLetterQueue{Kind: kind, URL: url, names: names}
		all = append(all, q)
		return q
	}
	for _, o := range s.Outboxes {
		own := []*DeadLetterQueue{queue(OfPipe, o.PipeDeadLetterQueue), queue(OfRule, o.RuleDeadLetterQueue)}
		own[0].Outbox = o
		if o.Audit != nil {
			auditors := queue(OfAuditor, o.Audit.DeadLetterQueue)
			auditors.Outbox = o
			own = append(own, auditors)
		}
		for _, q := range own {
			if len(s.Outboxes) > 1 {
				q.path = " of " + o.Path
			}
		}
	}
	for _, c := range s.Consumers {
		rules := queue(OfRule, c.RuleDeadLetterQueue)
		rules.Consumers = append(rules.Consumers, c)
	}
	for _, c := range s.Consumers {
		own := queue(OfConsumer, c.DeadLetterQueue)
		own.Consumers = append(own.Consumers, c)
	}
	slices.SortStableFunc(all, func(a, b *DeadLetterQueue) int {
		return cmp.Compare(slices.Index(deadLetterKinds, a.Kind), slices.Index(deadLetterKinds, b.Kind))
	})
	return all
}

// queueName returns the name of the queue with the URL.
func queueName(url string) string { return url[strings.LastIndex(url, "/")+1:] }

// isQueue reports whether a queue's ARN and its URL name the same queue: account and name are in both.
func isQueue(arn, url string) bool {
	words := strings.Split(arn, ":") // arn:aws:sqs:region:account:name
	return len(words) == 6 && strings.HasSuffix(url, "/"+words[4]+"/"+words[5])
}
