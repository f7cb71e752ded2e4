package operate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

// A deadLetterJob is the work on one dead-letter queue for one destination.
type deadLetterJob struct {
	queue *DeadLetterQueue
	to    string    // where the messages go, for a person
	only  *Consumer // that the filter names, if it does
	of    *Consumer // only whose messages are meant; nil: the queue's
	// unknown is whether only those are meant of which it cannot be told whose they are, in a queue that consumers share.
	unknown bool
	match   func(types.Message) bool
	// all is whether every message of the queue is meant.
	all     bool
	inOrder bool
	// nowhere is why nothing can be sent, where there is nowhere to send it.
	nowhere string
	work    func(context.Context, *redrive.Redriver) (redrive.Report, error)

	matched int
	ids     map[string]bool // of the messages that match, where they were looked at
}

func (j *deadLetterJob) label() string {
	switch {
	case j.unknown:
		return j.queue.Label() + ", whose cannot be told"
	case j.of != nil:
		return j.queue.nameOf(j.of)
	}
	return j.queue.Label()
}

// jobsOf returns a job for each queue that may hold what the filter means; for a queue that consumers share, one for each of
// them, and one for what is nobody's.
func jobsOf(s *Stack, filter DeadLetterFilter) []*deadLetterJob {
	now := time.Now()
	var jobs []*deadLetterJob
	for _, q := range s.DeadLetterQueues() {
		if filter.passesBy(q) {
			continue
		}
		consumers := []*Consumer{nil}
		if q.Kind == OfConsumer {
			consumers = q.Consumers
		}
		shared := len(consumers) > 1
		if shared && filter.consumer == nil && q.concerns(nil) {
			consumers = append(slices.Clone(consumers), nil)
		}
		for _, c := range consumers {
			if c != nil && (filter.consumer != nil && c != filter.consumer || !q.concerns(c)) {
				continue
			}
			jobs = append(jobs, &deadLetterJob{
				queue: q, only: filter.consumer, of: c, unknown: shared && c == nil, ids: map[string]bool{}, all: !shared && len(q.others) == 0 && filter.isEmpty(),
				match: func(m types.Message) bool {
					whose := q.consumerOf(m)
					return (!shared || whose == c) && q.concerns(whose) && filter.matches(q.read(m), now)
				},
			})
		}
	}
	return jobs
}

// mostLooked is how many messages of a queue are looked at for a plan.
const mostLooked = 10_000

// hasOrdered reports whether one of the consumers whose messages are meant is ordered.
func (j *deadLetterJob) hasOrdered() bool {
	return slices.ContainsFunc(j.queue.Consumers, func(c *Consumer) bool {
		return c.Ordered && j.queue.concerns(c) && (j.only == nil || c == j.only)
	})
}

// A deadLetterPlan is what a redrive or a discard will do.
type deadLetterPlan struct {
	jobs []*deadLetterJob // those that have something to do
	// idle are those that have something and nowhere to send it.
	idle []*deadLetterJob
	// unseen is the error for the messages of queues in which nothing was found and not all was looked at: what is meant may be
	// among them.
	unseen error
}

// plan counts what is meant, and says it, with a line for each job.
func plan(ctx context.Context, c Clients, jobs []*deadLetterJob, filter DeadLetterFilter, d *Dialog, line func(*deadLetterJob) string) (*deadLetterPlan, error) {
	counts, err := countAll(ctx, c.SQS, jobs)
	p := &deadLetterPlan{}
	if err != nil {
		return p, err
	}
	for _, j := range jobs {
		switch {
		case j.matched == 0:
		case j.nowhere != "":
			p.idle = append(p.idle, j)
			d.Say("%s: %s, %s", j.label(), counted(int64(j.matched), "message", "messages"), j.nowhere)
		default:
			p.jobs = append(p.jobs, j)
			d.Say("%s", line(j))
		}
	}
	p.sayUnseen(counts, filter, d)
	if len(p.jobs) == 0 && len(p.idle) == 0 && p.unseen == nil {
		d.Say("no dead-letter messages that match")
	}
	if filter.namesEvents() {
		d.Say("%s", pipeHoldsNoEvents)
	}
	return p, nil
}

