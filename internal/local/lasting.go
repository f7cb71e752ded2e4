package local

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/local/clock"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/commits"
	"github.com/outboxkit/transactional-outbox/internal/local/events"
	"github.com/outboxkit/transactional-outbox/internal/local/functions"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/metrics"
	"github.com/outboxkit/transactional-outbox/internal/local/queues"
	"github.com/outboxkit/transactional-outbox/internal/local/tables"
)

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

// startLasting brings up the parts that no other templates need anew.
func (s *services) startLasting(ctx context.Context, with setting) (err error) {
	known, dir := with.events, with.data.dir
	s.lasting = lasting{cloud: cloud.New(region(with.stacks)), clock: &clock.Clock{}, events: known, logs: &logs{dir: dir}, store: metrics.New()}
	seams := newSeams(with.faults, s.cloud)
	if s.permissions, err = s.newPermissions(with.options, with.out); err != nil {
		return err
	}
	s.sink = s.store.Sink(func(h hop.Hop) {
		known.Hop(h)
		with.out.Hop(h)
	})
	// The functions come first: they are built while the programs start.
	s.functions = functions.New(functions.Config{
		Cloud: s.cloud, Dir: filepath.Join(dir, "functions"), Declared: declared(with.stacks, "AWS::Lambda::Function"),
		Sink: s.sink, Wrap: seams.function,
	})
	s.all = append(s.all, s.functions)
	s.stubs = &stubs{next: s.functions.Invoke, sink: s.sink}
	writes := commits.Config{Caller: s.callerOf(s.functions), Known: known.Has, Added: known.Commit, Sink: s.sink}
	seams.tables = s.permissions.tables(inFrontOf(writes.Wrap, seams.tables))
	if s.queue, err = s.startPrograms(ctx, with.options, dir, seams); err != nil {
		return err
	}
	s.store.Follow(s.queue)
	s.parts = slices.Clone(s.all)
	return nil
}

// startPrograms starts, side by side because they take the longest, the parts that are programs of
// their own.
func (s *services) startPrograms(ctx context.Context, o Options, dir string, seams seams) (*queues.Service, error) {
	var table *tables.Service
	var queue *queues.Service
	both, startCtx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		table, err = tables.Start(startCtx, tables.Config{
			Cloud: s.cloud, Dir: filepath.Join(dir, "tables"), Port: o.portOf(1), Log: s.logs.open("dynamodb.log"),
			Wrap: seams.tables,
		})
		return err
	})
	both.Go(func() (err error) {
		queue, err = queues.Start(startCtx, queues.Config{
			Cloud: s.cloud, Dir: filepath.Join(dir, "queues"), Port: o.portOf(2), Log: s.logs.open("queues.log"), Sink: s.sink,
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
