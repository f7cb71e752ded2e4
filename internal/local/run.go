package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/events"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// Run runs the stacks that the options name until ctx is done. It returns nil when it was told to stop.
func Run(ctx context.Context, o Options, out console.Console) error { return RunWith(ctx, o, out) }

// RunWith is [Run] with what works on the session beside it. Each ends when ctx is done, and the run ends when one of them
// fails.
func RunWith(ctx context.Context, o Options, out console.Console, beside ...func(context.Context, *Session) error) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	session, err := Start(running, o, out)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer session.Close()
	all, working := errgroup.WithContext(running)
	context.AfterFunc(working, stop)
	all.Go(session.Wait)
	for _, work := range beside {
		all.Go(func() error { return work(working, session) })
	}
	return unlessStopped(ctx, all.Wait())
}

// Start starts the stacks that the options name and returns once it is ready. It runs until ctx is done or
// [Session.Close] is called. On an error nothing is left running.
func Start(ctx context.Context, o Options, out console.Console) (_ *Session, err error) {
	if err := supported(runtime.GOOS); err != nil {
		return nil, err
	}
	started := time.Now()
	stacks, err := o.stacks(out)
	if err != nil {
		return nil, err
	}
	s := &Session{options: o, out: out, events: events.New(0)}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	var done func()
	s.faults, done, err = injectFaults(o, out, func(f console.Fault) {
		s.events.Fault(f.At, f.Point, f.Key, f.EventIDs)
		out.Fault(f)
	})
	if err != nil {
		return nil, err
	}
	s.cleanup = append(s.cleanup, done)
	if s.data, err = openData(o); err != nil {
		return nil, err
	}
	s.cleanup = append(s.cleanup, s.data.close)
	// What is under way ends with the session, and not with a template.
	ctx, end := context.WithCancel(ctx)
	s.cleanup = append(s.cleanup, end)
	first, err := s.bringUp(ctx, o, stacks, nil)
	if err != nil {
		return nil, err
	}
	s.running = first
	s.cleanup = append(s.cleanup, func() { s.current().close() })
	s.Summary = s.summary(first, time.Since(started))
	s.work(ctx)
	s.cleanup = append(s.cleanup, func() {
		end()
		<-s.ended
	})
	out.Notice(callersNotice(o, s.Summary, first.apis.Keys()))
	out.Ready(s.Summary)
	return s, nil
}

// bringUp starts the services of the stacks and deploys them. before are those that run the stacks before, or nil.
func (s *Session) bringUp(ctx context.Context, o Options, stacks []*template.Stack, before *services) (_ *deployed, err error) {
	services, err := start(ctx, setting{options: o, stacks: stacks, data: s.data, out: s.out, faults: s.faults, events: s.events}, before)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			services.closeFrom(before)
		}
	}()
	deployments, err := services.deploy(ctx, o, stacks)
	if err != nil {
		return nil, err
	}
	if err := services.prepare(ctx); err != nil {
		return nil, err
	}
	for _, d := range deployments {
		if d.Stack != standInStack {
			services.control.Deployed(d, services.apis.Local)
		}
	}
	return &deployed{services, stacks, deployments}, nil
}

// callersNotice returns who may call the API.
func callersNotice(o Options, s console.Summary, keys []string) string {
	if !o.Auth {
		return "API authorization is not enforced here: every request is let in. --auth enforces it."
	}
	notice := "The API's callers sign, for example: " + signedCurl(s.Region, s.API)
	for _, key := range keys {
		notice += "\nA method that requires an API key takes --header 'x-api-key: " + key + "'"
	}
	return notice
}

// deploy deploys the stacks, and before them what stands in for what they do not have.
func (s *services) deploy(ctx context.Context, o Options, stacks []*template.Stack) ([]*template.Deployment, error) {
	stacks, err := withStandIns(o, stacks)
	if err != nil {
		return nil, err
	}
	return template.Deploy(ctx, s.environment(o), stacks, s.provisions())
}

// check reports what deploy would find wrong before it creates anything.
func (s *services) check(o Options, stacks []*template.Stack) error {
	stacks, err := withStandIns(o, stacks)
	if err != nil {
		return err
	}
	return template.Check(s.environment(o), stacks, s.provisions())
}

func (s *services) environment(o Options) template.Environment {
	return template.Environment{Account: cloud.Account, Region: s.cloud.Region, Parameters: o.Parameters}
}

// withStandIns returns the stacks after what stands in for what they do not have.
func withStandIns(o Options, stacks []*template.Stack) ([]*template.Stack, error) {
	standIns, err := standIns(o.StandIns)
	if err != nil || standIns == nil {
		return stacks, err
	}
	return append([]*template.Stack{standIns}, stacks...), nil
}

// unlessStopped drops the errors that come from being told to stop.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// data is the folder that keeps everything that a run must not lose.
type data struct {
	dir     string
	db      *bbolt.DB
	discard bool
}

// openData opens the folder and makes sure that no other run has it.
func openData(o Options) (*data, error) {
	d := &data{dir: o.Data}
	if d.dir == "" {
		dir, err := os.MkdirTemp("", "outbox-local-")
		if err != nil {
			return nil, fmt.Errorf("--data: %w", err)
		}
		d.dir, d.discard = dir, !o.Keep
	} else if err := makePrivate(d.dir); err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	abs, err := filepath.Abs(d.dir)
	if err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	d.dir = abs
	d.db, err = bbolt.Open(filepath.Join(d.dir, positions), 0o600, &bbolt.Options{Timeout: time.Second})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("--data: another local run uses %s", d.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	return d, nil
}

// positions is the file in the data folder by which a run knows one.
const positions = "positions.db"

// makePrivate makes the folder, or one of an earlier run, one that nobody else may look into: it holds what the
// stack's tables and queues hold. Another folder that is not empty is somebody's, and refused.
func makePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	ours := slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == positions })
	if !ours && len(entries) > 0 {
		return fmt.Errorf("%s must be an empty or new folder, or one of an earlier run, got one with other files that others may read", dir)
	}
	return os.Chmod(dir, 0o700)
}

func (d *data) close() {
	_ = d.db.Close()
	if d.discard {
		_ = os.RemoveAll(d.dir)
	}
}
