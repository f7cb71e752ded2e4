package record_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"pgregory.net/rapid"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// TestEncodedItemDecodesToItsEvent takes any deliverable event the way of the pipe.
func TestEncodedItemDecodesToItsEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		event := anyEvent(t)
		item, err := event.Item(time.Unix(1, 0))
		if err != nil {
			t.Fatalf("item of %+v: %v", event, err)
		}
		envelope, err := record.Encode(item)
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(envelope)
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

func TestEncodeWritesWhatThePipeWrites(t *testing.T) {
	item, err := valid().Item(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := record.Encode(item)
	if err != nil {
		t.Fatal(err)
	}
	if envelope.Source != "orders" || envelope.DetailType != "OrderCreated" {
		t.Errorf("source is %q and detail-type %q, want orders and OrderCreated", envelope.Source, envelope.DetailType)
	}
	const want = `{"id":"e-1","type":"OrderCreated","aggregateType":"Order","aggregateId":"o-1","version":"3",` +
		`"occurredAt":"1793611801123","data":{"S":"{\"a\":1}"},"traceparent":{"S":""},"correlationId":"e-1","causationId":{"S":""}}`
	if got := normalize(t, envelope.Detail); got != normalize(t, []byte(want)) {
		t.Errorf("detail is\n%s\nwant\n%s", got, want)
	}
}

func TestEncodeNamesWhatIsWrong(t *testing.T) {
	item, err := valid().Item(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	delete(item, record.AttrSource)
	item[record.AttrData] = &types.AttributeValueMemberBOOL{Value: true}
	_, err = record.Encode(item)
	if err == nil {
		t.Fatal("encoded an item without a source")
	}
	for _, want := range []string{"attribute source is missing", "attribute data must be a string or a number, got *types.AttributeValueMemberBOOL"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want it to contain %q", err, want)
		}
	}
}

// normalize returns the JSON with its members in alphabetical order.
func normalize(t *testing.T, raw []byte) string {
	t.Helper()
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	sorted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(sorted)
}
