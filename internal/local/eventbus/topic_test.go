package eventbus_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

const topic = "arn:aws:sns:eu-west-1:000000000000:Orders"

// A fakeTopic answers with its errors, one after the other, and then takes everything.
type fakeTopic struct {
	mu     sync.Mutex
	errs   []error
	bodies []string
}

func (f *fakeTopic) HasTopic(arn string) bool { return arn == topic }

func (f *fakeTopic) Send(_ context.Context, _, _, body string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		return err
	}
	f.bodies = append(f.bodies, body)
	return nil
}

// everybody lets rules publish and roles do everything, and asks queues for the rest.
type everybody struct {
	queues interface {
		Allows(string, string, string) bool
	}
}

func (e everybody) Allows(target, service, source string) bool {
	return target == topic || e.queues.Allows(target, service, source)
}

// RoleAllows implements eventbus.Policies.
func (everybody) RoleAllows(_, _, _, _ string) bool { return true }

// A topic gets an event again when it fails, and its dead-letter queue at once when the topic refuses the event or is not
// there.
func TestTopicAsTarget(t *testing.T) {
	target := func(of string) map[string]any {
		return map[string]any{"Id": "T", "Arn": of, "InputPath": "$.detail", "DeadLetterConfig": map[string]any{"Arn": arn("Dead")}}
	}
	t.Run("a failing topic", func(t *testing.T) {
		s := start(t, queue("Dead"), policyFor("Rule", "Dead"), rule("Rule", target(topic)))
		fake := &fakeTopic{errs: []error{errors.New("the disk is full")}}
		s.cloud.SetTopics(fake)
		s.put(t, 1)
		for _, want := range []hop.Outcome{hop.Retry, hop.OK} {
			if h := <-s.hops; h.Outcome != want || h.Target != topic {
				t.Fatalf("hop %+v, want %s", h, want)
			}
		}
		if len(fake.bodies) != 1 || fake.bodies[0] != `{"id":"e0","note":"😀"}` {
			t.Errorf("the topic got %q", fake.bodies)
		}
	})
	for want, c := range map[string]struct {
		arn string
		err error
	}{"SDK_CLIENT_ERROR": {topic, cloud.ErrRefused}, "NO_RESOURCE": {topic + "2", nil}} {
		t.Run(want, func(t *testing.T) {
			s := start(t, queue("Dead"), policyFor("Rule", "Dead"), rule("Rule", target(c.arn)))
			s.cloud.SetTopics(&fakeTopic{errs: []error{c.err}})
			s.put(t, 1)
			if code := aws.ToString(s.receive(t, "Dead").MessageAttributes["ERROR_CODE"].StringValue); code != want {
				t.Errorf("ERROR_CODE is %q", code)
			}
		})
	}
}
