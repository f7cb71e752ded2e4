package record_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

func TestDecode(t *testing.T) {
	want := record.Event{
		ID:            "o-1-1",
		Type:          "OrderCreated",
		Source:        "orders",
		AggregateType: "Order",
		AggregateID:   "o-1",
		Version:       1,
		OccurredAt:    time.Date(2026, 11, 2, 9, 30, 1, 123_000_000, time.UTC),
		Traceparent:   "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		CorrelationID: "o-1-1",
	}
	for _, file := range []string{"from_pipe.json", "native_replayed.json"} {
		t.Run(file, func(t *testing.T) {
			got, err := record.Decode(read(t, file))
			if err != nil {
				t.Fatal(err)
			}
			var data struct{ CustomerID, Note string }
			if err := json.Unmarshal(got.Data, &data); err != nil {
				t.Fatalf("data %s: %v", got.Data, err)
			}
			if data.CustomerID != "c-42" || data.Note != `it's "urgent" \ ☕` {
				t.Errorf("data is %s", got.Data)
			}
			got.Data = nil
			if !reflect.DeepEqual(got, want) {
				t.Errorf("event is\n%+v\nwant\n%+v", got, want)
			}
		})
	}
}

func TestDecodeTakesEveryForm(t *testing.T) {
	type attribute = map[string]string
	version := func(e record.Event) any { return e.Version }
	occurredAt := func(e record.Event) any { return e.OccurredAt }
	traceparent := func(e record.Event) any { return e.Traceparent }
	aggregateID := func(e record.Event) any { return e.AggregateID }
	for name, tc := range map[string]struct {
		field string
		value any
		read  func(record.Event) any
		want  any
	}{
		"version as string":            {"version", "7", version, int64(7)},
		"version as number":            {"version", 7, version, int64(7)},
		"version as attribute":         {"version", attribute{"N": "7"}, version, int64(7)},
		"version as string attribute":  {"version", attribute{"S": "7"}, version, int64(7)},
		"occurredAt as string":         {"occurredAt", "1500", occurredAt, time.UnixMilli(1500).UTC()},
		"occurredAt as number":         {"occurredAt", 1500, occurredAt, time.UnixMilli(1500).UTC()},
		"occurredAt as attribute":      {"occurredAt", attribute{"N": "1500"}, occurredAt, time.UnixMilli(1500).UTC()},
		"traceparent as attribute":     {"traceparent", attribute{"S": "t"}, traceparent, "t"},
		"traceparent empty":            {"traceparent", attribute{"S": ""}, traceparent, ""},
		"traceparent null":             {"traceparent", nil, traceparent, ""},
		"aggregateId as attribute":     {"aggregateId", attribute{"S": "o-9"}, aggregateID, "o-9"},
		"data as JSON text":            {"data", `{"a":1}`, data, `{"a":1}`},
		"data as attribute":            {"data", attribute{"S": `{"a":"\"q\" \\ \n"}`}, data, `{"a":"\"q\" \\ \n"}`},
		"data as text in an attribute": {"data", attribute{"S": `hello`}, data, `"hello"`},
		"data as object":               {"data", map[string]int{"a": 1}, data, `{"a":1}`},
		"data with a member S":         {"data", map[string]any{"S": "x", "a": 1}, data, `{"S":"x","a":1}`},
		"data with a number S":         {"data", map[string]int{"S": 1}, data, `{"S":1}`},
		"data with a member N":         {"data", attribute{"N": "1"}, data, `{"N":"1"}`},
		"data as list":                 {"data", []int{1, 2}, data, `[1,2]`},
		"data as text that is JSON":    {"data", `"hello"`, data, `"hello"`},
		"data as text without JSON":    {"data", `hello`, data, `"hello"`},
		"data as empty text":           {"data", ``, data, `""`},
		"data null":                    {"data", nil, data, `null`},
	} {
		t.Run(name, func(t *testing.T) {
			event, err := record.Decode(change(t, func(_, detail map[string]any) { detail[tc.field] = tc.value }))
			if err != nil {
				t.Fatal(err)
			}
			if got := tc.read(event); got != tc.want {
				t.Errorf("%s is %v, want %v", tc.field, got, tc.want)
			}
		})
	}
}

