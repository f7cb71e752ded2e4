package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/audit"
)

// The largest chunk. A message may have 1 MiB, of which this stays far: a chunk is one step of a run that can be left in
// between. Source: SQS developer guide, "Amazon SQS message quotas".
const (
	maxEvents = 1000
	maxBytes  = 200_000
)

// A chunk is some events of one source that wait in the pending queue until their effects are looked for. Its names are
// short, because a message is charged by the 64 KB.
type chunk struct {
	Layout    int       `json:"layout"`
	DueAt     time.Time `json:"dueAt"`
	Source    string    `json:"source"`
	Consumers []string  `json:"consumers"` // names
	Events    []pending `json:"events"`
}

// chunkLayout is the layout that is written and read.
const chunkLayout = 1

// pending is one event of a chunk, and whose it is.
type pending struct {
	ID             string `json:"i"`
	Type           string `json:"t"`
	AggregateType  string `json:"k"`
	AggregateID    string `json:"a"`
	Version        int64  `json:"v"`
	WrittenAt      int64  `json:"w"` // epoch milliseconds
	SequenceNumber string `json:"s"`
	Consumers      []int  `json:"c"` // indices of the chunk's consumers
}

// add adds an event for the consumers, and reports whether it had room.
func (c *chunk) add(event audit.Event, consumers []*audit.Consumer, size *int) bool {
	p := pending{
		ID: event.ID, Type: event.Type, AggregateType: event.AggregateType, AggregateID: event.AggregateID, Version: event.Version,
		WrittenAt: event.WrittenAt.UnixMilli(), SequenceNumber: event.SequenceNumber,
	}
	names := c.Consumers
	for _, consumer := range consumers {
		at := slices.Index(names, consumer.Name)
		if at < 0 {
			at = len(names)
			names = append(names, consumer.Name)
		}
		p.Consumers = append(p.Consumers, at)
	}
	added := sizeOf(p) + sizeOf(names) - sizeOf(c.Consumers)
	if len(c.Events) > 0 && (len(c.Events) == maxEvents || *size+added > maxBytes) {
		return false
	}
	*size += added
	c.Consumers, c.Events = names, append(c.Events, p)
	return true
}

// sizeOf returns how many bytes a value takes in a chunk, the comma behind it included.
func sizeOf(value any) int {
	text, _ := json.Marshal(value) // texts and numbers only
	return len(text) + 1
}

// event returns an event of the chunk.
func (c *chunk) event(p pending) audit.Event {
	return audit.Event{
		ID: p.ID, Source: c.Source, Type: p.Type, AggregateType: p.AggregateType, AggregateID: p.AggregateID, Version: p.Version,
		WrittenAt: time.UnixMilli(p.WrittenAt), SequenceNumber: p.SequenceNumber,
	}
}

func parseChunk(body string) (*chunk, error) {
	var c chunk
	if err := json.Unmarshal([]byte(body), &c); err != nil {
		return nil, fmt.Errorf("read a pending message: %w", err)
	}
	if c.Layout != chunkLayout {
		return nil, fmt.Errorf("the layout of a pending message must be %d, got %d", chunkLayout, c.Layout)
	}
	for _, p := range c.Events {
		for _, at := range p.Consumers {
			if at < 0 || at >= len(c.Consumers) {
				return nil, fmt.Errorf("event %s of a pending message is for consumer %d of %d", p.ID, at, len(c.Consumers))
			}
		}
	}
	return &c, nil
}
