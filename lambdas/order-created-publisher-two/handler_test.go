package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/outboxkit/transactional-outbox/lambdas/internal/consumer"
)

// testdata/orders.json holds an order, an event without items, one whose data is no object, and an order.
func TestPublish(t *testing.T) {
	raw, err := os.ReadFile("testdata/orders.json")
	if err != nil {
		t.Fatal(err)
	}
	var batch events.SQSEvent
	if err := json.Unmarshal(raw, &batch); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	response, err := consumer.Handler(slog.New(slog.NewJSONHandler(&out, nil)), publish)(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	failures := response.BatchItemFailures
	if len(failures) != 2 || failures[0].ItemIdentifier != batch.Records[1].MessageId || failures[1].ItemIdentifier != batch.Records[2].MessageId {
		t.Errorf("failures are %v, want the second and the third message", failures)
	}
	want := []map[string]any{
		{"aggregateId": "order-1", "total": 7080.0, "currency": "EUR"},
		{"aggregateId": "order-2", "level": "ERROR"},
		{"aggregateId": "order-3", "level": "ERROR"},
		{"aggregateId": "order-4", "total": 2997.0, "currency": "EUR"},
	}
	dec := json.NewDecoder(&out)
	for i, attrs := range want {
		var line map[string]any
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		for key, value := range attrs {
			if line[key] != value {
				t.Errorf("line %d: %s is %v, want %v", i, key, line[key], value)
			}
		}
	}
}