// A rule matches names to the letter, and nobody knows which of two values of one name it has matched.
func TestDecodeReadsWhatTheRuleMatched(t *testing.T) {
	const body = `{"detail-type":"T","source":"s","detail":{"id":"1","type":"T","aggregateType":"A","aggregateId":"a",` +
		`"version":"1","occurredAt":"5","data":{"a":[{"b":1}]},"traceparent":""}}`
	after := func(place, member string) []byte { return []byte(strings.Replace(body, place, place+member, 1)) }
	if _, err := record.Decode([]byte(body)); err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{`"ID":"2",`, `"Id":"2",`, `"unknown":"2",`} {
		event, err := record.Decode(after(`"detail":{`, member))
		if err != nil || event.ID != "1" {
			t.Errorf("with %s: id is %q, error %v, want 1", member, event.ID, err)
		}
	}
	refused(t, []byte(strings.Replace(body, `"id"`, `"ID"`, 1)), "id must not be empty")
	refused(t, after(`"detail":{`, `"id":"2",`), `"id" twice`)
	refused(t, after(`"detail":{`, `"\u0069d":"2",`), `"id" twice`)
	refused(t, after(`{`, `"source":"s",`), `"source" twice`)
	refused(t, after(`{`, `"detail":{},`), `"detail" twice`)
	refused(t, after(`[{`, `"b":2,`), `"b" twice`)
	refused(t, []byte(strings.Replace(body, `{"a":[{"b":1}]}`, `{"S":"1","S":"2"}`, 1)), `"S" twice`)
	refused(t, []byte(strings.Replace(body, `"traceparent":""`, `"traceparent":{"S":"1","S":"2"}`, 1)), "traceparent must be a string")
}

// Text that was damaged on its way makes two ids one.
func TestDecodeRefusesDamagedText(t *testing.T) {
	for _, text := range []string{`\ud800`, `\udc00\ud800`, "\xff", "\xed\xa0\x80", `\ufffd`} {
		for _, field := range []string{"id", "aggregateType", "aggregateId", "traceparent", "correlationId", "causationId"} {
			body := change(t, func(_, detail map[string]any) { detail[field] = "DAMAGED" })
			refused(t, bytes.Replace(body, []byte("DAMAGED"), []byte(text), 1), field+" must be valid UTF-8")
		}
	}
	body := change(t, func(_, detail map[string]any) { detail["data"] = []string{"DAMAGED"} })
	refused(t, bytes.Replace(body, []byte("DAMAGED"), []byte("\xff"), 1), "data must be valid JSON in UTF-8")
}

func TestDecodeCarriesTheChain(t *testing.T) {
	event, err := record.Decode(change(t, func(_, detail map[string]any) {
		detail["correlationId"], detail["causationId"] = "first", "previous"
	}))
	if err != nil {
		t.Fatal(err)
	}
	if event.CorrelationID != "first" || event.CausationID != "previous" {
		t.Errorf("the chain is %q, %q, want first, previous", event.CorrelationID, event.CausationID)
	}
}

func TestDecodeRefuses(t *testing.T) {
	drop := func(field string) func(_, _ map[string]any) {
		return func(_, detail map[string]any) { delete(detail, field) }
	}
	set := func(field string, value any) func(_, _ map[string]any) {
		return func(_, detail map[string]any) { detail[field] = value }
	}
	for name, tc := range map[string]struct {
		change func(envelope, detail map[string]any)
		want   string
	}{
		"no detail":              {func(env, _ map[string]any) { delete(env, "detail") }, "detail"},
		"no detail-type":         {func(env, _ map[string]any) { delete(env, "detail-type") }, "detail-type"},
		"no source":              {func(env, _ map[string]any) { delete(env, "source") }, "source"},
		"another detail-type":    {func(env, _ map[string]any) { env["detail-type"] = "OrderDeleted" }, `"OrderDeleted"`},
		"detail a text":          {func(env, _ map[string]any) { env["detail"] = "x" }, `detail must be a JSON object, got "x"`},
		"source a number":        {func(env, _ map[string]any) { env["source"] = 5 }, "source must be a string, got 5"},
		"no id":                  {drop("id"), "id must not be empty"},
		"no aggregateType":       {drop("aggregateType"), "aggregateType must not be empty"},
		"no aggregateId":         {drop("aggregateId"), "aggregateId must not be empty"},
		"no version":             {drop("version"), "version is missing"},
		"version null":           {set("version", nil), "version must be a whole number, got null"},
		"version empty":          {set("version", ""), `version must be a whole number, got ""`},
		"version with fraction":  {set("version", 1.5), "version must be a whole number, got 1.5"},
		"version zero":           {set("version", "0"), "version must be at least 1, got 0"},
		"version too large":      {set("version", "9223372036854775808"), "version must be a whole number"},
		"version in two forms":   {set("version", map[string]string{"N": "1", "S": "2"}), "version must be a whole number"},
		"no occurredAt":          {drop("occurredAt"), "occurredAt is missing"},
		"occurredAt is a date":   {set("occurredAt", "2026-11-02"), "occurredAt must be a whole number"},
		"no data":                {drop("data"), "data must be valid JSON"},
		"id of another type":     {set("id", 5), "id must be a string, got 5"},
		"an aggregate with hash": {set("aggregateType", "Or#der"), "Or#der"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, change(t, tc.change), tc.want)
		})
	}
	for name, body := range map[string]string{"no JSON": `{"detail":`, "nothing": ``, "null": `null`, "a list": `[]`, "two documents": `{} {}`, "a brace too many": `{}}`} {
		t.Run(name, func(t *testing.T) { refused(t, []byte(body), "must be a JSON object") })
	}
}

