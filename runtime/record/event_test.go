package record_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

func valid() record.Event {
	return record.Event{
		ID: "e-1", Type: "OrderCreated", Source: "orders", AggregateType: "Order", AggregateID: "o-1",
		Version: 3, OccurredAt: time.UnixMilli(1793611801123), Data: json.RawMessage(`{"a":1}`),
	}
}

func TestValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(*record.Event)
		want string // empty: it is valid
	}{
		"as it is":                   {func(*record.Event) {}, ""},
		"no id":                      {func(e *record.Event) { e.ID = "" }, "id must not be empty"},
		"no type":                    {func(e *record.Event) { e.Type = "" }, "type must not be empty"},
		"no source":                  {func(e *record.Event) { e.Source = "" }, "source must not be empty"},
		"no aggregate type":          {func(e *record.Event) { e.AggregateType = "" }, "aggregateType must not be empty"},
		"no aggregate id":            {func(e *record.Event) { e.AggregateID = "" }, "aggregateId must not be empty"},
		"longest type":               {func(e *record.Event) { e.Type = strings.Repeat("é", 128) }, ""},
		"type too long":              {func(e *record.Event) { e.Type = strings.Repeat("é", 129) }, "type must have at most 128 characters, got 129"},
		"longest source":             {func(e *record.Event) { e.Source = strings.Repeat("s", 256) }, ""},
		"source too long":            {func(e *record.Event) { e.Source = strings.Repeat("s", 257) }, "source must have at most 256 bytes, got 257"},
		"reserved source":            {func(e *record.Event) { e.Source = "aws.orders" }, `"aws.orders"`},
		"source that only resembles": {func(e *record.Event) { e.Source = "awsome" }, ""},
		"hash in aggregate type":     {func(e *record.Event) { e.AggregateType = "Or#der" }, `"Or#der"`},
		"hash in source":             {func(e *record.Event) { e.Source = "or#ders" }, `source must not contain '#'`},
		"longest id":                 {func(e *record.Event) { e.ID = strings.Repeat("i", 512) }, ""},
		"id too long":                {func(e *record.Event) { e.ID = strings.Repeat("i", 513) }, "id must have at most 512 bytes, got 513"},
		"aggregate type too long":    {func(e *record.Event) { e.AggregateType = strings.Repeat("é", 65) }, "aggregateType must have at most 128 bytes, got 130"},
		"aggregate id too long":      {func(e *record.Event) { e.AggregateID = strings.Repeat("a", 1025) }, "aggregateId must have at most 1024 bytes, got 1025"},
		"id not UTF-8":               {func(e *record.Event) { e.ID = "e\xff" }, `id must be valid UTF-8 without U+FFFD, got "e\xff"`},
		"id damaged":                 {func(e *record.Event) { e.ID = "e\ufffd" }, "id must be valid UTF-8"},
		"causation id not UTF-8":     {func(e *record.Event) { e.CausationID = "\xff" }, "causationId must be valid UTF-8"},
		"data not UTF-8":             {func(e *record.Event) { e.Data = json.RawMessage("\"\xff\"") }, "data must be valid JSON in UTF-8"},
		"hash in aggregate id":       {func(e *record.Event) { e.AggregateID = "o#1" }, ""},
		"first version":              {func(e *record.Event) { e.Version = 1 }, ""},
		"version zero":               {func(e *record.Event) { e.Version = 0 }, "version must be at least 1, got 0"},
		"no data":                    {func(e *record.Event) { e.Data = nil }, "data must be valid JSON"},
		"broken data":                {func(e *record.Event) { e.Data = json.RawMessage(`{`) }, "data must be valid JSON"},
		"null data":                  {func(e *record.Event) { e.Data = json.RawMessage(`null`) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			event := valid()
			tc.edit(&event)
			err := event.Validate()
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("error is %v, want it to contain %q", err, tc.want)
			}
			if _, itemErr := event.Item(time.Now()); (itemErr == nil) != (err == nil) {
				t.Errorf("Item's error is %v, Validate's is %v", itemErr, err)
			}
		})
	}
}

func TestValidateReportsAllProblemsAtOnce(t *testing.T) {
	err := record.Event{}.Validate()
	if err == nil {
		t.Fatal("an empty event is valid")
	}
	for _, name := range []string{"id", "type", "source", "aggregateType", "aggregateId", "version", "data"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("error does not name %s: %v", name, err)
		}
	}
}

// TestItem pins the names and types of the stored attributes: the pipes of deployed stacks read them.
func TestItem(t *testing.T) {
	event := valid()
	event.Traceparent, event.CorrelationID, event.CausationID = "00-1-2-01", "e-0", "e-0b"
	item, err := event.Item(time.Unix(1794216601, 999))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]types.AttributeValue{
		"pk":            &types.AttributeValueMemberS{Value: "Order#o-1"},
		"sk":            &types.AttributeValueMemberS{Value: "event#e-1"},
		"recordType":    &types.AttributeValueMemberS{Value: "outbox.event"},
		"id":            &types.AttributeValueMemberS{Value: "e-1"},
		"type":          &types.AttributeValueMemberS{Value: "OrderCreated"},
		"source":        &types.AttributeValueMemberS{Value: "orders"},
		"aggregateType": &types.AttributeValueMemberS{Value: "Order"},
		"aggregateId":   &types.AttributeValueMemberS{Value: "o-1"},
		"version":       &types.AttributeValueMemberN{Value: "3"},
		"occurredAt":    &types.AttributeValueMemberN{Value: "1793611801123"},
		"data":          &types.AttributeValueMemberS{Value: `{"a":1}`},
		"traceparent":   &types.AttributeValueMemberS{Value: "00-1-2-01"},
		"correlationId": &types.AttributeValueMemberS{Value: "e-0"},
		"causationId":   &types.AttributeValueMemberS{Value: "e-0b"},
		"expiresAt":     &types.AttributeValueMemberN{Value: "1794216601"},
	}
	for name, value := range want {
		if got := item[name]; !equal(got, value) {
			t.Errorf("%s is %#v, want %#v", name, got, value)
		}
	}
	if len(item) != len(want) {
		t.Errorf("the item has %d attributes, want %d", len(item), len(want))
	}
}

// TestItemAlwaysHasWhatThePipeReads: a path that does not resolve would leave a hole in the envelope.
func TestItemAlwaysHasWhatThePipeReads(t *testing.T) {
	item, err := valid().Item(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range record.DetailFields {
		if _, ok := item[field]; !ok {
			t.Errorf("the item of an event without trace and chain has no %s", field)
		}
	}
	if id := item[record.AttrCorrelationID].(*types.AttributeValueMemberS).Value; id != "e-1" {
		t.Errorf("correlationId is %q, want the event's own id: it begins the chain", id)
	}
}

func equal(a, b types.AttributeValue) bool {
	switch a := a.(type) {
	case *types.AttributeValueMemberS:
		b, ok := b.(*types.AttributeValueMemberS)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberN:
		b, ok := b.(*types.AttributeValueMemberN)
		return ok && a.Value == b.Value
	default:
		return false
	}
}
