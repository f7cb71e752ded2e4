package smoke

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	"github.com/aws/aws-sdk-go-v2/service/pipes/types"
	smithytime "github.com/aws/smithy-go/time"

	"github.com/outboxkit/transactional-outbox/internal/operate"
)

var recordAgeCheck = Check{
	Number: 14, Title: "a record that a stopped pipe has let grow too old",
	Does: "sets the pipe's MaximumRecordAge to 60 s, stops it for two minutes, commits 1 event, and puts all back; what others commit meanwhile is late",
	Open: "what Pipes does with such a record, and the condition in its dead-letter message",

	Minutes: 8, Dollars: 0.001, run: recordAge,
}

const (
	shortAge  = 60 // seconds, the least. Source: Pipes API reference, PipeSourceDynamoDBStreamParameters
	olderThan = 100 * time.Second
)

func recordAge(ctx context.Context, j *job) error {
	t, err := j.tap(ctx)
	if err != nil {
		return err
	}
	before, err := j.Clients.Pipe.DescribePipe(ctx, &pipes.DescribePipeInput{Name: &j.Outbox.Pipe})
	if err != nil {
		return fmt.Errorf("read pipe %s: %w", j.Outbox.Pipe, err)
	}
	shortened, err := j.shortenAge(ctx, before)
	if err != nil {
		return err
	}
	j.cleanups.add("the stopped pipe "+j.Outbox.Pipe+": "+j.Command.For("resume", "--pipe"), func(ctx context.Context) error {
		return j.switchPipe(ctx, operate.Switch.Resume)
	})
	if err := j.switchPipe(ctx, operate.Switch.Pause); err != nil {
		return err
	}
	id, err := j.writeOne(ctx, t, smokeType, "old", map[string]int{"n": 1})
	if err != nil {
		return err
	}
	if shortened {
		if err := smithytime.SleepWithContext(ctx, olderThan); err != nil {
			return err
		}
	}
	if err := j.take(ctx, t.consumer); err != nil {
		return err
	}
	expect(&j.findings, "how often it arrived while the pipe was stopped", len(t.messages[id]), 0)
	began := time.Now()
	if err := j.switchPipe(ctx, operate.Switch.Resume); err != nil {
		return err
	}
	if shortened {
		err = j.oldRecord(ctx, t, id, began)
	} else if _, err = j.arrives(ctx, t.consumer, id); err == nil {
		j.differ("the local run does not change MaximumRecordAge: the event was younger, and arrived %s after the pipe was started", time.Since(began).Round(100*time.Millisecond))
	}
	if err != nil {
		return err
	}
	return j.onlyOneEffect(ctx, t.consumer, id)
}

// oldRecord waits for what became of the record: it is in the dead-letter queue, and redriven, or was delivered all the same.
func (j *job) oldRecord(ctx context.Context, t *tap, id string, began time.Time) error {
	var dead *deadLetter
	err := j.await(ctx, "the old record is in the pipe's dead-letter queue, or delivered", func() (bool, error) {
		err := j.take(ctx, t.consumer)
		if err != nil || len(t.messages[id]) > 0 {
			return true, err
		}
		dead, err = j.deadLetterOf(ctx, id)
		return dead != nil, err
	})
	if err != nil {
		return err
	}
	if dead == nil {
		j.differ("the pipe delivered a record that was older than MaximumRecordAge")
		return nil
	}
	j.see("dead-lettered %s after the pipe was started: `%s`", time.Since(began).Round(time.Second), dead.body)
	if err := j.redrivePipe(ctx, dead); err != nil {
		return err
	}
	_, err = j.arrives(ctx, t.consumer, id)
	return err
}

// A pipeSwitch is operate.Switch's Pause or Resume.
type pipeSwitch func(operate.Switch, context.Context, operate.Clients, *operate.Stack, func() (*operate.Outbox, error), *operate.Dialog, operate.CommandLine) (*operate.SwitchResult, error)

// switchPipe pauses or resumes the pipe and waits until it has.
func (j *job) switchPipe(ctx context.Context, do pipeSwitch) error {
	box := func() (*operate.Outbox, error) { return j.Outbox, nil }
	_, err := do(operate.Switch{Pipe: true}, ctx, j.Clients.Clients, j.Stack, box, operate.NewDialog(nil, discard{}, true, false), j.Command)
	return err
}

// shortenAge shortens the pipe's record age until the check is done, and reports whether it could.
func (j *job) shortenAge(ctx context.Context, before *pipes.DescribePipeOutput) (bool, error) {
	set := func(ctx context.Context, seconds *int32) error {
		_, err := j.Clients.Pipe.UpdatePipe(ctx, withAge(before, seconds))
		return err
	}
	source := before.SourceParameters
	if source == nil || source.DynamoDBStreamParameters == nil {
		return false, fmt.Errorf("pipe %s has no DynamoDB stream as its source", j.Outbox.Pipe)
	}
	err := set(ctx, aws.Int32(shortAge))
	if isNotLocal(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("change pipe %s: %w", j.Outbox.Pipe, err)
	}
	age := source.DynamoDBStreamParameters.MaximumRecordAgeInSeconds
	j.cleanups.add(fmt.Sprintf("MaximumRecordAgeInSeconds of pipe %s, which was %d", j.Outbox.Pipe, aws.ToInt32(age)), func(ctx context.Context) error {
		if err := set(ctx, age); err != nil {
			return err
		}
		return j.pipeIs(ctx, types.PipeStateRunning)
	})
	return true, j.pipeIs(ctx, before.CurrentState)
}

// pipeIs waits until the pipe has the state: an update takes a while.
func (j *job) pipeIs(ctx context.Context, state types.PipeState) error {
	return j.await(ctx, fmt.Sprintf("pipe %s is %s", j.Outbox.Pipe, state), func() (bool, error) {
		out, err := j.Clients.Pipe.DescribePipe(ctx, &pipes.DescribePipeInput{Name: &j.Outbox.Pipe})
		if err != nil {
			return false, fmt.Errorf("read pipe %s: %w", j.Outbox.Pipe, err)
		}
		return out.CurrentState == state, nil
	})
}

// withAge returns the request that gives the pipe a record age, and leaves everything else of its source as it is.
// Source: Pipes API reference, UpdatePipe.
func withAge(p *pipes.DescribePipeOutput, seconds *int32) *pipes.UpdatePipeInput {
	now := p.SourceParameters.DynamoDBStreamParameters
	return &pipes.UpdatePipeInput{
		Name: p.Name, RoleArn: p.RoleArn,
		SourceParameters: &types.UpdatePipeSourceParameters{
			FilterCriteria: p.SourceParameters.FilterCriteria,
			DynamoDBStreamParameters: &types.UpdatePipeSourceDynamoDBStreamParameters{
				BatchSize: now.BatchSize, DeadLetterConfig: now.DeadLetterConfig, MaximumBatchingWindowInSeconds: now.MaximumBatchingWindowInSeconds,
				MaximumRecordAgeInSeconds: seconds, MaximumRetryAttempts: now.MaximumRetryAttempts,
				OnPartialBatchItemFailure: now.OnPartialBatchItemFailure, ParallelizationFactor: now.ParallelizationFactor,
			},
		},
	}
}
