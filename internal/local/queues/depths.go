package queues

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
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
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cloud.Endpoint(cloud.SQS), strings.NewReader("{}"))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", "OutboxLocal.Depths") // see server.mjs
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("depths of the queues: %w", err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
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
