package pipes

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// fakeTopic takes the messages that it has no error for.
type fakeTopic map[string]error

func (fakeTopic) HasTopic(string) bool { return true }

func (f fakeTopic) Send(_ context.Context, _, _, body string) error { return f[body] }

// A message that the topic refuses fails alone and by itself; any other failure is an internal one.
func TestTopicAsTarget(t *testing.T) {
	in, err := compileInput(`"<$.n>"`, pipeVariables{})
	if err != nil {
		t.Fatal(err)
	}
	topic := fakeTopic{`"1"`: fmt.Errorf("%w: too long", cloud.ErrRefused), `"2"`: errors.New("the disk is full")}
	target, err := newTopicTarget(topic, "arn:aws:sns:eu-west-1:000000000000:t", in)
	if err != nil {
		t.Fatal(err)
	}
	var records []Record
	for i := range 3 {
		records = append(records, Record{Event: map[string]any{"n": i}})
	}
	errs := target.Deliver(t.Context(), records)
	if len(errs) != 3 || errs[0] != nil || errs[1] == nil || errors.Is(errs[1], ErrInternal) || !errors.Is(errs[2], ErrInternal) {
		t.Errorf("the errors are %v", errs)
	}
}
