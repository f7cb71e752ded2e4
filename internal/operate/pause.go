package operate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	pipetypes "github.com/aws/aws-sdk-go-v2/service/pipes/types"

	"github.com/outboxkit/transactional-outbox/internal/description"
)

// A Switch pauses a consumer or the pipe, or lets it go on.
type Switch struct {
	Consumer string // id or name
	Pipe     bool
	DryRun   bool
}

// Validate reports what is wrong with the switch.
func (w Switch) Validate() error {
	if w.Pipe == (w.Consumer != "") {
		return errors.New("one of --consumer and --pipe is required")
	}
	return nil
}

// A SwitchResult is what a pause or a resume did, or would do.
type SwitchResult struct {
	What  string `json:"what"`  // "consumer Ship" or "the pipe"
	State string `json:"state"` // Lambda's or EventBridge's word for it
	// Until is until when nothing is lost while it is paused; none where that cannot be told.
	Until *time.Time `json:"until,omitempty"`
	// Since is when it was changed last: when it was paused, unless it was changed otherwise since.
	Since *time.Time `json:"since,omitempty"`
	// Lost is whether it was paused for longer than its events are kept for it.
	Lost bool `json:"lost"`
}

// streamKeeps is how long a record stays in a stream. Source: DynamoDB developer guide, Streams, "Data retention limit for
// DynamoDB Streams".
const streamKeeps = 24 * time.Hour

// A part is what can be paused: a consumer's event source mapping, or a pipe.
type part interface {
	// name returns how messages call it.
	name() string
	// state returns the service's word for its state, and when it was changed last.
	state(context.Context) (state string, since time.Time, err error)
	// words returns the states in which it works and is paused.
	words() (running, paused string)
	// reason returns what the service says of its state, "" for nothing.
	reason(context.Context) string
	// set starts a change to the one or the other.
	set(ctx context.Context, running bool) error
	// keeps returns for how long what it takes up is kept for it.
	keeps(context.Context) (time.Duration, error)
	// keepsUntil returns until when nothing of that is lost if it stands still since then, nil where that cannot be told.
	keepsUntil(ctx context.Context, keeps time.Duration, since time.Time) *time.Time
	// waits returns where that waits, and what happens then.
	waits(keeps time.Duration) string
	// bringBack returns the command line that brings back what was written since and is no longer kept.
	bringBack(since time.Time, command CommandLine) string
}

// part returns what is to be switched.
func (w Switch) part(c Clients, s *Stack, box func() (*Outbox, error)) (part, error) {
	if w.Pipe {
		o, err := box()
		if err != nil {
			return nil, err
		}
		return pipePart{c, o}, nil
	}
	consumer, err := FindConsumer(s.Consumers, w.Consumer)
	if err != nil {
		return nil, err
	}
	if consumer.Mapping == "" {
		return nil, fmt.Errorf("consumer %s was deployed by another app, and its event source mapping is not known", consumer.Label())
	}
	return consumerPart{c, consumer}, nil
}

// Pause pauses it, after a question that explains what that means. box finds the outbox whose pipe is meant.
func (w Switch) Pause(ctx context.Context, c Clients, s *Stack, box func() (*Outbox, error), d *Dialog, command CommandLine) (*SwitchResult, error) {
	p, err := w.part(c, s, box)
	if err != nil {
		return nil, err
	}
	state, since, err := p.state(ctx)
	if err != nil {
		return nil, err
	}
	keeps, err := p.keeps(ctx)
	if err != nil {
		return nil, err
	}
	result := &SwitchResult{What: p.name(), State: state}
	if _, paused := p.words(); state == paused {
		result.Since, result.Until = known(since), p.keepsUntil(ctx, keeps, since)
		d.Say("%s is paused already%s", p.name(), sinceText(since))
		return result, nil
	}
	d.Say("Pausing %s: %s", p.name(), p.waits(keeps))
	result.Until = p.keepsUntil(ctx, keeps, time.Now())
	d.Say("%s: `%s`", lossText(result.Until), command.For("resume", w.flags()...))
	if w.DryRun {
		return result, nil
	}
	if !d.Confirms("Pause it?") {
		return nil, errNothingDone
	}
	result.State, err = change(ctx, p, false, state, d)
	return result, err
}

