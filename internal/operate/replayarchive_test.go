package operate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// archived stands in for EventBridge's archive: a replay takes a minute, and ends in the state.
type archived struct {
	EventBridge
	started *eventbridge.StartReplayInput
	at      time.Time
	ends    types.ReplayState
}

func (a *archived) DescribeArchive(_ context.Context, in *eventbridge.DescribeArchiveInput, _ ...func(*eventbridge.Options)) (*eventbridge.DescribeArchiveOutput, error) {
	if *in.ArchiveName != "orders" {
		return nil, errors.New("no archive " + *in.ArchiveName)
	}
	return &eventbridge.DescribeArchiveOutput{EventSourceArn: aws.String("arn:aws:events:eu-central-1:111122223333:event-bus/bus")}, nil
}

func (a *archived) DescribeRule(_ context.Context, in *eventbridge.DescribeRuleInput, _ ...func(*eventbridge.Options)) (*eventbridge.DescribeRuleOutput, error) {
	return &eventbridge.DescribeRuleOutput{Arn: aws.String("arn:aws:events:eu-central-1:111122223333:rule/" + *in.EventBusName + "/" + *in.Name)}, nil
}

func (a *archived) StartReplay(_ context.Context, in *eventbridge.StartReplayInput, _ ...func(*eventbridge.Options)) (*eventbridge.StartReplayOutput, error) {
	a.started, a.at = in, time.Now()
	return &eventbridge.StartReplayOutput{}, nil
}

func (a *archived) DescribeReplay(ctx context.Context, in *eventbridge.DescribeReplayInput, _ ...func(*eventbridge.Options)) (*eventbridge.DescribeReplayOutput, error) {
	if *in.ReplayName != *a.started.ReplayName {
		return nil, errors.New("no replay " + *in.ReplayName)
	}
	out := &eventbridge.DescribeReplayOutput{State: types.ReplayStateRunning, EventLastReplayedTime: a.started.EventStartTime}
	if time.Since(a.at) >= time.Minute {
		out.State, out.StateReason = a.ends, aws.String("because")
	}
	return out, ctx.Err()
}

func replayArchive(ctx context.Context, a *archived, since time.Duration, forgotten bool, answers string) (*Dialog, string, error) {
	s := watched()
	s.Outboxes[0].Archive = "arn:aws:events:eu-central-1:111122223333:archive/orders"
	for _, c := range s.Consumers {
		c.Bus, c.Rule = "bus", "rule-"+c.ID
	}
	d, notes := dialog(answers)
	_, err := Replay{Consumer: "Ship", FromArchive: true, Since: time.Now().Add(-since), Forgotten: forgotten}.Run(ctx, Clients{EventBridge: a, SQS: newFakeQueues()}, s, d, CommandLine{})
	return d, notes.String(), err
}

func TestReplayFromTheArchive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &archived{ends: types.ReplayStateCompleted}
		began := time.Now()
		_, notes, err := replayArchive(t.Context(), a, time.Hour, false, "y\n")
		if err != nil {
			t.Fatalf("%v; it said %s", err, notes)
		}
		if time.Since(began) < time.Minute {
			t.Error("it did not wait for the end")
		}
		in := a.started
		if *in.Destination.Arn != "arn:aws:events:eu-central-1:111122223333:event-bus/bus" ||
			!slices.Equal(in.Destination.FilterArns, []string{"arn:aws:events:eu-central-1:111122223333:rule/bus/rule-Ship"}) {
			t.Errorf("it goes to %s and %v, want the consumer's rule alone", *in.Destination.Arn, in.Destination.FilterArns)
		}
		if got := in.EventEndTime.Sub(*in.EventStartTime); got != time.Hour {
			t.Errorf("it is of %s, want the last hour", got)
		}
		for _, want := range []string{"to Ship alone and in no order", "last ten minutes", "is complete"} {
			if !strings.Contains(notes, want) {
				t.Errorf("it did not say %q: %s", want, notes)
			}
		}
	})
}

func TestAnArchiveReplayThatDoesNotComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, err := replayArchive(t.Context(), &archived{ends: types.ReplayStateFailed}, time.Hour, false, "y\n")
		if err == nil || !strings.Contains(err.Error(), "FAILED: because") {
			t.Errorf("a failed one: got %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, _, err = replayArchive(ctx, &archived{ends: types.ReplayStateCompleted}, time.Hour, false, "y\n")
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "aws events cancel-replay --replay-name replay-Ship-") {
			t.Errorf("an interrupted one: got %v", err)
		}
	})
}

// TestAnArchiveOlderThanTheMemory: nothing begins without another yes.
func TestAnArchiveOlderThanTheMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for answers, begins := range map[string]bool{"y\ny\n": true, "n\ny\n": false, "y\nn\n": false} {
			a := &archived{ends: types.ReplayStateCompleted}
			// It remembers for 10 days, and may get the events from its queue 4 days later.
			_, notes, err := replayArchive(t.Context(), a, 7*24*time.Hour, false, answers)
			if (a.started != nil) != begins || (err == nil) != begins || !strings.Contains(notes, "may not remember the older") || !strings.Contains(notes, "keeps a message for up to 4d") {
				t.Errorf("%q: began: %v (%v); it said %s", answers, a.started != nil, err, notes)
			}
		}
		a := &archived{ends: types.ReplayStateCompleted}
		if _, notes, err := replayArchive(t.Context(), a, 5*24*time.Hour, false, "y\n"); err != nil || a.started == nil || strings.Contains(notes, "remember") {
			t.Errorf("of what it will remember: got %v; it said %s", err, notes)
		}
		a = &archived{ends: types.ReplayStateCompleted}
		if _, _, err := replayArchive(t.Context(), a, 11*24*time.Hour, true, "y\n"); err != nil || a.started == nil {
			t.Errorf("with --forgotten: got %v", err)
		}
	})
}
