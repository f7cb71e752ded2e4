package main

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/audit"
)

const (
	// reloadAfter is how long the descriptions hold: a consumer that was just deployed is known a minute later.
	reloadAfter = time.Minute
	// recompileAfter is how long consumers hold whose descriptions have not changed: a queue or the pipe may have been made
	// anew.
	recompileAfter = time.Hour
)

// A catalog is what is known about the outbox and its consumers.
type catalog struct {
	parameters audit.Parameters
	queues     audit.QueueDescriber
	pipes      audit.PipeDescriber
	path       string

	mu         sync.Mutex
	settings   audit.Settings
	consumers  audit.Consumers
	loadedAt   time.Time
	compiledAt time.Time
}

// load returns the outbox's settings and its consumers. An error must not be taken for an outbox without consumers.
func (c *catalog) load(ctx context.Context) (audit.Settings, audit.Consumers, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.loadedAt.IsZero() && time.Since(c.loadedAt) < reloadAfter {
		return c.settings, c.consumers, nil
	}
	settings, err := audit.Load(ctx, c.parameters, c.path)
	if err != nil {
		return audit.Settings{}, nil, err
	}
	now := time.Now()
	if c.compiledAt.IsZero() || now.Sub(c.compiledAt) >= recompileAfter || !reflect.DeepEqual(settings, c.settings) {
		began, err := audit.PipeBegan(ctx, c.pipes, settings.Outbox.Pipe)
		if err != nil {
			return audit.Settings{}, nil, err
		}
		consumers, err := audit.Compile(ctx, c.queues, began, settings.Consumers)
		if err != nil {
			return audit.Settings{}, nil, err
		}
		c.consumers, c.compiledAt = consumers, now
	}
	c.settings, c.loadedAt = settings, now
	return c.settings, c.consumers, nil
}