// Resume lets it go on, and prints what it cannot deliver any more.
func (w Switch) Resume(ctx context.Context, c Clients, s *Stack, box func() (*Outbox, error), d *Dialog, command CommandLine) (*SwitchResult, error) {
	p, err := w.part(c, s, box)
	if err != nil {
		return nil, err
	}
	state, since, err := p.state(ctx)
	if err != nil {
		return nil, err
	}
	result := &SwitchResult{What: p.name(), State: state, Since: known(since)}
	if running, _ := p.words(); state == running {
		d.Say("%s is not paused", p.name())
		return result, nil
	}
	keeps, err := p.keeps(ctx)
	if err != nil {
		return nil, err
	}
	d.Say("Resuming %s, which is %s%s", p.name(), state, sinceText(since))
	result.Lost = !since.IsZero() && time.Since(since) > keeps
	switch {
	case result.Lost:
		d.Say("That is longer than the %s for which events are kept for it: what came from %s to %s is not delivered any more.",
			roundedAge(keeps), since.UTC().Format(time.RFC3339), time.Now().Add(-keeps).UTC().Format(time.RFC3339))
		d.Say("While these events are in the outbox table, bring them back once it goes on: `%s`", p.bringBack(since, command))
	default:
		d.Say("Everything that came since is kept for it; what waited before, no longer than %s in all.", roundedAge(keeps))
	}
	if w.DryRun {
		return result, nil
	}
	if !d.Confirms("Resume it?") {
		return nil, errNothingDone
	}
	result.State, err = change(ctx, p, true, state, d)
	return result, err
}

func (w Switch) flags() []string {
	if w.Pipe {
		return []string{"--pipe"}
	}
	return []string{"--consumer", w.Consumer}
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return aws.Time(t.UTC())
}

func sinceText(since time.Time) string {
	if since.IsZero() {
		return ""
	}
	return ", last changed " + since.UTC().Format(time.RFC3339) + ", " + roundedAge(time.Since(since)) + " ago"
}

const (
	switchPoll   = time.Second
	switchWithin = 5 * time.Minute // how long AWS may take; it is a minute or so
)

// change switches the part, and waits until AWS reports that it is done, or has failed; before is its state until now.
func change(ctx context.Context, p part, run bool, before string, d *Dialog) (state string, err error) {
	want, paused := p.words()
	if !run {
		want = paused
	}
	if err := p.set(ctx, run); err != nil {
		return "", fmt.Errorf("change %s: %w", p.name(), err)
	}
	moved := false // a failure of before is none of this change
	for until := time.Now().Add(switchWithin); ; {
		if state, _, err = p.state(ctx); err != nil {
			return state, err
		}
		if state == want {
			d.Say("%s is %s", p.name(), state)
			return state, nil
		}
		if moved = moved || state != before; moved && strings.HasSuffix(state, "_FAILED") {
			return state, fmt.Errorf("%s must be %s, and is %s%s", p.name(), want, state, because(p.reason(ctx)))
		}
		if time.Now().After(until) {
			return state, fmt.Errorf("%s must be %s, and is %s after %s: look at it in the AWS console", p.name(), want, state, switchWithin)
		}
		if err := sleep(ctx, switchPoll); err != nil {
			return state, fmt.Errorf("%w; the change goes on, and %s was %s", err, p.name(), state)
		}
	}
}

// A consumerPart is the event source mapping of a consumer.
type consumerPart struct {
	clients  Clients
	consumer *Consumer
}

func (p consumerPart) name() string { return "consumer " + p.consumer.Label() }

func (p consumerPart) words() (running, paused string) { return "Enabled", "Disabled" }

