package operate

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	pipetypes "github.com/aws/aws-sdk-go-v2/service/pipes/types"

	"github.com/outboxkit/transactional-outbox/internal/description"
)

// switches stand in for Lambda and Pipes: a mapping and a pipe, each of which takes 30 s to change.
type switches struct {
	Lambda
	Pipes
	mapping, pipe slowSwitch

	repairs bool
	queues  *fakeQueues
	metrics map[string][]datapoint
}

// slowSwitch is what takes a while to change.
type slowSwitch struct {
	on      bool
	changed time.Time
	stuck   bool
	fails   bool // a change, after its time
}

func (s *slowSwitch) set(on bool) {
	if s.on != on {
		s.on, s.changed = on, time.Now()
	}
}

func (s *slowSwitch) state(words [4]string) string {
	n := 0
	if !s.on {
		n = 2
	}
	if s.stuck || time.Since(s.changed) < 30*time.Second {
		n++
	}
	return words[n]
}

func (w *switches) GetEventSourceMapping(_ context.Context, _ *lambda.GetEventSourceMappingInput, _ ...func(*lambda.Options)) (*lambda.GetEventSourceMappingOutput, error) {
	state := w.mapping.state([4]string{"Enabled", "Enabling", "Disabled", "Disabling"})
	return &lambda.GetEventSourceMappingOutput{State: &state, LastModified: &w.mapping.changed}, nil
}

func (w *switches) UpdateEventSourceMapping(_ context.Context, in *lambda.UpdateEventSourceMappingInput, _ ...func(*lambda.Options)) (*lambda.UpdateEventSourceMappingOutput, error) {
	w.mapping.set(aws.ToBool(in.Enabled))
	return &lambda.UpdateEventSourceMappingOutput{}, nil
}

func (w *switches) DescribePipe(_ context.Context, _ *pipes.DescribePipeInput, _ ...func(*pipes.Options)) (*pipes.DescribePipeOutput, error) {
	state := w.pipe.state([4]string{"RUNNING", "STARTING", "STOPPED", "STOPPING"})
	if w.pipe.fails && !w.pipe.on && time.Since(w.pipe.changed) >= 30*time.Second {
		return &pipes.DescribePipeOutput{CurrentState: pipetypes.PipeStateStopFailed, StateReason: aws.String("no access"), LastModifiedTime: &w.pipe.changed}, nil
	}
	return &pipes.DescribePipeOutput{CurrentState: pipetypes.PipeState(state), LastModifiedTime: &w.pipe.changed}, nil
}

func (w *switches) StopPipe(_ context.Context, _ *pipes.StopPipeInput, _ ...func(*pipes.Options)) (*pipes.StopPipeOutput, error) {
	w.pipe.set(false)
	return &pipes.StopPipeOutput{}, nil
}

func (w *switches) StartPipe(_ context.Context, _ *pipes.StartPipeInput, _ ...func(*pipes.Options)) (*pipes.StartPipeOutput, error) {
	w.pipe.set(true)
	return &pipes.StartPipeOutput{}, nil
}

// running are switches that have been on for a day.
func running() *switches {
	long := slowSwitch{on: true, changed: time.Now().Add(-24 * time.Hour)}
	return &switches{mapping: long, pipe: long}
}

// flip pauses or resumes, and returns what it said.
func flip(t *testing.T, w *switches, s Switch, run bool, answers string) (*SwitchResult, string, error) {
	t.Helper()
	stack := watched()
	stack.Outboxes[0].Pipe, stack.Outboxes[0].MaximumRecordAgeSeconds = "pipe", "43200"
	for _, c := range stack.Consumers {
		c.Mapping = "uuid"
	}
	d, notes := dialog(answers)
	do := Switch.Pause
	if run {
		do = Switch.Resume
	}
	box := func() (*Outbox, error) { return stack.Outbox("") }
	if w.repairs {
		stack.Outboxes[0].Audit = &description.Audit{ConfirmWithinSeconds: "900", RepairPerMinute: "60"}
	}
	if w.queues == nil {
		w.queues = newFakeQueues()
	}
	result, err := do(s, t.Context(), Clients{Lambda: w, Pipes: w, SQS: w.queues, CloudWatch: &plant{requests: map[string]int{}, metrics: w.metrics}}, stack, box, d, CommandLine{Stack: "Orders"})
	return result, notes.String(), err
}

func expectSaid(t *testing.T, said string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(said, want) {
			t.Errorf("it did not say %q:\n%s", want, said)
		}
	}
}

