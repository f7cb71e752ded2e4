package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/events"
	"github.com/outboxkit/transactional-outbox/internal/local/faults"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// consumerStack has a bus, and one consumer of everything that the source "orders" says.
const consumerStack = `{"Resources": {
  "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "Bus"}},
  "Rule": {"Type": "AWS::Events::Rule", "Properties": {"EventBusName": {"Ref": "Bus"}, "EventPattern": {"source": ["orders"]},
    "Targets": [{"Id": "T", "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}]}},
  "Dead": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "Dead"}},
  "Queue": {"Type": "AWS::SQS::Queue", "Metadata": {"aws:cdk:path": "S/Outbox/Ship/Queue/Resource"}, "Properties": {"QueueName": "Ship", "VisibilityTimeout": 600,
    "RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": 3}}},
  "Policy": {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}]}}},
  "Fn": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "ship", "Runtime": "provided.al2023", "Handler": "bootstrap", "Timeout": 60, "Code": {}},
    "Metadata": {"outboxkit:golambda": {"source": %q}}},
  "Mapping": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]}, "FunctionName": {"Ref": "Fn"},
    "BatchSize": 10, "FunctionResponseTypes": ["ReportBatchItemFailures"]}}
}}`

// quiet is a console that prints nothing.
type quiet struct{}

func (quiet) Notice(string)         {}
func (quiet) Ready(console.Summary) {}
func (quiet) Hop(hop.Hop)           {}
func (quiet) Fault(console.Fault)   {}
func (quiet) Faults(map[string]int) {}

