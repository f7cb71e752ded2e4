package local

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/metrics"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A template that changes is applied as a restart on the same data would apply it, without the restart: the programs of the
// tables and queues go on, as do the functions that are declared as before, and everything else begins anew. Nothing is lost,
// because everything that must not be is on disk (docs/adr/0004). So a template is applied as a whole or not at all, and
// whatever a start can do an update can.

// An update are templates to run in place of those that run.
type update struct {
	stacks []*template.Stack
	done   chan<- struct{} // closed when they run, or are refused
}

// applyAll runs the workers of one template after the other.
func (s *Session) applyAll(ctx context.Context, updates <-chan update) error {
	for {
		round := startRound(ctx, s.current().services)
		select {
		case <-round.ended:
			return round.err
		case next := <-updates:
			s.out.Notice("applying the new template, once the invocations under way have finished")
			if err := round.stop(); err != nil {
				return err
			}
			if err := s.apply(ctx, next.stacks); err != nil {
				return err
			}
			close(next.done)
		}
	}
}

// A round is the time in which the workers of one template run.
type round struct {
	cancel context.CancelFunc
	ended  chan struct{} // closed when err is set
	err    error
}

func startRound(ctx context.Context, s *services) *round {
	ctx, cancel := context.WithCancel(ctx)
	r := &round{cancel: cancel, ended: make(chan struct{})}
	workers, ctx := errgroup.WithContext(ctx)
	s.run(ctx, workers)
	go func() {
		defer close(r.ended)
		r.err = workers.Wait()
	}()
	return r
}

// stop returns when the workers have ended and the invocations that were under way have finished.
func (r *round) stop() error {
	r.cancel()
	<-r.ended
	if errors.Is(r.err, context.Canceled) {
		return nil
	}
	return r.err
}

// finishing returns an Invoke whose invocations end with the session ctx, or at their caller's deadline, and not because
// their caller ends: an update waits for them.
func finishing(session context.Context, invoke metrics.Invoke) metrics.Invoke {
	return func(ctx context.Context, arn string, payload []byte) ([]byte, error) {
		lasting, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		defer cancel(nil)
		defer context.AfterFunc(session, func() { cancel(session.Err()) })()
		defer context.AfterFunc(ctx, func() {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				cancel(ctx.Err())
			}
		})()
		return invoke(lasting, arn, payload)
	}
}

// apply lets the services run another template, or the one before again where the other is refused. Its error ends the
// session.
func (s *Session) apply(ctx context.Context, next []*template.Stack) error {
	began, before := time.Now(), s.current()
	o := s.options.withPortsOf(before.services)
	before.closeFrom(before.services)
	now, refused := s.renew(ctx, o, next, before.services)
	if refused != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var err error
		if now, err = s.renew(ctx, o, before.stacks, before.services); err != nil {
			return fmt.Errorf("run the template before again: %w; the new one was refused: %w", err, refused)
		}
	}
	now.functions.Prune()
	s.mu.Lock()
	s.running = now
	s.mu.Unlock()
	if refused != nil {
		s.refuse(refused)
		return nil
	}
	s.reportUpdate(before.deployments, now.deployments, time.Since(began))
	if names, ok := s.out.(console.Updater); ok {
		names.Updated(s.summary(now, time.Since(began)))
	}
	return nil
}

// renew brings up the services of a template on the lasting parts of those before.
func (s *Session) renew(ctx context.Context, o Options, stacks []*template.Stack, before *services) (*deployed, error) {
	before.store.Reset()
	for _, p := range before.parts {
		if lasting, ok := p.(interface{ Reset() }); ok {
			lasting.Reset()
		}
	}
	return s.bringUp(ctx, o, stacks, before)
}

// withPortsOf returns the options with the ports on which the services listen.
func (o Options) withPortsOf(s *services) Options {
	o.kept = map[int]int{}
	for n, api := range s.apis.all {
		o.kept[portOfAPI(n)] = api.Port()
	}
	for n, service := range map[int]cloud.Service{3: cloud.EventBridge, 4: cloud.Others} {
		if at, err := url.Parse(s.cloud.Endpoint(service)); err == nil {
			o.kept[n], _ = strconv.Atoi(at.Port())
		}
	}
	return o
}
