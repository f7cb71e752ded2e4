package record_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
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

func TestDecodeTakesStringOrNativeForm(t *testing.T) {
	for name, tc := range map[string]struct {
		field string
		value any
		read  func(record.Event) any
		want  any
	}{
		"version as string":           {"version", "7", func(e record.Event) any { return e.Version }, int64(7)},
		"version as number":           {"version", 7, func(e record.Event) any { return e.Version }, int64(7)},
		"occurredAt as string":        {"occurredAt", "1500", func(e record.Event) any { return e.OccurredAt }, time.UnixMilli(1500).UTC()},
		"occurredAt as number":        {"occurredAt", 1500, func(e record.Event) any { return e.OccurredAt }, time.UnixMilli(1500).UTC()},
		"data as JSON text":           {"data", `{"a":1}`, data, `{"a":1}`},
		"data as object":              {"data", map[string]int{"a": 1}, data, `{"a":1}`},
		"data as list":                {"data", []int{1, 2}, data, `[1,2]`},
		"data as text that is a JSON": {"data", `"hello"`, data, `"hello"`},
		"data as text without JSON":   {"data", `hello`, data, `"hello"`},
		"data as empty text":          {"data", ``, data, `""`},
		"data null":                   {"data", nil, data, `null`},
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
		says   string
	}{
		"no detail":              {func(env, _ map[string]any) { delete(env, "detail") }, "detail"},
		"no detail-type":         {func(env, _ map[string]any) { delete(env, "detail-type") }, "detail-type"},
		"no source":              {func(env, _ map[string]any) { delete(env, "source") }, "source"},
		"another detail-type":    {func(env, _ map[string]any) { env["detail-type"] = "OrderDeleted" }, `"OrderDeleted"`},
		"no id":                  {drop("id"), "id is empty"},
		"no aggregateType":       {drop("aggregateType"), "aggregateType is empty"},
		"no aggregateId":         {drop("aggregateId"), "aggregateId is empty"},
		"no version":             {drop("version"), "version is missing"},
		"version null":           {set("version", nil), "version is null"},
		"version empty":          {set("version", ""), `version is ""`},
		"version with fraction":  {set("version", 1.5), "version is 1.5"},
		"version zero":           {set("version", "0"), "version is 0"},
		"version too large":      {set("version", "9223372036854775808"), "version is"},
		"no occurredAt":          {drop("occurredAt"), "occurredAt is missing"},
		"occurredAt is a date":   {set("occurredAt", "2026-11-02"), "occurredAt"},
		"no data":                {drop("data"), "data is not valid JSON"},
		"id of another type":     {set("id", 5), "id"},
		"an aggregate with hash": {set("aggregateType", "Or#der"), "Or#der"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, change(t, tc.change), tc.says)
		})
	}
	for name, body := range map[string]string{"no JSON": `{"detail":`, "nothing": ``, "null": `null`, "a list": `[]`, "two documents": `{} {}`} {
		t.Run(name, func(t *testing.T) { refused(t, []byte(body), "") })
	}
}

// TestItemToEnvelopeAndBack takes any deliverable event the way of the pipe: all attributes as strings.
func TestItemToEnvelopeAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		event := anyEvent(t)
		item, err := event.Item(time.Unix(1, 0))
		if err != nil {
			t.Fatalf("item of %+v: %v", event, err)
		}
		detail := map[string]string{}
		for _, field := range record.DetailFields {
			detail[field] = scalar(t, item[field])
		}
		body, err := json.Marshal(map[string]any{
			"detail-type": scalar(t, item[record.AttrType]),
			"source":      scalar(t, item[record.AttrSource]),
			"detail":      detail,
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := record.Decode(body)
		if err != nil {
			t.Fatalf("decode %s: %v", body, err)
		}
		if event.CorrelationID == "" {
			event.CorrelationID = event.ID
		}
		if !reflect.DeepEqual(got, event) {
			t.Fatalf("decoded\n%+v\nwant\n%+v", got, event)
		}
	})
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
	f.Add([]byte(fromBus))
	f.Fuzz(func(t *testing.T, body []byte) {
		readAlike(t, string(body))
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
	name := rapid.StringN(1, 128, -1)
	aggregateType := rapid.StringMatching(`[^#]{1,20}`)
	return record.Event{
		ID:            name.Draw(t, "id"),
		Type:          name.Draw(t, "type"),
		Source:        name.Filter(func(s string) bool { return !strings.HasPrefix(s, "aws.") }).Draw(t, "source"),
		AggregateType: aggregateType.Draw(t, "aggregateType"),
		AggregateID:   name.Draw(t, "aggregateId"),
		Version:       rapid.Int64Min(1).Draw(t, "version"),
		OccurredAt:    time.UnixMilli(rapid.Int64Range(0, 1<<45).Draw(t, "occurredAt")).UTC(),
		Data:          anyJSON(t),
		Traceparent:   rapid.SampledFrom([]string{"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}).Draw(t, "traceparent"),
		CorrelationID: rapid.String().Draw(t, "correlationId"),
		CausationID:   rapid.String().Draw(t, "causationId"),
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

// scalar is the value of a string or number attribute, which a pipe's path passes on as a string.
func scalar(t *rapid.T, value types.AttributeValue) string {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	default:
		t.Fatalf("attribute %#v is neither a string nor a number", value)
		return ""
	}
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

func refused(t *testing.T, body []byte, says string) {
	t.Helper()
	event, err := record.Decode(body)
	if !errors.Is(err, record.ErrNotAnEnvelope) {
		t.Fatalf("decoded %s to %+v with error %v, want ErrNotAnEnvelope", body, event, err)
	}
	if !strings.Contains(err.Error(), says) {
		t.Errorf("error is %q, want it to say %q", err, says)
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
