// Package functions_test checks that the functions of the end-to-end tests fail when an order's note asks for it, and
// only then.
package functions_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/functions"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

func TestMisbehavior(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	app := t.TempDir()
	host := functions.New(functions.Config{Cloud: cloud.New("eu-west-1"), Dir: t.TempDir(), Sink: func(h hop.Hop) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, h.Detail)
	}})
	t.Cleanup(host.Close)
	arns := map[string]string{}
	for _, name := range []string{"crasher", "partial", "slow", "crasher always"} {
		arns[name] = provision(t, host, app, name)
	}
	if err := host.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}

	tests := map[string]struct {
		function string
		notes    []string
		receives string
		fails    string   // type of the function error
		failed   []string // messages that fail alone
	}{
		"crasher crashes":          {"crasher", []string{"hello", "crash"}, "3", functions.TypeExit, nil},
		"crasher crashes once":     {"crasher", []string{"crash once"}, "1", functions.TypeExit, nil},
		"crasher comes back":       {"crasher", []string{"crash once"}, "2", "", nil},
		"crasher behaves":          {"crasher", []string{"hello", "crashing by"}, "1", "", nil},
		"crasher always crashes":   {"crasher always", []string{"hello"}, "2", functions.TypeExit, nil},
		"partial fails the marked": {"partial", []string{"hello", "fail", "", "fail once"}, "2", "", []string{"m-fail"}},
		"partial fails once":       {"partial", []string{"hello", "fail once"}, "1", "", []string{"m-fail once"}},
		"slow sleeps":              {"slow", []string{"sleep"}, "1", functions.TypeTimeout, nil},
		"slow wakes up":            {"slow", []string{"hello", "sleep once"}, "2", "", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			raw, err := host.Invoke(t.Context(), arns[tt.function], batchOf(t, tt.receives, tt.notes))
			var failed *functions.FunctionError
			if errors.As(err, &failed) {
				if failed.Type != tt.fails {
					t.Errorf("error is %v, want type %q", err, tt.fails)
				}
				return
			}
			if err != nil || tt.fails != "" {
				t.Fatalf("error is %v, want type %q", err, tt.fails)
			}
			var response events.SQSEventResponse
			if err := json.Unmarshal(raw, &response); err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, f := range response.BatchItemFailures {
				ids = append(ids, f.ItemIdentifier)
			}
			if !slices.Equal(ids, tt.failed) {
				t.Errorf("%q failed, want %q", ids, tt.failed)
			}
		})
	}
	host.Close() // after this every line is written
	if all := strings.Join(lines, "\n"); !strings.Contains(all, `"msg":"event handled","eventId":"e-hello","receiveCount":"2"`) {
		t.Errorf("no line reports a handled event:\n%s", all)
	}
}

func provision(t *testing.T, host *functions.Service, app, name string) string {
	t.Helper()
	program, always, _ := strings.Cut(name, " ")
	source, err := localrun.Source(app, program)
	if err != nil {
		t.Fatal(err)
	}
	attributes, err := host.Provisions()["AWS::Lambda::Function"](t.Context(), template.Resource{
		LogicalID: name, PhysicalName: strings.ReplaceAll(name, " ", "-"), Dir: app, Root: app,
		Properties: map[string]any{
			"Runtime": "provided.al2023", "Timeout": 1, "Code": map[string]any{"S3Key": "unused"},
			"Environment": map[string]any{"Variables": map[string]any{"CRASH": always}},
		},
		Metadata: map[string]any{"outboxkit:golambda": map[string]any{
			"source": source, "tags": []string{"lambda.norpc"}, "ldflags": []string{"-s", "-w"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return attributes.GetAtt["Arn"]
}

// batchOf returns a batch with a message for each note, as a consumer's queue delivers it.
func batchOf(t *testing.T, receives string, notes []string) []byte {
	t.Helper()
	frame, err := os.ReadFile("testdata/envelope.json")
	if err != nil {
		t.Fatal(err)
	}
	var batch events.SQSEvent
	for _, note := range notes {
		body := strings.NewReplacer("NOTE", note).Replace(string(frame))
		batch.Records = append(batch.Records, events.SQSMessage{
			MessageId: "m-" + note, Body: body, Attributes: map[string]string{"ApproximateReceiveCount": receives},
		})
	}
	raw, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
