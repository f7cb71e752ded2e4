package pipes

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// enriched returns a pipe to a bus whose function f enriches what it sends.
func enriched(t *testing.T, respond func(string) (string, bool)) (*fakeAWS, *Pipe, *[]hop.Hop) {
	t.Helper()
	c := localCloud()
	fake := startFakeAWS(t, c)
	fake.functions = map[string]func(string) (string, bool){"f": respond}
	hops := &[]hop.Hop{}
	s := New(Config{Cloud: c, DB: openDB(t), Sink: func(h hop.Hop) { *hops = append(*hops, h) }})
	r := pipeResource(t, `{
		"Enrichment": "`+functionARN+`f", "EnrichmentParameters": {"InputTemplate": "{\"eventID\": <$.eventID>, \"pipe\": <aws.pipes.enrichment-arn>}"},
		"TargetParameters": {"EventBridgeEventBusParameters": {"Source": "orders", "DetailType": "$.kind"}, "InputTemplate": "{\"all\": <aws.pipes.event.json>}"}
	}`)
	if _, err := s.Provisions()["AWS::Pipes::Pipe"](t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return fake, s.pipes[0].pipe, hops
}

func someRecords(ids ...string) []Record {
	all := make([]Record, len(ids))
	for i, id := range ids {
		all[i] = Record{Event: map[string]any{"eventID": id}}
	}
	return all
}

func TestEnrichment(t *testing.T) {
	const two = `[{"kind":"A","eventID":"1"},{"kind":"bad","eventID":"2"}]`
	for name, test := range map[string]struct {
		response string
		fails    bool
		events   []string // that the bus accepts
		failed   []int    // records
		reason   string
	}{
		"a list":            {`[{"kind":"A","n":1.50}]`, false, []string{`A {"all": {"kind":"A","n":1.50}}`}, nil, ""},
		"more than came":    {`[{"kind":"A"},{"kind":"B"},{"kind":"C"}]`, false, []string{`A {"all": {"kind":"A"}}`, `B {"all": {"kind":"B"}}`, `C {"all": {"kind":"C"}}`}, nil, ""},
		"an object":         {`{"kind":"A"}`, false, []string{`A {"all": {"kind":"A"}}`}, nil, ""},
		"nothing":           {``, false, nil, nil, ""},
		"null":              {`null`, false, nil, nil, ""},
		"empty text":        {`""`, false, nil, nil, ""},
		"empty object":      {`{}`, false, nil, nil, ""},
		"empty list":        {`[]`, false, nil, nil, ""},
		"one fails":         {two, false, []string{`A {"all": {"eventID":"1","kind":"A"}}`}, []int{1}, "InvalidArgument"},
		"unknown one fails": {`[{"kind":"bad"}]`, false, nil, []int{0, 1}, "InvalidArgument"},
		"function fails":    {`{"errorMessage":"boom"}`, true, nil, []int{0, 1}, `enrichment: the function failed: {"errorMessage":"boom"}`},
		"too many":          {"[" + strings.Repeat(`{"kind":"A"},`, 10) + `{"kind":"A"}]`, false, nil, []int{0, 1}, "at most 10 events, which is what the target takes, got 11"},
	} {
		t.Run(name, func(t *testing.T) {
			aws, pipe, hops := enriched(t, func(string) (string, bool) { return test.response, test.fails })
			aws.refuse = func(e entry) string {
				if e.DetailType == "bad" {
					return "InvalidArgument"
				}
				return ""
			}
			errs := pipe.execute(t.Context(), someRecords("1", "2"))
			var failed []int
			for i, err := range errs {
				if err != nil {
					failed = append(failed, i)
				}
			}
			var events []string
			for _, e := range aws.events {
				events = append(events, e.DetailType+" "+e.Detail)
			}
			if !slices.Equal(failed, test.failed) || !slices.Equal(events, test.events) {
				t.Errorf("failed %v, want %v (%v); events %q, want %q", failed, test.failed, errs, events, test.events)
			}
			if err := errors.Join(errs...); test.reason != "" && !strings.Contains(err.Error(), test.reason) {
				t.Errorf("got %v, want %q", err, test.reason)
			}
			want := `f RequestResponse [{"eventID": "1", "pipe": "` + functionARN + `f"},{"eventID": "2", "pipe": "` + functionARN + `f"}]`
			if !slices.Equal(aws.invocations, []string{want}) {
				t.Errorf("invocations %q, want %q", aws.invocations, want)
			}
			enriched := !test.fails && name != "too many"
			if got := len(*hops) == 1 && (*hops)[0].Target == functionARN+"f" && strings.HasSuffix((*hops)[0].Detail, "of 2 records"); got != enriched {
				t.Errorf("hops %+v", *hops)
			}
		})
	}
}

// A function whose service fails is an internal error, which does not count as an attempt.
func TestEnrichmentThatIsNotReached(t *testing.T) {
	aws, pipe, _ := enriched(t, nil)
	aws.status = []int{503}
	errs := pipe.execute(t.Context(), someRecords("1"))
	if len(errs) != 1 || !errors.Is(errs[0], ErrInternal) {
		t.Errorf("got %v", errs)
	}
}

func TestAFunctionNeedsJSON(t *testing.T) {
	c := localCloud()
	startFakeAWS(t, c)
	s := New(Config{Cloud: c, DB: openDB(t)})
	r := pipeResource(t, `{"Target": "`+functionARN+`f", "TargetParameters": {"EventBridgeEventBusParameters": {}, "InputTemplate": "text <$.eventID>"}}`)
	if _, err := s.Provisions()["AWS::Pipes::Pipe"](t.Context(), r); err != nil {
		t.Fatal(err)
	}
	errs := s.pipes[0].pipe.execute(t.Context(), someRecords("1"))
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "InputTemplate must render JSON for a function") {
		t.Errorf("got %v", errs)
	}
}

func TestPrepareNamesMissingFunctions(t *testing.T) {
	s := New(Config{Cloud: localCloud(), DB: openDB(t), HasFunction: func(string) bool { return false }})
	for property, arn := range map[string]string{"Enrichment": functionARN + "f", "Target": functionARN + "g"} {
		if err := s.requireFunction(property, arn); err == nil || !strings.Contains(err.Error(), property+" must name a function that exists, got "+arn) {
			t.Errorf("%s: %v", property, err)
		}
	}
	if err := s.requireFunction("Target", "arn:aws:sqs:eu-central-1:000000000000:q"); err != nil {
		t.Error(err)
	}
}
