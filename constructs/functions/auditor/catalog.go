package main

import (
	"context"
	"reflect"
	"slices"
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
	unusable   []error // descriptions of consumers, after Load
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

// load returns the outbox's settings and its consumers. An error must not be taken for an outbox without consumers. A consumer
// whose description cannot be used is missing, and unusable says why: it would stay so however often a batch came again.
func (c *catalog) load(ctx context.Context) (settings audit.Settings, consumers audit.Consumers, unusable []error, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loadedAt.IsZero() || time.Since(c.loadedAt) >= reloadAfter {
		if err := c.reload(ctx); err != nil {
			return audit.Settings{}, nil, nil, err
		}
	}
	return c.settings, c.consumers, slices.Concat(c.settings.Unusable, c.unusable), nil
}

// reload reads the descriptions.
func (c *catalog) reload(ctx context.Context) error {
	settings, err := audit.Load(ctx, c.parameters, c.path)
	if err != nil {
		return err
	}
	now := time.Now()
	if c.compiledAt.IsZero() || now.Sub(c.compiledAt) >= recompileAfter || !reflect.DeepEqual(settings, c.settings) {
		began, err := audit.PipeBegan(ctx, c.pipes, settings.Outbox.Pipe)
		if err != nil {
			return err
		}
		consumers, unusable, err := audit.Compile(ctx, c.queues, began, settings.Consumers)
		if err != nil {
			return err
		}
		keepSince(consumers, c.consumers)
		c.consumers, c.unusable, c.compiledAt = consumers, unusable, now
	}
	c.settings, c.loadedAt = settings, now
	return nil
}
