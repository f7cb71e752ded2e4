package local

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/local/apigateway"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/control"
	"github.com/outboxkit/transactional-outbox/internal/local/eventbus"
	"github.com/outboxkit/transactional-outbox/internal/local/events"
	"github.com/outboxkit/transactional-outbox/internal/local/eventsource"
	"github.com/outboxkit/transactional-outbox/internal/local/faults"
	"github.com/outboxkit/transactional-outbox/internal/local/functions"
	"github.com/outboxkit/transactional-outbox/internal/local/functionurl"
	"github.com/outboxkit/transactional-outbox/internal/local/metrics"
	"github.com/outboxkit/transactional-outbox/internal/local/pipes"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/local/topics"
)

// part is the interface that every local service implements. A service may also be a preparer, a runner and a closer.
type part interface {
	Provisions() map[string]template.Provision
}

// preparer is a part that has something to finish before the stack can be called ready, such as a build.
type preparer interface {
	Prepare(ctx context.Context) error
}

// runner is a part with workers. Run is called when all resources are there, and returns when ctx is done.
type runner interface {
	Run(ctx context.Context) error
}

// closer is a part with listeners or processes of its own.
type closer interface{ Close() }

// services are the parts of a run: each stands in for one AWS service.
type services struct {
	lasting
	apis    *apis
	urls    *functionurl.Service
	control *control.Service
	mapping *eventsource.Service
	all     []part // those of lasting first
}

// A setting is what the services of a run are made from.
type setting struct {
	options Options
	stacks  []*template.Stack
	data    *data
	out     console.Console
	faults  *faults.Injector
	events  *events.Store
}

// start brings up the parts for the stacks. before has the lasting parts, or is nil for the first stacks. On an error nothing
// is left running but those.
func start(ctx context.Context, with setting, before *services) (_ *services, err error) {
	s := &services{}
	defer func() {
		if err != nil {
			s.closeFrom(before)
		}
	}()
	if before != nil {
		s.lasting, s.all = before.lasting, slices.Clone(before.parts)
	} else if err := s.startLasting(ctx, with); err != nil {
		return nil, err
	}
	o, out, db := with.options, with.out, with.data.db
	store, sink, host, queue := s.store, s.sink, s.functions, s.queue
	seams := newSeams(with.faults, s.cloud)
	seams.bus = s.permissions.buses(seams.bus)
	function := counted{host, finishing(ctx, store.Invocations(s.stubs.invoke))}
	policies := s.permissions.policies(queue)
	bus, err := eventbus.New(eventbus.Config{
		Cloud: s.cloud, DB: db, Port: o.portOf(3), Policies: policies, Functions: function, QueueExists: queue.Exists,
		Caller: s.permissions.callers(), Sink: sink, Clock: s.clock, Accepted: s.events.Accept, Wrap: seams.bus, Around: seams.targets,
	})
	if err != nil {
		return nil, err
	}
	s.permissions.ofBuses(bus)
	topic, err := topics.New(topics.Config{
		Cloud: s.cloud, DB: db, Policies: policies, HasFunction: host.Exists, InvokeAsync: bus.InvokeAsync, Clock: s.clock, Sink: sink, Notice: out.Notice,
	})
	if err != nil {
		return nil, err
	}
	policies.addTopics(topic)
	store.NotifyBy(notifyTopics(topic, policies, sink, out.Notice))
	pipe := pipes.New(pipes.Config{Cloud: s.cloud, DB: db, Clock: s.clock, Sink: sink, HasFunction: host.Exists, Wrap: seams.pipe, TrimStopped: seams.trim})
	s.mapping = eventsource.New(eventsource.Config{
		Cloud: s.cloud, DB: db, Invoke: function.Invoke, Timeout: host.Timeout, Clock: s.clock, Sink: sink, Received: s.events.Receive, Alone: s.alone(with.faults), Wrap: seams.queue,
	})
	s.all = append(s.all, bus, topic, pipe, s.mapping)
	s.apis, err = startAPIs(ctx, o, with.stacks, apigateway.Config{
		Cloud: s.cloud, Invoke: function.Invoke, Sink: sink,
		Authorize: s.permissions.invocation(), AuthorizeCaller: s.permissions.caller(o),
	})
	if err != nil {
		return nil, err
	}
	s.urls = functionurl.New(functionurl.Config{
		Cloud: s.cloud, Port: o.portOf(max(functionURLs, furtherAPIs+s.apis.further())), Exists: host.Exists, Invoke: function.Invoke, Sink: sink,
		Authorize: s.permissions.url(), AuthorizeCaller: s.permissions.urlCaller(o),
	})
	s.all = append(s.all, s.apis, s.urls)
	s.control, err = control.New(control.Config{
		Cloud: s.cloud, Port: o.portOf(4), Notice: out.Notice, Invoke: function.Invoke, InvokeAsync: bus.InvokeAsync, Metrics: store, Mappings: s.mapping, Pipes: pipe, Topics: topic,
		Guard: s.permissions.others(), Identity: s.permissions.identity(),
	})
	if err != nil {
		return nil, err
	}
	s.all = append(s.all, s.control)
	return s, nil
}

// counted are the functions, with metrics of their invocations.
type counted struct {
	*functions.Service
	invoke metrics.Invoke
}

// Invoke runs a function as the host does, and counts it.
func (c counted) Invoke(ctx context.Context, arn string, payload []byte) ([]byte, error) {
	return c.invoke(ctx, arn, payload)
}

// declared returns the resources of a type that the stacks declare.
func declared(stacks []*template.Stack, kind string) []template.Resource {
	var all []template.Resource
	for _, s := range stacks {
		all = append(all, s.Declared(kind)...)
	}
	return all
}

func (s *services) provisions() map[string]template.Provision {
	all := map[string]template.Provision{}
	for _, p := range s.all {
		maps.Copy(all, p.Provisions())
	}
	return refuseTakenNames(s.permissions.observe(all))
}

// prepare returns when every part is ready for work or has failed. Its error joins those of all parts, in the order in
// which the parts were made, so that everything that is wrong is seen at once.
func (s *services) prepare(ctx context.Context) error {
	problems := make([]error, len(s.all))
	var preparing sync.WaitGroup
	for i, p := range s.all {
		if r, ok := p.(preparer); ok {
			preparing.Go(func() { problems[i] = r.Prepare(ctx) })
		}
	}
	preparing.Wait()
	return errors.Join(problems...)
}

// run starts the workers of every part.
func (s *services) run(ctx context.Context, workers *errgroup.Group) {
	for _, p := range s.all {
		if r, ok := p.(runner); ok {
			workers.Go(func() error { return r.Run(ctx) })
		}
	}
}

// close ends every part and all its processes, side by side.
func (s *services) close() {
	closeParts(s.all)
	if s.permissions.stop != nil {
		s.permissions.stop()
	}
	if s.logs != nil {
		s.logs.close()
	}
}

// closeFrom ends the parts but those that were there before, or all where before is nil.
func (s *services) closeFrom(before *services) {
	if before == nil {
		s.close()
		return
	}
	closeParts(s.all[len(s.parts):])
}

func closeParts(parts []part) {
	var closing sync.WaitGroup
	for _, p := range parts {
		if c, ok := p.(closer); ok {
			closing.Go(c.Close)
		}
	}
	closing.Wait()
}
