// Package running shows on a page the stack that runs in this process, and what the page can do with it: send requests,
// publish events, deliver them again, and switch faults.
package running

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/flow"
	"github.com/outboxkit/transactional-outbox/internal/local"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/internal/page"
	"github.com/outboxkit/transactional-outbox/internal/page/deployed"
)

// A Run is a [page.Backend] and a [page.Run] for a session. What can be known from outside it takes from a [deployed.Stacks].
type Run struct {
	*deployed.Stacks
	session *local.Session
	tap     *Tap
	graph   *flow.Graph
	// advises reports that the command finds the run by its port, so that advice names command lines.
	advises bool
}

var (
	_ page.Backend = (*Run)(nil)
	_ page.Run     = (*Run)(nil)
)

// New returns what shows the session, whose console is the tap. port is the one that was asked for, for
// advice, and save names the files for copies of discarded messages.
func New(ctx context.Context, session *local.Session, tap *Tap, port int, save func() string) (*Run, error) {
	c := session.Cloud()
	config := deployed.Config{
		Clients: operate.AtEndpoints(c.Region, operate.Endpoints{
			DynamoDB: c.Endpoint(cloud.DynamoDB), SQS: c.Endpoint(cloud.SQS), EventBridge: c.Endpoint(cloud.EventBridge), Others: c.Endpoint(cloud.Others),
		}, "on this machine"),
		Command: operate.CommandLine{Local: true, Port: port}, Names: session.Summary.Stacks, Write: true, Save: save,
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
	stacks, err := deployed.New(ctx, config)
	if err != nil {
		return nil, err
	}
	graph, err := stacks.Flow(ctx)
	return &Run{Stacks: stacks, session: session, tap: tap, graph: graph, advises: port != 0}, err
}

// About returns what runs.
func (r *Run) About() page.About {
	about := r.Stacks.About()
	about.Live, about.EventsBySearch = true, false
	s := r.session.Summary
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
	before, revision := r.tap.snapshot(), r.revision()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		now, next := r.tap.snapshot(), r.revision()
		c := page.Change{Events: next != revision}
		for w, n := range now {
			if n > before[w] {
				c.Moves = append(c.Moves, r.moves(w, n-before[w])...)
			}
		}
		if c.Events || len(c.Moves) > 0 {
			change(c)
		}
		before, revision = now, next
	}
}
