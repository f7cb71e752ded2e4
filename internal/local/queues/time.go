package queues

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// Advance sets the clock of the queues forward: messages become visible, delays end, and what is too old is deleted.
func (s *Service) Advance(ctx context.Context, d time.Duration) error {
	if _, err := s.ask(ctx, fmt.Sprintf("Advance/%d", d.Milliseconds())); err != nil {
		return fmt.Errorf("advance the clock of the queues: %w", err)
	}
	return nil
}

// Release makes the messages of a queue with that event visible that are in flight, as if their visibility timeout were over.
func (s *Service) Release(ctx context.Context, queueARN, eventID string) error {
	if _, err := s.ask(ctx, "Release/"+cloud.ResourceOf(queueARN)+"/"+url.PathEscape(eventID)); err != nil {
		return fmt.Errorf("make event %s visible: %w", eventID, err)
	}
	return nil
}

// ask asks server.mjs for what no client of SQS can.
func (s *Service) ask(ctx context.Context, what string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cloud.Endpoint(cloud.SQS), strings.NewReader("{}"))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", "OutboxLocal."+what) // see server.mjs
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, answer)
	}
	return answer, err
}
