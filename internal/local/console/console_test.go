package console_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

var summary = console.Summary{
	Stack: "Orders-dev", Started: "2s", APIs: []console.API{{Stack: "Orders-dev", URL: "http://127.0.0.1:4510/dev/"}},
	Resources: []console.Resource{
		{LogicalID: "Rule1", Name: "Outbox/One/Rule", Type: "AWS::Events::Rule", Ref: "bus|rule-1"},
		{LogicalID: "Queue1", Name: "Outbox/One/Queue", Type: "AWS::SQS::Queue", Ref: "http://127.0.0.1:4512/000000000000/queue-1"},
		{LogicalID: "Fn1", Name: "Outbox/One/Function", Type: "AWS::Lambda::Function", Ref: "fn-1"},
	},
	Skipped:   []console.Skipped{{Type: "AWS::IAM::Role", Count: 6, Reason: "only roles call anything locally"}},
	Outputs:   map[string]string{"B": "2", "A": "1"},
	Addresses: map[string]string{"api.example.com/v1": "http://127.0.0.1:4510/api.example.com/v1/"},
}

// TestTextNamesResources checks that a person sees the names of the app's constructs, not logical ids and ARNs.
func TestTextNamesResources(t *testing.T) {
	at := time.Date(2026, 11, 23, 15, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		hop  hop.Hop
		want string
	}{
		"a request": {
			hop.Hop{At: at, Stage: hop.API, Resource: "Post", Outcome: hop.OK, Latency: 12345 * time.Microsecond, Detail: "POST /orders 201"},
			"15:04:05.000  api       ok             12.3ms  POST /orders 201\n",
		},
		"a batch": {
			hop.Hop{At: at, Stage: hop.Bus, Resource: "Rule1", Target: "arn:aws:sqs:us-east-1:000000000000:queue-1", Outcome: hop.OK, Latency: time.Millisecond, Count: 3},
			"15:04:05.000  bus       ok                1ms  Outbox/One/Rule → Outbox/One/Queue, 3 events\n",
		},
		"a failure": {
			hop.Hop{At: at, Stage: hop.Pipe, Resource: "Unknown", Outcome: hop.DeadLetter, Latency: 0, Count: 1, Detail: "retries exhausted"},
			"15:04:05.000  pipe      dead-letter        0s  Unknown  retries exhausted\n",
		},
		"a batch of a stream": {
			hop.Hop{At: at, Stage: hop.Stream, Resource: "Unknown", Target: "fn-1", Outcome: hop.OK, Latency: time.Millisecond, Count: 2},
			"15:04:05.000  stream    ok                1ms  Unknown → Outbox/One/Function, 2 events\n",
		},
		"a schedule": {hop.Hop{At: at, Stage: hop.Schedule, Resource: "Rule1", Target: "fn-1", Outcome: hop.OK}, ""},
		"a schedule that fails": {
			hop.Hop{At: at, Stage: hop.Schedule, Resource: "Rule1", Target: "fn-1", Outcome: hop.Retry, Latency: time.Millisecond, Detail: "timeout"},
			"15:04:05.000  schedule  retry             1ms  Outbox/One/Rule → Outbox/One/Function  timeout\n",
		},
		"a structured log line": {
			hop.Hop{At: at, Stage: hop.Function, Resource: "Fn1", Outcome: hop.OK, Detail: `{"timestamp":"x","level":"INFO","message":"event handled","eventId":"e-1","version":1}`},
			"15:04:05.000  function  ok                     Outbox/One/Function  event handled  eventId=e-1 version=1\n",
		},
		"a line of metrics": {
			hop.Hop{At: at, Stage: hop.Function, Resource: "Fn1", Outcome: hop.OK, Detail: `{"_aws":{"Timestamp":1},"Handled":1}`},
			"",
		},
		"any other log line": {
			hop.Hop{At: at, Stage: hop.Function, Resource: "Fn1", Outcome: hop.OK, Detail: `panic: {"oh"`},
			"15:04:05.000  function  ok                     Outbox/One/Function  panic: {\"oh\"\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			text := console.Text(&out, false)
			text.Ready(summary)
			out.Reset()
			text.Hop(c.hop)
			if got := out.String(); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// hostile is what a terminal would obey: a title, a cleared screen by two kinds of control characters, a line of
// its own, a turned direction, and a byte that is no character.
const hostile = "a\x1b]0;title\x07b\x1b[2Jc\u009b2Jd\n15:04:05.000  api  ok\te\u202ef\x7f\x9b"

const shown = `a\x1b]0;title\x07b\x1b[2Jc\x9b2Jd\n15:04:05.000  api  ok    e\u202ef\x7f\x9b`

// What a function logs, and what a template names, is shown and not obeyed.
func TestTerminalEscapesAreShown(t *testing.T) {
	logged, err := json.Marshal(map[string]any{"message": hostile, "field": hostile})
	if err != nil {
		t.Fatal(err)
	}
	s := summary
	s.Stack = hostile
	s.Resources = []console.Resource{{LogicalID: "Fn1", Name: hostile, Type: hostile, Ref: hostile}}
	s.Outputs = map[string]string{hostile: hostile}
	for name, say := range map[string]func(console.Console){
		"a notice":         func(c console.Console) { c.Notice(hostile) },
		"a fault":          func(c console.Console) { c.Fault(console.Fault{Point: hostile, Key: hostile}) },
		"counts of faults": func(c console.Console) { c.Faults(map[string]int{hostile: 1}) },
		"a summary":        func(c console.Console) { c.Ready(s) },
		"a log line":       func(c console.Console) { c.Hop(hop.Hop{Stage: hop.Function, Detail: hostile}) },
		"a structured log": func(c console.Console) { c.Hop(hop.Hop{Stage: hop.Function, Detail: string(logged)}) },
		"a request":        func(c console.Console) { c.Hop(hop.Hop{Stage: hop.API, Detail: hostile}) },
		"a detail":         func(c console.Console) { c.Hop(hop.Hop{Stage: hop.Pipe, Resource: "x", Detail: hostile}) },
	} {
		var text, lines bytes.Buffer
		say(console.Text(&text, true))
		want := shown
		if name == "a structured log" {
			want = strings.TrimSuffix(shown, `\x9b`) // JSON has no such byte
		}
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s is %q, want in it %q", name, text.String(), want)
		}
		say(console.JSON(&lines))
		for kind, out := range map[string]string{"the text": text.String(), "the JSON": lines.String()} {
			if at := strings.IndexFunc(out, func(r rune) bool { return r != '\n' && (unicode.IsControl(r) || r == '\u202e') }); at >= 0 {
				t.Errorf("%s: %s has %q", name, kind, out[at:at+4])
			}
		}
		if strings.Count(lines.String(), "\n") != 1 || !json.Valid(lines.Bytes()) {
			t.Errorf("%s is not one line of JSON: %q", name, lines.String())
		}
	}
}

func TestTextReadyShowsEverything(t *testing.T) {
	var out bytes.Buffer
	console.Text(&out, true).Ready(summary)
	for _, want := range []string{"Orders-dev", "started in 2s", "http://127.0.0.1:4510/dev/", "http://127.0.0.1:4510/api.example.com/v1/", "Outbox/One/Queue", "6 × AWS::IAM::Role", "only roles call anything", "Ctrl-C"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the start-up text lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b[") {
		t.Error("colors were written to something that is not a terminal")
	}
}

// TestTextReadyBeginsWithThePage, and leaves what the page shows to it.
func TestTextReadyBeginsWithThePage(t *testing.T) {
	shown := summary
	shown.Page = "http://127.0.0.1:4515/"
	var out bytes.Buffer
	console.Text(&out, false).Ready(shown)
	open, api := strings.Index(out.String(), "Open http://127.0.0.1:4515/"), strings.Index(out.String(), "http://127.0.0.1:4510/dev/")
	if open < 0 || api < open {
		t.Errorf("the page's address does not come first:\n%s", out.String())
	}
	if strings.Contains(out.String(), "Outbox/One/Queue") {
		t.Errorf("it lists the resources:\n%s", out.String())
	}
}

// TestTextShortensALineWithinALine checks what the runtime for Node.js makes of a handler's own JSON.
func TestTextShortensALineWithinALine(t *testing.T) {
	var out bytes.Buffer
	console.Text(&out, false).Hop(hop.Hop{
		Stage: hop.Function, Outcome: hop.OK, Resource: "Fn",
		Detail: `{"timestamp":"2026-10-08T07:30:29.443Z","level":"INFO","requestId":"79b5e81f","message":"{\"message\":\"handled\",\"id\":\"o-1\"}"}`,
	})
	if got := strings.TrimSpace(out.String()); !strings.HasSuffix(got, "Fn  handled  id=o-1") {
		t.Errorf("it prints %q", got)
	}
}

// TestTextHidesLambdasOwnLines checks that START, END and REPORT do not hide what happens.
func TestTextHidesLambdasOwnLines(t *testing.T) {
	var out bytes.Buffer
	console.Text(&out, false).Hop(hop.Hop{Stage: hop.Platform, Outcome: hop.OK, Resource: "Fn", Detail: "START RequestId: 1 Version: $LATEST"})
	if out.Len() > 0 {
		t.Errorf("it prints %q", out.String())
	}
}

// TestTextLeavesOutHeartbeats checks that a stack's own events are shown only when they do not arrive.
func TestTextLeavesOutHeartbeats(t *testing.T) {
	var out bytes.Buffer
	text := console.Text(&out, false)
	text.Hop(hop.Hop{Stage: hop.Pipe, Outcome: hop.OK, Resource: "arrives", Heartbeat: true})
	text.Hop(hop.Hop{Stage: hop.Pipe, Outcome: hop.OK, Resource: "of-a-user"})
	text.Hop(hop.Hop{Stage: hop.Bus, Outcome: hop.Dropped, Resource: "is-lost", Heartbeat: true})
	if got := out.String(); strings.Contains(got, "arrives") || !strings.Contains(got, "of-a-user") || !strings.Contains(got, "is-lost") {
		t.Errorf("printed %q", got)
	}
}

func TestTextFaults(t *testing.T) {
	var out bytes.Buffer
	text := console.Text(&out, false)
	text.Fault(console.Fault{At: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC), Point: "queue.duplicate", Key: "e-1 @ Queue"})
	text.Faults(map[string]int{"queue.duplicate": 12, "bus.partial": 0})
	want := "15:04:05.000  fault     queue.duplicate  e-1 @ Queue\nFaults that fired\n  bus.partial      0\n  queue.duplicate  12\n"
	if got := out.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestJSON checks that a program reads one JSON object on each line and can tell the kinds apart.
func TestJSON(t *testing.T) {
	var out bytes.Buffer
	c := console.JSON(&out)
	c.Notice("hello")
	c.Ready(summary)
	c.Hop(hop.Hop{Stage: hop.API, Outcome: hop.OK, EventIDs: []string{"e-1"}})
	c.Fault(console.Fault{Point: "bus.partial", Key: "e-1", N: 2})
	c.Faults(map[string]int{"bus.partial": 1, "bus.duplicate": 0})
	dec := json.NewDecoder(&out)
	dec.DisallowUnknownFields()
	var lines [5]console.Line
	for i := range lines {
		if err := dec.Decode(&lines[i]); err != nil {
			t.Fatal(err)
		}
	}
	if lines[0].Notice != "hello" || lines[1].Ready.Stack != "Orders-dev" || lines[2].Hop.EventIDs[0] != "e-1" {
		t.Errorf("got %+v", lines)
	}
	if f := lines[3].Fault; f.Point != "bus.partial" || f.Key != "e-1" || f.N != 2 || len(lines[4].Faults) != 2 {
		t.Errorf("faults: %+v, %v", f, lines[4].Faults)
	}
	for i, kind := range []string{"notice", "ready", "hop", "fault", "faults"} {
		if lines[i].Kind != kind {
			t.Errorf("line %d is of kind %q, want %q", i, lines[i].Kind, kind)
		}
	}
}
