package running

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/page"
)

// queuePolicy lets rules send to the queue.
const queuePolicy = `"Policy": {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": {"Statement": [
  {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": {"Fn::GetAtt": ["Queue", "Arn"]}}]}}},`

// TestStacksWithTheSameIDs: each has its own nodes, counts and queues, and what moves in one moves nothing in the other.
func TestStacksWithTheSameIDs(t *testing.T) {
	dir := t.TempDir()
	synthesize(t, dir, "Queue")
	for _, stack := range []string{"Orders", "Shipping"} {
		ids := regexp.MustCompile(stack + "([A-Z])")
		body := ids.ReplaceAllString(fmt.Sprintf(apiStack, stack, stack+"Queue"), "$1")
		body = strings.Replace(body, `"Resources": {`, `"Resources": {`+queuePolicy, 1)
		if err := os.WriteFile(filepath.Join(dir, stack+".json"), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tap := NewTap(console.Text(io.Discard, false))
	session, err := local.Start(t.Context(), local.Options{App: dir, All: true, IAM: local.IAMOff}, tap)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	run, err := New(t.Context(), session, tap, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	moved := make(chan string, 100)
	following, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run.Follow(following, func(c page.Change) {
			for _, m := range c.Moves {
				moved <- m.From + " → " + m.To
			}
		})
	}()
	t.Cleanup(func() { stop(); <-ended })

	send(t, run, "Shipping")
	if _, err := run.Publish(t.Context(), page.Publication{Bus: "Shipping/Bus", Source: "orders", Type: "Sent", Detail: json.RawMessage(`{}`)}); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"Shipping/Api → Shipping/Bus": true, "Shipping/Bus → Shipping/Rule": true, "Shipping/Rule → Shipping/Queue": true}
	for len(want) > 0 {
		select {
		case got := <-moved:
			if !want[got] {
				t.Errorf("%s has moved, want %v", got, want)
			}
			delete(want, got)
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing else has moved, want %v", want)
		}
	}
	state, err := run.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for stack, want := range map[string]int64{"Orders": 0, "Shipping": 1} {
		api, queue := state.Nodes[stack+"/Api"], state.Nodes[stack+"/Queue"]
		if api.Passed == nil || *api.Passed != want || queue.Waiting == nil || *queue.Waiting != want {
			t.Errorf("%s: the API and the queue must have %d each, got %+v", stack, want, state.Nodes)
		}
	}
}
