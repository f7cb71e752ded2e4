package queues

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// A Depth is what a queue holds at one moment.
type Depth struct {
	Name       string
	Visible    int
	NotVisible int // received and not deleted
	// OldestSent is when the oldest of these messages was first sent; zero for an empty queue. In a dead-letter queue,
	// too: AWS counts there from when the message came into that queue.
	OldestSent time.Time
}

// Depths returns what every queue holds.
func (s *Service) Depths(ctx context.Context) ([]Depth, error) {
	raw, err := s.ask(ctx, "Depths")
	if err != nil {
		return nil, fmt.Errorf("depths of the queues: %w", err)
	}
	var all []struct {
		Name                string
		Visible, NotVisible int
		OldestSent          *int64
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("depths of the queues: %w: %s", err, raw)
	}
	depths := make([]Depth, len(all))
	for i, q := range all {
		depths[i] = Depth{Name: q.Name, Visible: q.Visible, NotVisible: q.NotVisible}
		if q.OldestSent != nil {
			depths[i].OldestSent = time.UnixMilli(*q.OldestSent)
		}
	}
	return depths, nil
}
