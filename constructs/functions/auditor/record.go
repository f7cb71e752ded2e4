package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A streamRecord is a record of the stream, as Lambda passes it on. Attributes of an outbox item are strings and numbers;
// what else a shared table has is not read.
// Source: Lambda developer guide, "Using AWS Lambda with Amazon DynamoDB", example event.
type streamRecord struct {
	EventName      string `json:"eventName"`
	EventSourceARN string `json:"eventSourceARN"`
	Change         struct {
		CreatedAt      float64              `json:"ApproximateCreationDateTime"` // epoch seconds
		SequenceNumber string               `json:"SequenceNumber"`
		NewImage       map[string]attribute `json:"NewImage"`
	} `json:"dynamodb"`
}

type attribute struct{ S, N *string }

// item returns the item that was written.
func (r streamRecord) item() audit.Item {
	item := audit.Item{}
	for name, value := range r.Change.NewImage {
		switch {
		case value.S != nil:
			item[name] = &types.AttributeValueMemberS{Value: *value.S}
		case value.N != nil:
			item[name] = &types.AttributeValueMemberN{Value: *value.N}
		}
	}
	return item
}

// isEvent reports whether the pipe lets the record through as an event of the source. The mapping's filter is the same.
func (r streamRecord) isEvent(source string) bool {
	is := func(name, want string) bool {
		value := r.Change.NewImage[name].S
		return value != nil && *value == want
	}
	return r.EventName == "INSERT" && is(record.AttrRecordType, record.RecordTypeEvent) && is(record.AttrSource, source)
}

// place returns where the table is, by the ARN of its stream: "arn:aws:dynamodb:<region>:<account>:table/…".
func (r streamRecord) place() audit.Place {
	parts := strings.SplitN(r.EventSourceARN, ":", 6)
	if len(parts) != 6 {
		return audit.Place{}
	}
	return audit.Place{Region: parts[3], Account: parts[4]}
}

// clocksDiffer is how far a writer's time may be from DynamoDB's to be taken. An item that does not say when it was written
// has only the time of its event, which may be any.
const clocksDiffer = time.Hour

// event returns the event in the record, with the time of its commit.
func (r streamRecord) event(item audit.Item) (audit.Event, error) {
	event, err := audit.EventOf(item)
	if err != nil {
		return audit.Event{}, err
	}
	event.SequenceNumber = r.Change.SequenceNumber
	committed := time.UnixMilli(int64(r.Change.CreatedAt * 1000))
	if event.WrittenAt.Sub(committed).Abs() > clocksDiffer {
		event.WrittenAt = committed
	}
	return event, nil
}

func parseRecord(raw json.RawMessage) (streamRecord, error) {
	var r streamRecord
	if err := json.Unmarshal(raw, &r); err != nil {
		return streamRecord{}, fmt.Errorf("read a record of the stream: %w", err)
	}
	return r, nil
}
