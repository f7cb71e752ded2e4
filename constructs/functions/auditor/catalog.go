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

// keepSince leaves a consumer that was known before what is its own since then: with a new queue it does not join again, and
// what waited in the old one may be lost.
func keepSince(consumers, before audit.Consumers) {
	for _, c := range consumers {
		if old := before.Named(c.Name); old != nil && old.Since.Before(c.Since) {
			c.Since, c.Joined = old.Since, old.Joined
		}
	}
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
		keepSince(consumers, c.consumers)
		c.consumers, c.compiledAt = consumers, now
	}
	c.settings, c.loadedAt = settings, now
	return c.settings, c.consumers, nil
}
