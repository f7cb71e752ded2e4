// Package running shows on a page the stack that runs in this process, and what the page can do with it: send requests,
// publish events, deliver them again, and switch faults.
package running

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/flow"
	"github.com/outboxkit/transactional-outbox/internal/local"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/internal/page"
	"github.com/outboxkit/transactional-outbox/internal/page/deployed"
)

// A Run is a [page.Backend] and a [page.Run] for a session. What can be known from outside it takes from a [deployed.Stacks].
type Run struct {
	session *local.Session
	tap     *Tap
	port    int
	save    func() string

	mu    sync.Mutex
	shown *shown
}

// shown is what the page shows until an update runs other templates.
type shown struct {
	*deployed.Stacks
	summary console.Summary
	updates int // how many there were before
	graph   *flow.Graph
}

var (
	_ page.Backend = (*Run)(nil)
	_ page.Run     = (*Run)(nil)
)

// New returns what shows the session, whose console is the tap. port is the one that was asked for, for
// advice, and save names the files for copies of discarded messages.
func New(ctx context.Context, session *local.Session, tap *Tap, port int, save func() string) (*Run, error) {
	r := &Run{session: session, tap: tap, port: port, save: save}
	_, err := r.current(ctx)
	return r, err
}

// current returns what the page shows, which it reads again after an update. On an error that is to be done yet.
func (r *Run) current(ctx context.Context) (*shown, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	summary, updates := r.tap.running()
	if r.shown != nil && r.shown.updates == updates {
		return r.shown, nil
	}
	stacks, err := r.read(ctx, summary.Stacks)
	if err != nil {
		return nil, err
	}
	graph, err := stacks.Flow(ctx)
	if err != nil {
		return nil, err
	}
	r.shown = &shown{stacks, summary, updates, graph}
	return r.shown, nil
}

// last returns what the page has shown last.
func (r *Run) last() *shown {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shown
}

// read reads the stacks that run.
func (r *Run) read(ctx context.Context, names []string) (*deployed.Stacks, error) {
	c := r.session.Cloud()
	config := deployed.Config{
		Clients: operate.AtEndpoints(c.Region, operate.Endpoints{
			DynamoDB: c.Endpoint(cloud.DynamoDB), SQS: c.Endpoint(cloud.SQS), EventBridge: c.Endpoint(cloud.EventBridge), Others: c.Endpoint(cloud.Others),
		}, "on this machine"),
		Command: operate.CommandLine{Local: true, Port: r.port}, Names: names, Write: true, Save: r.save,
	}
	var problems []error
	for _, name := range config.Names {
		stack, err := operate.Discover(ctx, config.Clients, name)
		if err != nil { // it has no outbox, and its flow is shown all the same
			problems = append(problems, err)
			continue
		}
		config.Outboxes = append(config.Outboxes, stack)
	}
	config.NoOutbox = errors.Join(problems...)
	return deployed.New(ctx, config)
}

// Flow returns how events move through the stacks.
func (r *Run) Flow(ctx context.Context) (*flow.Graph, error) {
	now, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	return now.graph, nil
}

// About returns what runs.
func (r *Run) About() page.About {
	shown := r.last()
	about := shown.About()
	about.Live, about.EventsBySearch = true, false
	s := shown.summary
	endpoints := page.FactGroup{Title: "Endpoints"}
	for _, api := range s.APIs {
		endpoints.Rows = append(endpoints.Rows, []string{"REST API of " + api.Stack, api.URL})
	}
	for _, e := range s.Endpoints {
		endpoints.Rows = append(endpoints.Rows, []string{e.Service.Variable(), e.URL})
	}
	endpoints.Rows = append(endpoints.Rows, []string{"data", s.Data})
	outputs := page.FactGroup{Title: "Outputs"}
	for name, value := range s.Outputs {
		outputs.Rows = append(outputs.Rows, []string{name, value})
	}
	slices.SortFunc(outputs.Rows, slices.Compare)
	resources := page.FactGroup{Title: "Resources"}
	for _, res := range s.Resources {
		resources.Rows = append(resources.Rows, []string{res.Name, res.Type, res.Ref})
	}
	skipped := page.FactGroup{Title: "Not needed here"}
	for _, sk := range s.Skipped {
		skipped.Rows = append(skipped.Rows, []string{sk.Type, sk.Reason})
	}
	about.Facts = []page.FactGroup{endpoints, outputs, resources, skipped}
	return about
}

// followEvery is how often a follower is told of what has moved.
const followEvery = 100 * time.Millisecond

// Follow calls change with what moves until ctx is done.
func (r *Run) Follow(ctx context.Context, change func(page.Change)) {
	ticks := time.NewTicker(followEvery)
	defer ticks.Stop()
	before, revision, shows := r.tap.snapshot(), r.revision(), r.last()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		shown, err := r.current(ctx)
		if err != nil {
			continue // the state tells of it
		}
		now, next := r.tap.snapshot(), r.revision()
		c := page.Change{Events: next != revision, Flow: shown != shows}
		for w, n := range now {
			if n > before[w] {
				c.Moves = append(c.Moves, r.moves(shown.graph, w, n-before[w])...)
			}
		}
		if c.Events || c.Flow || len(c.Moves) > 0 {
			change(c)
		}
		before, revision, shows = now, next, shown
	}
}
