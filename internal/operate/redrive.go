package operate

import (
	"context"
	"errors"
	"fmt"

	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

// A DeadLetterRedrive sends dead-letter messages back to where they were not delivered.
type DeadLetterRedrive struct {
	Filter DeadLetterFilter
	// Forgotten also sends messages whose event the consumer may not remember any more.
	Forgotten bool
	DryRun    bool
}

// A DeadLetterResult is what became of the messages of one dead-letter queue.
type DeadLetterResult struct {
	Queue   string        `json:"queue"`
	To      string        `json:"to,omitempty"`
	Matched int           `json:"matched"` // about, before it began
	Done    int           `json:"done"`    // redriven, or discarded
	Kept    []KeptMessage `json:"kept,omitempty"`
	Skipped int           `json:"skipped"` // that the filter does not match
	Left    int           `json:"left"`    // that others have, by SQS's count
}

// A KeptMessage is a message that stays in its dead-letter queue, with the reason.
type KeptMessage struct {
	MessageID string `json:"messageId"`
	Reason    string `json:"reason"`
}

// toDestination makes the job send messages to where they were not delivered.
func (j *deadLetterJob) toDestination(forgotten bool) error {
	q := j.queue
	if j.unknown {
		j.nowhere = "it cannot be told of which consumer it is: see outbox dead-letters show, then discard it"
		return nil
	}
	switch q.Kind {
	case OfAuditor:
		j.nowhere = "and nothing to send again: consumers have got their events, and nobody has looked for the effects; run outbox audit --full, then outbox dead-letters discard --kind auditor"
	case OfRule:
		j.to, j.inOrder = "the queues that they were for", j.hasOrdered()
		j.work = func(ctx context.Context, r *redrive.Redriver) (redrive.Report, error) { return r.Rule(ctx, q.URL) }
	case OfPipe:
		target := redrive.PipeTarget{Bus: q.Outbox.Bus, OutboxTable: q.Outbox.Table, Source: q.Outbox.Source}
		j.to = "bus " + target.Bus
		j.work = func(ctx context.Context, r *redrive.Redriver) (redrive.Report, error) {
			return r.Pipe(ctx, q.URL, target)
		}
	default:
		memory, err := description.Seconds(j.of.MemorySeconds)
		if err != nil {
			return fmt.Errorf("memory of consumer %s: %w", j.of.Label(), err)
		}
		target := redrive.ConsumerTarget{Queue: j.of.Queue, Memory: memory}
		if forgotten {
			target.Memory = 0
		}
		j.to, j.inOrder = "queue "+queueName(target.Queue), j.of.Ordered
		j.work = func(ctx context.Context, r *redrive.Redriver) (redrive.Report, error) {
			return r.Consumer(ctx, q.URL, target)
		}
	}
	return nil
}

// errNothingDone reports that nothing was changed.
var errNothingDone = errors.New("nothing was done: answer y, or give --yes")

// Run shows what it will do, asks, and redrives. The results are those of the queues that it worked on; the error names
// what stays. It may be interrupted and run again: a message is deleted only after it was accepted where it belongs.
func (r DeadLetterRedrive) Run(ctx context.Context, c Clients, s *Stack, d *Dialog) ([]DeadLetterResult, error) {
	filter, err := r.Filter.resolve(s)
	if err != nil {
		return nil, err
	}
	jobs := jobsOf(s, filter)
	for _, j := range jobs {
		if err := j.toDestination(r.Forgotten); err != nil {
			return nil, err
		}
	}
	p, err := plan(ctx, c, jobs, filter, d, func(j *deadLetterJob) string {
		text := fmt.Sprintf("%s: about %s to %s", j.label(), counted(int64(j.matched), "message", "messages"), j.to)
		if j.inOrder {
			text += ", in the order of their versions"
		}
		return text
	})
	if err != nil || len(p.jobs) == 0 || r.DryRun {
		return p.results(), errors.Join(err, p.problem())
	}
	if r.Forgotten {
		d.Say("Messages whose event a consumer may have forgotten go, too: if it took effect before, it will again.")
	}
	if !d.Confirms("Redrive them?") {
		return nil, errNothingDone
	}
	results, err := runJobs(ctx, c, p.jobs, d, "redriven")
	return append(results, p.leftAlone()...), errors.Join(err, p.problem())
}

// runJobs does the jobs one after the other, so that an operator can follow them.
func runJobs(ctx context.Context, c Clients, jobs []*deadLetterJob, d *Dialog, done string) ([]DeadLetterResult, error) {
	results := []DeadLetterResult{}
	var problems []error
	for _, j := range jobs {
		progress := d.Begin(done+" of "+j.label(), j.matched)
		selection := redrive.Selection{InOrder: j.inOrder, Progress: func(r redrive.Report) { progress.At(r.Redriven + len(r.Kept)) }}
		if !j.all {
			selection.Match = j.match
		}
		report, err := j.work(ctx, newRedriver(c).Selecting(selection))
		progress.End(report.Redriven + len(report.Kept))
		result := resultOf(j, report)
		results = append(results, result)
		d.Say("%s: %d %s, %d kept, %d still in flight", result.Queue, result.Done, done, len(result.Kept), result.Left)
		problems = append(problems, err, result.problem())
		if ctx.Err() != nil {
			return results, errors.Join(append(problems, errors.New("interrupted; run it again to go on"))...)
		}
	}
	return results, errors.Join(problems...)
}

func resultOf(j *deadLetterJob, report redrive.Report) DeadLetterResult {
	result := DeadLetterResult{
		Queue: j.label(), To: j.to, Matched: j.matched,
		Done: report.Redriven, Skipped: report.Skipped, Left: report.Left,
	}
	for _, kept := range report.Kept {
		result.Kept = append(result.Kept, KeptMessage{kept.MessageID, kept.Err.Error()})
	}
	return result
}

// maxKeptNamed is how many kept messages an error names.
const maxKeptNamed = 20

// problem returns what stays in the queue and why, nil where nothing does.
func (r DeadLetterResult) problem() error {
	var problems []error
	for n, kept := range r.Kept {
		if n == maxKeptNamed {
			problems = append(problems, fmt.Errorf("%s: %d more messages were kept; --json names them all", r.Queue, len(r.Kept)-n))
			break
		}
		problems = append(problems, fmt.Errorf("%s: message %s was kept: %s", r.Queue, kept.MessageID, kept.Reason))
	}
	if len(r.Kept) > 0 {
		problems = append(problems, fmt.Errorf("%s: what was kept waits there. What its consumer may have forgotten: see with outbox trace that it had no effect, then add --forgotten. "+
			"What nobody can read: outbox dead-letters discard", r.Queue))
	}
	if r.Left > 0 {
		problems = append(problems, fmt.Errorf("%s: by SQS's count the queue holds %d more: another receiver has them or they have just arrived; try again in a few minutes", r.Queue, r.Left))
	}
	return errors.Join(problems...)
}