// sayUnseen says in which queues something may be meant that nobody has seen. Where a queue is worked on, its own result
// tells. There is only one message with an id.
func (p *deadLetterPlan) sayUnseen(counts []*jobCount, filter DeadLetterFilter, d *Dialog) {
	var problems []error
	for _, one := range counts {
		for _, j := range one.jobs {
			if filter.ID != "" && j.ids[filter.ID] {
				return
			}
		}
		if one.unseen > 0 && !one.hasWork() {
			label := one.jobs[0].queue.Label()
			d.Say("%s: %d more are hidden or were not looked at", label, one.unseen)
			problems = append(problems, fmt.Errorf("%s: %d messages were not seen, and may be meant: another receiver has them, or they have just arrived; try again in a few minutes", label, one.unseen))
		}
	}
	p.unseen = errors.Join(problems...)
}

// results are those of a plan that was not carried out.
func (p *deadLetterPlan) results() []DeadLetterResult {
	all := []DeadLetterResult{}
	for _, j := range p.jobs {
		all = append(all, DeadLetterResult{Queue: j.label(), To: j.to, Matched: j.matched})
	}
	return append(all, p.leftAlone()...)
}

// leftAlone are the results of the idle jobs. It names the messages of which it cannot be told whose they are.
func (p *deadLetterPlan) leftAlone() (all []DeadLetterResult) {
	for _, j := range p.idle {
		result := DeadLetterResult{Queue: j.label(), Matched: j.matched}
		if j.unknown {
			for _, id := range slices.Sorted(maps.Keys(j.ids)) {
				result.Kept = append(result.Kept, KeptMessage{id, j.nowhere})
			}
		}
		all = append(all, result)
	}
	return all
}

// problem is what a plan leaves for a person, whatever becomes of its jobs.
func (p *deadLetterPlan) problem() error {
	problems := []error{p.unseen}
	for _, result := range p.leftAlone() {
		problems = append(problems, result.problem())
	}
	return errors.Join(problems...)
}

// A jobCount is what was found for the jobs of one queue. They are counted together: a look hides messages from another one.
type jobCount struct {
	jobs   []*deadLetterJob
	unseen int // messages that were not looked at
}

func (n *jobCount) hasWork() bool {
	for _, j := range n.jobs {
		if j.matched > 0 {
			return true
		}
	}
	return false
}

// countAll fills in how many messages each job means.
func countAll(ctx context.Context, queues SQS, jobs []*deadLetterJob) ([]*jobCount, error) {
	var counts []*jobCount
	of := map[*DeadLetterQueue]*jobCount{}
	for _, j := range jobs {
		if of[j.queue] == nil {
			of[j.queue] = &jobCount{}
			counts = append(counts, of[j.queue])
		}
		of[j.queue].jobs = append(of[j.queue].jobs, j)
	}
	var all errgroup.Group
	all.SetLimit(looksAtOnce)
	for _, one := range counts {
		all.Go(func() error { return one.count(ctx, queues) })
	}
	return counts, all.Wait()
}

// count counts by SQS's count where all are meant, else by looking.
func (n *jobCount) count(ctx context.Context, queues SQS) (err error) {
	first := n.jobs[0]
	if first.all {
		first.matched, err = countMessages(ctx, queues, first.queue.URL)
		return err
	}
	looked, err := look(ctx, queues, first.queue, mostLooked, func(m *DeadLetterMessage) {
		for _, j := range n.jobs {
			if j.match(m.message) {
				j.matched++
				j.ids[aws.ToString(m.message.MessageId)] = true
			}
		}
	})
	n.unseen = looked.Total - looked.Looked
	return err
}