func TestPauseAndResume(t *testing.T) {
	for name, tc := range map[string]struct {
		of                    Switch
		part                  func(*switches) *slowSwitch
		keeps                 time.Duration
		stopped, resume, back string
	}{
		"a consumer": {
			Switch{Consumer: "Ship"},
			func(w *switches) *slowSwitch { return &w.mapping }, 4 * 24 * time.Hour,
			"consumer Ship is Disabled", "outbox resume --stack Orders --consumer Ship", "outbox replay --stack Orders --consumer Ship --since ",
		},
		"the pipe": {
			Switch{Pipe: true},
			func(w *switches) *slowSwitch { return &w.pipe }, 12 * time.Hour,
			"the pipe is STOPPED", "outbox resume --stack Orders --pipe", "outbox repair --stack Orders --full",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := running()
				began := time.Now()
				result, said, err := flip(t, w, tc.of, false, "y\n")
				if err != nil || tc.part(w).on || time.Since(began) < 30*time.Second {
					t.Fatalf("after %s it is on: %v (%v); it said %s", time.Since(began), tc.part(w).on, err, said)
				}
				if want := began.Add(tc.keeps); !result.Until.Equal(want) {
					t.Errorf("nothing is lost until %s, want %s", result.Until, want)
				}
				expectSaid(t, said, tc.stopped, tc.resume, began.Add(tc.keeps).UTC().Format(time.RFC3339))

				if _, said, err = flip(t, w, tc.of, false, ""); err != nil {
					t.Fatal(err)
				}
				expectSaid(t, said, "paused already")

				time.Sleep(tc.keeps - time.Minute)
				result, said, err = flip(t, w, tc.of, true, "n\n")
				if err == nil || result != nil || tc.part(w).on {
					t.Errorf("without a yes it is on: %v (%v)", tc.part(w).on, err)
				}
				expectSaid(t, said, "is kept for it")

				time.Sleep(2 * time.Minute)
				result, said, err = flip(t, w, tc.of, true, "y\n")
				if err != nil || !tc.part(w).on || !result.Lost {
					t.Fatalf("it is on: %v, lost: %+v (%v)", tc.part(w).on, result, err)
				}
				expectSaid(t, said, "is not delivered any more", tc.back)

				if _, said, err = flip(t, w, tc.of, true, ""); err != nil {
					t.Fatal(err)
				}
				expectSaid(t, said, "is not paused")
			})
		})
	}
}

// TestAnOldMessageIsLostSooner: SQS counts from when it was sent, and where its age is not known no time is promised.
func TestAnOldMessageIsLostSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := running()
		w.queues = newFakeQueues()
		w.queues.add(queueURLs+"ship", "{}", nil)
		result, said, err := flip(t, w, Switch{Consumer: "Ship", DryRun: true}, false, "")
		if err != nil || result.Until != nil {
			t.Errorf("with a message of unknown age nothing is lost until %v (%v)", result.Until, err)
		}
		expectSaid(t, said, "for how long is not known", "outbox resume")
		age := 3 * 24 * time.Hour
		w.metrics = map[string][]datapoint{"ApproximateAgeOfOldestMessage ship": {{time.Now(), age.Seconds()}}}
		want := time.Now().Add(4*24*time.Hour - age).UTC().Truncate(time.Second)
		result, said, err = flip(t, w, Switch{Consumer: "Ship"}, false, "y\n")
		if err != nil || !result.Until.Equal(want) {
			t.Errorf("nothing is lost until %v, want %s (%v)", result.Until, want, err)
		}
		expectSaid(t, said, "before "+want.Format(time.RFC3339))
		if result, said, err = flip(t, w, Switch{Consumer: "Ship"}, false, ""); err != nil || !result.Until.Equal(want) {
			t.Errorf("paused already, nothing is lost until %v, want %s (%v)", result.Until, want, err)
		}
		expectSaid(t, said, ", last changed ")
	})
}

// TestAPauseOfThePipeSaysWhoDeliversAllTheSame, and what comes too late is looked for in the tables.
func TestAPauseOfThePipeSaysWhoDeliversAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := running()
		w.repairs = true
		_, said, err := flip(t, w, Switch{Pipe: true}, false, "y\n")
		if err != nil {
			t.Fatal(err)
		}
		expectSaid(t, said, "the auditor repairs", "past the pipe, up to 60 a minute")
	})
}

func TestASwitchThatSticksIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := running()
		w.mapping.stuck = true
		if _, _, err := flip(t, w, Switch{Consumer: "Ship"}, false, "y\n"); err == nil || !strings.Contains(err.Error(), "must be Disabled, and is Disabling after 5m") {
			t.Errorf("got %v", err)
		}
	})
}

func TestASwitchThatFailsEndsWithTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, began := running(), time.Now()
		w.pipe.fails = true
		_, _, err := flip(t, w, Switch{Pipe: true}, false, "y\n")
		if err == nil || !strings.Contains(err.Error(), "the pipe must be STOPPED, and is STOP_FAILED (no access)") || time.Since(began) > time.Minute {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

func TestADryRunChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := running()
		_, said, err := flip(t, w, Switch{Pipe: true, DryRun: true}, false, "y\n")
		if err != nil || !w.pipe.on {
			t.Errorf("the pipe runs: %v (%v)", w.pipe.on, err)
		}
		expectSaid(t, said, "no consumer gets new events", "12h")
	})
}