// startSession runs the stack with one consumer until the test ends.
func startSession(t *testing.T) *Session {
	t.Helper()
	app := filepath.Join(t.TempDir(), "cdk.out")
	source, err := filepath.Abs(filepath.Join("testdata", "consumer"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(app, 0o755); err != nil {
		t.Fatal(err)
	}
	below, err := filepath.Rel(template.RealPath(app), source)
	if err != nil {
		t.Fatal(err)
	}
	writeApp(t, app, fmt.Sprintf(consumerStack, filepath.ToSlash(below)))
	s, err := Start(context.Background(), Options{App: app, IAM: IAMOff}, quiet{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// publish publishes an event with that id.
func publish(t *testing.T, s *Session, id string, fail bool) {
	t.Helper()
	detail := fmt.Sprintf(`{"id": %q, "fail": %t}`, id, fail)
	if got, err := s.Publish(t.Context(), Publication{Source: "orders", Type: "OrderCreated", Detail: json.RawMessage(detail)}); err != nil || got != id {
		t.Fatalf("the id is %q: %v", got, err)
	}
}

// await waits until an event is as it should be.
func await(t *testing.T, s *Session, id string, is func(events.Event) bool) events.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for revision := uint64(0); ; {
		if e, found := s.Events().Get(id); found && is(e) {
			return e
		}
		var err error
		if _, revision, err = s.Events().Watch(ctx, revision); err != nil {
			e, _ := s.Events().Get(id)
			t.Fatalf("%v: the event is %+v", err, e)
		}
	}
}

func in(state events.State) func(events.Event) bool {
	return func(e events.Event) bool { return e.State == state }
}

// delivered returns what is true of an event that the consumer has received and handled so many times.
func delivered(receives, handled int) func(events.Event) bool {
	return func(e events.Event) bool {
		return len(e.Deliveries) == 1 && e.Deliveries[0].Receives == receives && e.Deliveries[0].Handled == handled
	}
}

func TestSession(t *testing.T) {
	s := startSession(t)
	t.Run("an event is handled, and delivered again", func(t *testing.T) {
		publish(t, s, "e-1", false)
		await(t, s, "e-1", in(events.Handled))
		if err := s.Deliver(t.Context(), "e-1", "Ship", 0); err != nil {
			t.Fatal(err)
		}
		e := await(t, s, "e-1", delivered(2, 2))
		lines := 0
		for _, step := range e.Steps {
			if step.Stage == hop.Function && step.Detail == "got e-1" {
				lines++
			}
		}
		if lines != 2 || e.Source != "orders" || e.Type != "OrderCreated" {
			t.Errorf("%d lines; %+v", lines, e)
		}
	})
	t.Run("another service's event has an id too", func(t *testing.T) {
		id, err := s.Publish(t.Context(), Publication{Source: "payments", Type: "Paid", Detail: json.RawMessage(`{"amount": 3}`)})
		if err != nil {
			t.Fatal(err)
		}
		if e, found := s.Events().Get(id); !found || e.State != events.Unmatched || e.Type != "Paid" {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("what the bus refuses is an error", func(t *testing.T) {
		_, err := s.Publish(t.Context(), Publication{Source: "aws.orders", Type: "X", Detail: json.RawMessage(`{}`)})
		if err == nil || !strings.Contains(err.Error(), "NotAuthorizedForSource") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("time passes until an event is a dead letter", func(t *testing.T) {
		publish(t, s, "e-2", true)
		for n := 1; n <= 3; n++ {
			await(t, s, "e-2", func(e events.Event) bool { return delivered(n, 0)(e) && e.State == events.Retrying })
			if err := s.Advance(t.Context(), 10*time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		e := await(t, s, "e-2", in(events.DeadLetter))
		if d := e.Deliveries[0]; !strings.HasSuffix(d.At, ":Dead") || !strings.Contains(d.Reason, "batchItemFailures") {
			t.Errorf("got %+v", d)
		}
	})
	t.Run("one event's time passes alone", func(t *testing.T) {
		publish(t, s, "e-3", true)
		publish(t, s, "e-4", true)
		for _, id := range []string{"e-3", "e-4"} {
			await(t, s, id, in(events.Retrying))
		}
		if err := s.Release(t.Context(), "e-3", "Ship"); err != nil {
			t.Fatal(err)
		}
		await(t, s, "e-3", delivered(2, 0))
		if e, _ := s.Events().Get("e-4"); !delivered(1, 0)(e) {
			t.Errorf("the other event: %+v", e.Deliveries)
		}
	})
	t.Run("a fault hits one event", func(t *testing.T) {
		if err := s.Faults().Once(faults.Step{Point: faults.BusDuplicate, Key: "e-5"}); err != nil {
			t.Fatal(err)
		}
		publish(t, s, "e-5", false)
		publish(t, s, "e-6", false)
		e := await(t, s, "e-5", delivered(2, 2))
		await(t, s, "e-6", delivered(1, 1))
		hits := 0
		for _, step := range e.Steps {
			if step.Stage == events.Fault && step.Resource == "bus.duplicate" {
				hits++
			}
		}
		if hits != 1 {
			t.Errorf("%d faults in %+v", hits, e.Steps)
		}
	})
	t.Run("a stub answers for one event", func(t *testing.T) {
		var asked atomic.Int32
		restore, err := s.Stub("Ship", Stub{
			Match: func(event json.RawMessage) bool { return strings.Contains(string(event), "e-7") },
			Handle: func(_ context.Context, payload []byte) ([]byte, error) {
				if asked.Add(1) > 1 {
					return nil, nil
				}
				return nil, errors.New("not today")
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		publish(t, s, "e-7", false)
		publish(t, s, "e-8", false)
		e := await(t, s, "e-7", in(events.Retrying))
		if !strings.Contains(e.Deliveries[0].Reason, "not today") {
			t.Errorf("got %+v", e.Deliveries)
		}
		await(t, s, "e-8", delivered(1, 1))
		if err := s.Release(t.Context(), "e-7", "Ship"); err != nil {
			t.Fatal(err)
		}
		await(t, s, "e-7", delivered(2, 1))
		restore()
		if err := s.Deliver(t.Context(), "e-7", "Ship", 0); err != nil {
			t.Fatal(err)
		}
		await(t, s, "e-7", delivered(3, 2))
		if asked.Load() != 2 {
			t.Errorf("the stub was asked %d times", asked.Load())
		}
	})
	t.Run("what is not there is named", func(t *testing.T) {
		for want, err := range map[string]error{
			`consumer must be one of Ship, got "Bill"`:                    s.Deliver(t.Context(), "e-1", "Bill", 0),
			`event must be one that the run has seen`:                     s.Deliver(t.Context(), "nothing", "Ship", 0),
			`delay must be whole seconds from 0 to 15m0s, got 1h0m0s`:     s.Deliver(t.Context(), "e-1", "Ship", time.Hour),
			`function must be one of Fn, got "bill"`:                      second(s.Stub("bill", Stub{})),
			`the time to advance must not be negative, got -1ns`:          s.Advance(t.Context(), -1),
			`unknown point "bus.nothing"`:                                 s.Faults().SetRate("bus.nothing", 1),
			`the rate of bus.partial must be a number from 0 to 1, got 2`: s.Faults().SetRate(faults.BusPartial, 2),
			`consumer must be one of Ship, got ""`:                        s.Release(t.Context(), "e-1", ""),
			`nth of a step at bus.partial must be 1 or more, got -1`:      s.Faults().Once(faults.Step{Point: faults.BusPartial, Nth: -1}),
		} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }
