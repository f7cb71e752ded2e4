package local

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/local/apigateway"
	"github.com/outboxkit/transactional-outbox/internal/local/clock"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/commits"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/control"
	"github.com/outboxkit/transactional-outbox/internal/local/eventbus"
	"github.com/outboxkit/transactional-outbox/internal/local/events"
	"github.com/outboxkit/transactional-outbox/internal/local/eventsource"
	"github.com/outboxkit/transactional-outbox/internal/local/faults"
	"github.com/outboxkit/transactional-outbox/internal/local/functions"
	"github.com/outboxkit/transactional-outbox/internal/local/functionurl"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/metrics"
	"github.com/outboxkit/transactional-outbox/internal/local/pipes"
	"github.com/outboxkit/transactional-outbox/internal/local/queues"
	"github.com/outboxkit/transactional-outbox/internal/local/tables"
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

// lasting are the parts that go on when the templates change: they are processes, or hold what does not belong to them.
type lasting struct {
	cloud *cloud.Cloud
	clock *clock.Clock
	logs  *logs
	// permissions decide what the roles of the template may do.
	permissions permissions
	store       *metrics.Store
	events      *events.Store
	sink        hop.Sink
	functions   *functions.Service
	stubs       *stubs
	table       *tables.Service
	queue       *queues.Service
	parts       []part
}

// start brings up the parts for the stacks, whose events known keeps. before has the lasting parts, or is nil for the first
// stacks. On an error nothing is left running but those.
func start(ctx context.Context, o Options, stacks []*template.Stack, data *data, out console.Console, injector *faults.Injector, known *events.Store, before *services) (_ *services, err error) {
	s := &services{}
	defer func() {
		if err != nil {
			s.closeFrom(before)
		}
	}()
	if before != nil {
		s.lasting, s.all = before.lasting, slices.Clone(before.parts)
	} else if err := s.startLasting(ctx, o, stacks, data, out, injector, known); err != nil {
		return nil, err
	}
	store, sink, host, queue := s.store, s.sink, s.functions, s.queue
	seams := newSeams(injector, s.cloud)
	seams.bus = s.permissions.buses(seams.bus)
	function := counted{host, finishing(ctx, store.Invocations(s.stubs.invoke))}
	policies := s.permissions.policies(queue)
	bus, err := eventbus.New(eventbus.Config{
		Cloud: s.cloud, DB: data.db, Port: o.portOf(3), Policies: policies, Functions: function, QueueExists: queue.Exists,
		Caller: s.permissions.callers(), Sink: sink, Clock: s.clock, Accepted: s.events.Accept, Wrap: seams.bus, Around: seams.targets,
	})
	if err != nil {
		return nil, err
	}
	s.permissions.ofBuses(bus)
	topic, err := topics.New(topics.Config{
		Cloud: s.cloud, DB: data.db, Policies: policies, HasFunction: host.Exists, InvokeAsync: bus.InvokeAsync, Clock: s.clock, Sink: sink, Notice: out.Notice,
	})
	if err != nil {
		return nil, err
	}
	policies.addTopics(topic)
	store.NotifyBy(notifyTopics(topic, policies, sink, out.Notice))
	pipe := pipes.New(pipes.Config{Cloud: s.cloud, DB: data.db, Clock: s.clock, Sink: sink, HasFunction: host.Exists, Wrap: seams.pipe, TrimStopped: seams.trim})
	s.mapping = eventsource.New(eventsource.Config{
		Cloud: s.cloud, DB: data.db, Invoke: function.Invoke, Timeout: host.Timeout, Clock: s.clock, Sink: sink, Received: s.events.Receive, Alone: s.alone(injector), Wrap: seams.queue,
	})
	s.all = append(s.all, bus, topic, pipe, s.mapping)
	s.apis, err = startAPIs(ctx, o, stacks, apigateway.Config{
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

// startLasting brings up the parts that no other templates need anew.
func (s *services) startLasting(ctx context.Context, o Options, stacks []*template.Stack, data *data, out console.Console, injector *faults.Injector, known *events.Store) (err error) {
	s.lasting = lasting{cloud: cloud.New(region(stacks)), clock: &clock.Clock{}, events: known, logs: &logs{dir: data.dir}, store: metrics.New()}
	seams := newSeams(injector, s.cloud)
	if s.permissions, err = s.newPermissions(o, out); err != nil {
		return err
	}
	s.sink = s.store.Sink(func(h hop.Hop) {
		known.Hop(h)
		out.Hop(h)
	})
	// The functions come first: they are built while the programs start.
	s.functions = functions.New(functions.Config{
		Cloud: s.cloud, Dir: filepath.Join(data.dir, "functions"), Declared: declared(stacks, "AWS::Lambda::Function"),
		Sink: s.sink, Wrap: seams.function,
	})
	s.all = append(s.all, s.functions)
	s.stubs = &stubs{next: s.functions.Invoke, sink: s.sink}
	writes := commits.Config{Caller: s.callerOf(s.functions), Known: known.Has, Added: known.Commit, Sink: s.sink}
	seams.tables = s.permissions.tables(inFrontOf(writes.Wrap, seams.tables))
	if s.queue, err = s.startPrograms(ctx, o, data, seams, s.sink); err != nil {
		return err
	}
	s.store.Follow(s.queue)
	s.parts = slices.Clone(s.all)
	return nil
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

// startPrograms starts, side by side because they take the longest, the parts that are programs of
// their own.
func (s *services) startPrograms(ctx context.Context, o Options, data *data, seams seams, sink hop.Sink) (*queues.Service, error) {
	var table *tables.Service
	var queue *queues.Service
	both, startCtx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		table, err = tables.Start(startCtx, tables.Config{
			Cloud: s.cloud, Dir: filepath.Join(data.dir, "tables"), Port: o.portOf(1), Log: s.logs.open("dynamodb.log"),
			Wrap: seams.tables,
		})
		return err
	})
	both.Go(func() (err error) {
		queue, err = queues.Start(startCtx, queues.Config{
			Cloud: s.cloud, Dir: filepath.Join(data.dir, "queues"), Port: o.portOf(2), Log: s.logs.open("queues.log"), Sink: sink,
			Permissions: s.permissions.queues,
		})
		return err
	})
	err := both.Wait()
	// One may be up although the other failed: close must find it.
	if table != nil {
		s.table, s.all = table, append(s.all, table)
	}
	if queue != nil {
		s.all = append(s.all, queue)
	}
	return queue, err
}

// portOf returns the n-th port of the run, or 0 for one that the system chooses.
func (o Options) portOf(n int) int {
	if port, kept := o.kept[n]; kept {
		return port
	}
	if o.Port == 0 {
		return 0
	}
	return o.Port + n
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

// logs are the files in the data folder that keep what the programs print.
type logs struct {
	dir string

	mu    sync.Mutex
	files []*os.File
}

// open returns where a program's output goes: a file, or nowhere when it cannot be made, since a run must
// not fail for want of a log.
func (l *logs) open(name string) io.Writer {
	file, err := os.OpenFile(filepath.Join(l.dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return io.Discard
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files = append(l.files, file)
	return file
}

func (l *logs) close() {
	for _, file := range l.files {
		_ = file.Close()
	}
}