func (p consumerPart) state(ctx context.Context) (string, time.Time, error) {
	out, err := p.clients.Lambda.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: &p.consumer.Mapping})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("read the event source mapping of %s: %w", p.name(), err)
	}
	return aws.ToString(out.State), aws.ToTime(out.LastModified), nil
}

// reason returns nothing: Lambda has no word for a change that failed.
func (p consumerPart) reason(context.Context) string { return "" }

func (p consumerPart) set(ctx context.Context, running bool) error {
	_, err := p.clients.Lambda.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: &p.consumer.Mapping, Enabled: &running})
	return err
}

func (p consumerPart) keeps(ctx context.Context) (time.Duration, error) {
	queue, err := describeQueue(ctx, p.clients.SQS, p.consumer.Queue)
	return queue.retention, err
}

func (p consumerPart) waits(keeps time.Duration) string {
	return fmt.Sprintf("its events wait in queue %s, and the others go on. SQS deletes a message %s after it came, and then it is in no dead-letter queue. What waits already has less time.",
		queueName(p.consumer.Queue), roundedAge(keeps))
}

func (p consumerPart) bringBack(since time.Time, command CommandLine) string {
	return command.For("replay", "--consumer", p.consumer.Label(), "--since", since.UTC().Format(time.RFC3339))
}

// A pipePart is the pipe of an outbox.
type pipePart struct {
	clients Clients
	outbox  *Outbox
}

func (p pipePart) name() string { return "the pipe" }

func (p pipePart) words() (running, paused string) {
	return string(pipetypes.PipeStateRunning), string(pipetypes.PipeStateStopped)
}

func (p pipePart) state(ctx context.Context) (string, time.Time, error) {
	out, err := p.clients.Pipes.DescribePipe(ctx, &pipes.DescribePipeInput{Name: &p.outbox.Pipe})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("read pipe %s: %w", p.outbox.Pipe, err)
	}
	return string(out.CurrentState), aws.ToTime(out.LastModifiedTime), nil
}

func (p pipePart) reason(ctx context.Context) string {
	now, _ := (&Surveyor{clients: p.clients}).pipe(ctx, p.outbox.Pipe) // without it the state is said alone
	return now.Reason
}

func (p pipePart) set(ctx context.Context, running bool) (err error) {
	if running {
		_, err = p.clients.Pipes.StartPipe(ctx, &pipes.StartPipeInput{Name: &p.outbox.Pipe})
	} else {
		_, err = p.clients.Pipes.StopPipe(ctx, &pipes.StopPipeInput{Name: &p.outbox.Pipe})
	}
	return err
}

func (p pipePart) keeps(context.Context) (time.Duration, error) {
	return p.outbox.recordAge()
}

// recordAge returns the pipe's own limit where it is shorter than the stream's; -1 is none.
// Source: EventBridge Pipes API reference, PipeSourceDynamoDBStreamParameters.
func (o *Outbox) recordAge() (time.Duration, error) {
	age, err := description.Seconds(o.MaximumRecordAgeSeconds)
	if err != nil {
		return 0, fmt.Errorf("maximum record age of the pipe: %w", err)
	}
	if age > 0 && age < streamKeeps {
		return age, nil
	}
	return streamKeeps, nil
}

// streamKeeps returns how long the outbox's events wait for its pipe at most: the stream's limit where the pipe's is not known.
func (o *Outbox) streamKeeps() time.Duration {
	if age, err := o.recordAge(); err == nil {
		return age
	}
	return streamKeeps
}

func (p pipePart) waits(keeps time.Duration) string {
	return p.repairs() + fmt.Sprintf("no consumer gets new events, which are committed as before and wait in the table's stream. The pipe discards a record that is older than %s when it goes on, and then its event is in the outbox table only.", roundedAge(keeps))
}

func (p pipePart) bringBack(_ time.Time, command CommandLine) string {
	return command.For("repair", "--full") // the audit's list may not have them yet
}