func FuzzDecode(f *testing.F) {
	for _, file := range []string{"from_pipe.json", "native_replayed.json"} {
		body, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"detail-type":"T","source":"s","detail":{"id":"1","type":"T","aggregateType":"A","aggregateId":"a","version":null,"occurredAt":"-1","data":"\ud800"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		event, err := record.Decode(body)
		if err != nil {
			if !errors.Is(err, record.ErrNotAnEnvelope) {
				t.Fatalf("error %q does not say that it is no envelope", err)
			}
			return
		}
		if err := event.Validate(); err != nil {
			t.Fatalf("decoded an event that is not valid: %v", err)
		}
		if _, err := event.Item(time.Unix(0, 0)); err != nil {
			t.Fatalf("decoded an event that cannot be written: %v", err)
		}
	})
}

// anyEvent draws an event that Validate accepts.
func anyEvent(t *rapid.T) record.Event {
	whole := func(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, utf8.RuneError) }
	beforeHash := func(s string) bool { return !strings.Contains(s, "#") && !strings.HasPrefix(s, "aws.") }
	text := rapid.StringN(0, -1, 512).Filter(whole)
	name := rapid.StringN(1, 128, 128).Filter(whole)
	return record.Event{
		ID:            name.Draw(t, "id"),
		Type:          name.Draw(t, "type"),
		Source:        name.Filter(beforeHash).Draw(t, "source"),
		AggregateType: name.Filter(beforeHash).Draw(t, "aggregateType"),
		AggregateID:   name.Draw(t, "aggregateId"),
		Version:       rapid.Int64Min(1).Draw(t, "version"),
		OccurredAt:    time.UnixMilli(rapid.Int64Range(0, 1<<45).Draw(t, "occurredAt")).UTC(),
		Data:          anyJSON(t),
		Traceparent:   rapid.SampledFrom([]string{"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}).Draw(t, "traceparent"),
		CorrelationID: text.Draw(t, "correlationId"),
		CausationID:   text.Draw(t, "causationId"),
	}
}

func anyJSON(t *rapid.T) json.RawMessage {
	value := rapid.OneOf(
		rapid.Just[any](nil),
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.Int(), func(n int) any { return n }),
		rapid.Map(rapid.MapOf(rapid.String(), rapid.String()), func(m map[string]string) any { return m }),
		rapid.Map(rapid.SliceOf(rapid.Bool()), func(l []bool) any { return l }),
	).Draw(t, "data")
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func data(e record.Event) any { return string(e.Data) }

// change is from_pipe.json with something different.
func change(t *testing.T, edit func(envelope, detail map[string]any)) []byte {
	t.Helper()
	var envelope map[string]any
	if err := json.Unmarshal(read(t, "from_pipe.json"), &envelope); err != nil {
		t.Fatal(err)
	}
	detail := maps.Clone(envelope["detail"].(map[string]any))
	envelope["detail"] = detail
	edit(envelope, detail)
	body, err := json.Marshal(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func refused(t *testing.T, body []byte, want string) {
	t.Helper()
	event, err := record.Decode(body)
	if !errors.Is(err, record.ErrNotAnEnvelope) {
		t.Fatalf("decoded %s to %+v with error %v, want ErrNotAnEnvelope", body, event, err)
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("error is %q, want it to contain %q", err, want)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return body
}
