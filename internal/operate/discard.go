package operate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

// A DeadLetterDiscard deletes dead-letter messages for good.
type DeadLetterDiscard struct {
	Filter DeadLetterFilter
	// Save is the file that gets a copy of each message before it is deleted, a JSON document a line. It must not exist, or be
	// one of an earlier discard, to which it adds. Without one no copy is made.
	Save   string
	DryRun bool
}

// DefaultSave returns the file for copies where nobody names one: in the current folder, with the time in its name.
func DefaultSave(now time.Time) string {
	return "discarded-" + now.UTC().Format("20060102T150405Z") + ".jsonl"
}

// A DiscardedMessage is the copy of a message that was discarded. What a redrive would need is all in it.
type DiscardedMessage struct {
	*DeadLetterMessage
	DiscardedAt time.Time         `json:"discardedAt"`
	URL         string            `json:"url"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Body        string            `json:"body"`
}

// Run shows what would be lost, asks, copies and deletes.
func (r DeadLetterDiscard) Run(ctx context.Context, c Clients, s *Stack, d *Dialog) ([]DeadLetterResult, error) {
	filter, err := r.Filter.resolve(s)
	if err != nil {
		return nil, err
	}
	p, err := plan(ctx, c, jobsOf(s, filter), filter, d, func(j *deadLetterJob) string {
		return fmt.Sprintf("%s: about %s to discard%s", j.label(), counted(int64(j.matched), "message", "messages"), lossOf(j.queue.Kind))
	})
	if err != nil || len(p.jobs) == 0 || r.DryRun {
		return p.results(), errors.Join(err, p.problem())
	}
	d.Say("Their events will have no effect any more. While an event is in the outbox table, `outbox replay` or `outbox repair` can send it again.")
	if r.Save == "" {
		d.Say("No copy is made.")
	} else {
		d.Say("A copy of each goes into %s: it holds what the events hold.", r.Save)
	}
	if !d.Confirms("Discard them for good?") {
		return nil, errNothingDone
	}
	save, err := openCopies(r.Save)
	if err != nil {
		return nil, err
	}
	defer save.close()
	for _, j := range p.jobs {
		j.work = func(ctx context.Context, redriver *redrive.Redriver) (redrive.Report, error) {
			return redriver.Discard(ctx, j.queue.URL, func(_ context.Context, m types.Message) error { return save.add(j.queue, m) })
		}
	}
	results, err := runJobs(ctx, c, p.jobs, d, "discarded")
	return append(results, p.leftAlone()...), errors.Join(err, p.problem())
}

// lossOf returns what a message stands for.
func lossOf(kind DeadLetterKind) string {
	switch kind {
	case OfPipe:
		return ": each stands for records that no consumer has received"
	case OfAuditor:
		return ": each stands for records whose effects nobody has looked for; `outbox audit --full` does, before"
	case OfRule:
		return ": events that their consumer has not received"
	default:
		return ": events that the consumer could not handle"
	}
}

// copies is the file of what was discarded. Without a file it keeps nothing.
type copies struct {
	mu   sync.Mutex
	file *os.File
}

// openCopies opens the file for its owner alone: it will hold what the events hold.
func openCopies(name string) (*copies, error) {
	if name == "" {
		return &copies{}, nil
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("nothing was discarded, because there would be no copy: %w", err)
	}
	return &copies{file: file}, nil
}

func (c *copies) close() {
	if c.file != nil {
		c.file.Close()
	}
}

// add writes the copy of a message to the disk. Where it cannot, the message stays in its queue.
func (c *copies) add(q *DeadLetterQueue, m types.Message) error {
	if c.file == nil {
		return nil
	}
	discarded := DiscardedMessage{
		DeadLetterMessage: q.read(m), DiscardedAt: time.Now().UTC(), URL: q.URL, Body: aws.ToString(m.Body), Attributes: map[string]string{},
	}
	for name, value := range m.MessageAttributes {
		discarded.Attributes[name] = aws.ToString(value.StringValue)
	}
	line, err := json.Marshal(discarded)
	if err != nil {
		return fmt.Errorf("copy it: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("copy it: %w", err)
	}
	if err := c.file.Sync(); err != nil { // it will be gone from the queue
		return fmt.Errorf("copy it: %w", err)
	}
	return nil
}
