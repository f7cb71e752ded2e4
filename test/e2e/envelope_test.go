package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// TestEnvelope: consumers in other languages read what the pipe sends, and docs/envelope.schema.json describes it.
func TestEnvelope(t *testing.T) {
	t.Parallel()
	app := patched(t, func(p tmpl) {
		p.useExample("PublisherOne", "python", "python3.13", "app.handler")
		p.useExample("PublisherTwo", "node", "nodejs22.x", "index.handler")
		// The third consumer takes no messages, so that its queue shows them.
		p.properties("AWS::Lambda::EventSourceMapping", "OrderUpdatedPublisher")["Enabled"] = false
	})
	for _, example := range []string{"python", "node"} {
		addAsset(t, app, example)
	}
	run := start(t, app)

	const note = `it's "urgent" \ ` + "\n\t" + `☕ {"S":"x"}`
	raw, err := json.Marshal(map[string]any{
		"customerId": "c-42", "currency": "EUR", "note": note, "items": []any{map[string]any{"sku": "tea", "quantity": 2, "unitPrice": 1290}},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := post(t, run, string(raw))
	for _, consumer := range []string{"PublisherOne", "PublisherTwo"} {
		t.Run("read by "+consumer, func(t *testing.T) {
			got := awaitHandled(t, run, consumer, id)
			var data struct{ OrderID, Note string }
			if err := json.Unmarshal(got.Data, &data); err != nil || data.OrderID != id || data.Note != note {
				t.Errorf("data is %s (%v), want the order %s with the note %q", got.Data, err, id, note)
			}
			got.Data, got.OccurredAt, got.Traceparent = nil, min(got.OccurredAt, 1), ""
			want := handledEvent{
				Message: "handled", Source: "orders", ID: id + "-1", Type: "OrderCreated", AggregateType: "Order", AggregateID: id,
				Version: 1, OccurredAt: 1, CorrelationID: id + "-1",
			}
			if !equalJSON(t, got, want) {
				t.Errorf("it read %+v, want %+v", got, want)
			}
		})
	}
	t.Run("a message that is none", func(t *testing.T) {
		for _, consumer := range []string{"PublisherOne", "PublisherTwo"} {
			deliver(t, run, consumer+"QueueUrl", "no JSON", 1)
			if _, err := run.Wait(within(t), 1, func(h hop.Hop) bool {
				return h.Stage == hop.Function && strings.Contains(run.Name(h.Resource), consumer) && strings.Contains(handlerLine(h.Detail), `"failed"`)
			}); err != nil {
				t.Errorf("%s did not report it: %v", consumer, err)
			}
		}
	})
	t.Run("as the schema says", func(t *testing.T) {
		schema := envelopeSchema(t)
		// Of the API's mapping template and of the library.
		if a := patch(t, run, id, "CONFIRMED", `"1"`); a.status != http.StatusOK {
			t.Fatalf("answer: %d %s, want 200", a.status, a.body)
		}
		types := map[string]bool{}
		for len(types) < 2 {
			body := []byte(*receive(t, run, "OrderUpdatedPublisherQueueUrl").Body)
			if err := validate(schema, body); err != nil {
				t.Errorf("%s\n%v", body, err)
			}
			wantPipeForms(t, body)
			event, err := record.Decode(body)
			if err != nil {
				t.Fatal(err)
			}
			types[event.Type] = true
		}
	})
}

// wantPipeForms checks the forms in which docs/envelope.md says that the pipe sends the fields.
func wantPipeForms(t *testing.T, body []byte) {
	t.Helper()
	var envelope struct{ Detail map[string]any }
	if err := json.Unmarshal(body, &envelope); err != nil {
		t.Fatal(err)
	}
	for _, field := range record.DetailFields {
		value := envelope.Detail[field]
		if slices.Contains(record.DetailObjects, field) {
			value = value.(map[string]any)["S"]
		}
		if _, ok := value.(string); !ok {
			t.Errorf("%s is %v, want the form of docs/envelope.md", field, envelope.Detail[field])
		}
	}
}

// TestEnvelopeSchema: the schema and the decoder of this module are of one mind.
func TestEnvelopeSchema(t *testing.T) {
	schema := envelopeSchema(t)
	files, err := filepath.Glob(filepath.Join(root, "runtime", "record", "testdata", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no envelopes to look at: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wantVerdict(t, schema, filepath.Base(file), raw, true)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "envelope.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(page), "```json\n")
	shown, _, _ = strings.Cut(shown, "```")
	wantVerdict(t, schema, "the example of docs/envelope.md", []byte(shown), true)
	wantPipeForms(t, []byte(shown))
	for name, tc := range map[string]struct {
		change func(envelope, detail map[string]any)
		ok     bool
	}{
		"unknown fields":      {func(e, d map[string]any) { e["new"], d["new"] = 1, map[string]any{} }, true},
		"native numbers":      {func(_, d map[string]any) { d["version"], d["occurredAt"] = 2, 1793611801123 }, true},
		"numbers of DynamoDB": {func(_, d map[string]any) { d["version"] = map[string]any{"N": "2"} }, true},
		"strings of DynamoDB": {func(_, d map[string]any) { d["id"], d["data"] = map[string]any{"S": "x"}, map[string]any{"S": "{}"} }, true},
		"data that is JSON":   {func(_, d map[string]any) { d["data"] = []any{1} }, true},
		"no chain and no trace": {func(_, d map[string]any) {
			delete(d, "correlationId")
			delete(d, "causationId")
			delete(d, "traceparent")
		}, true},
		"no id":                  {func(_, d map[string]any) { delete(d, "id") }, false},
		"an empty id":            {func(_, d map[string]any) { d["id"] = "" }, false},
		"no type":                {func(_, d map[string]any) { delete(d, "type") }, false},
		"no aggregate type":      {func(_, d map[string]any) { delete(d, "aggregateType") }, false},
		"no aggregate id":        {func(_, d map[string]any) { delete(d, "aggregateId") }, false},
		"no version":             {func(_, d map[string]any) { delete(d, "version") }, false},
		"version zero":           {func(_, d map[string]any) { d["version"] = "0" }, false},
		"a fraction of one":      {func(_, d map[string]any) { d["version"] = 1.5 }, false},
		"a version that is none": {func(_, d map[string]any) { d["version"] = "one" }, false},
		"no time":                {func(_, d map[string]any) { delete(d, "occurredAt") }, false},
		"no data":                {func(_, d map[string]any) { delete(d, "data") }, false},
		"a number as trace":      {func(_, d map[string]any) { d["traceparent"] = 1 }, false},
		"no source":              {func(e, _ map[string]any) { delete(e, "source") }, false},
		"a source of AWS":        {func(e, _ map[string]any) { e["source"] = "aws.ec2" }, false},
		"a source with #":        {func(e, _ map[string]any) { e["source"] = "a#b" }, false},
		"no detail type":         {func(e, _ map[string]any) { delete(e, "detail-type") }, false},
		"no detail":              {func(e, _ map[string]any) { delete(e, "detail") }, false},
	} {
		var envelope map[string]any
		raw, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &envelope); err != nil {
			t.Fatal(err)
		}
		tc.change(envelope, envelope["detail"].(map[string]any))
		if raw, err = json.Marshal(envelope); err != nil {
			t.Fatal(err)
		}
		wantVerdict(t, schema, name, raw, tc.ok)
	}
}

// wantVerdict checks that schema and decoder both take an envelope, or both refuse it.
func wantVerdict(t *testing.T, schema *jsonschema.Schema, name string, raw []byte, ok bool) {
	t.Helper()
	bySchema := validate(schema, raw)
	if _, byDecoder := record.Decode(raw); (bySchema == nil) != ok || (byDecoder == nil) != ok {
		t.Errorf("%s: accepted must be %v; the schema says %v, the decoder %v", name, ok, bySchema, byDecoder)
	}
}

func envelopeSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile(filepath.Join(root, "docs", "envelope.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func validate(schema *jsonschema.Schema, raw []byte) error {
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	return errors.Join(err, schema.Validate(instance))
}

// A handledEvent is the line that the examples log about an event.
type handledEvent struct {
	Message, Source, ID, Type, AggregateType, AggregateID string
	Version, OccurredAt                                   int64
	Data                                                  json.RawMessage
	Traceparent, CorrelationID, CausationID               string
}

// awaitHandled waits for a consumer's line about an aggregate.
func awaitHandled(t *testing.T, run *localrun.Run, consumer, aggregate string) (e handledEvent) {
	t.Helper()
	hops, err := run.Wait(within(t), 1, logged(run, consumer, aggregate))
	if err != nil {
		t.Fatalf("%s did not get order %s: %v", consumer, aggregate, err)
	}
	if err := json.Unmarshal([]byte(handlerLine(hops[0].Detail)), &e); err != nil {
		t.Fatalf("%s logged %s: %v", consumer, hops[0].Detail, err)
	}
	return e
}

// handlerLine returns what a handler gave to its log. The runtime for Node.js puts that into the message of an entry of its own
// where the function's log format is JSON.
func handlerLine(line string) string {
	var entry struct{ Timestamp, Level, RequestID, Message string }
	if json.Unmarshal([]byte(line), &entry) == nil && entry.Timestamp != "" && entry.RequestID != "" && strings.HasPrefix(entry.Message, "{") {
		return entry.Message
	}
	return line
}

func equalJSON(t *testing.T, a, b any) bool {
	t.Helper()
	first, err := json.Marshal(a)
	second, err2 := json.Marshal(b)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(first, second)
}

// useExample puts a handler of examples/consumers in the place of a production function.
func (p tmpl) useExample(path, example, runtime, handler string) {
	p.t.Helper()
	function := p.find("AWS::Lambda::Function", path)
	delete(function["Metadata"].(map[string]any), "outboxkit:golambda") // nothing to compile
	properties := function["Properties"].(map[string]any)
	properties["Runtime"], properties["Handler"] = runtime, handler
	properties["Code"] = map[string]any{"S3Key": example + ".zip"}
}

// addAsset adds a folder of examples/consumers to the assembly, as an asset of the name that useExample gives it.
func addAsset(t *testing.T, app, example string) {
	t.Helper()
	folder := "asset." + example
	if err := os.CopyFS(filepath.Join(app, folder), os.DirFS(filepath.Join(root, "examples", "consumers", example))); err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(app, stack+".assets.json")
	raw, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	var assets map[string]any
	if err := json.Unmarshal(raw, &assets); err != nil {
		t.Fatal(err)
	}
	assets["files"].(map[string]any)[example] = map[string]any{
		"source":       map[string]any{"path": folder, "packaging": "zip"},
		"destinations": map[string]any{"here": map[string]any{"objectKey": example + ".zip"}},
	}
	if raw, err = json.Marshal(assets); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(manifest, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}
