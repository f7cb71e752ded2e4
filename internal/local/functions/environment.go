package functions

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/guard"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/process"
)

// initTimeout is how long a process may take from its start to its first request for an event.
// Source: Lambda developer guide, lambda-runtime-environment: the Init phase is limited to 10 seconds.
const initTimeout = 10 * time.Second

// errNotTaken reports that the process ended before it took the invocation, which therefore did not begin.
var errNotTaken = errors.New("the execution environment has ended")

// An environment is one process of a function and its Runtime API.
type environment struct {
	fn      *function
	process *process.Process
	log     *logWriter
	ended   chan struct{} // closed when the process has ended and all it wrote is passed on
	expiry  *time.Timer   // while it is idle; fn.mu guards it

	init        time.Duration    // how long it took to start; 0 after it is reported
	memory      int              // MB at most used, as far as known
	asks        chan struct{}    // one element when the runtime has asked for an invocation
	invocations chan *invocation // to the request that asked

	mu          sync.Mutex
	current     *invocation // taken and not answered
	cause       hop.Cause   // of the last invocation: what is logged belongs to it
	initFailure *FunctionError
}

// start starts a process and returns when it has asked for its first invocation.
func (f *function) start(ctx context.Context) (*environment, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("runtime API: %w", err)
	}
	e := &environment{
		fn:          f,
		ended:       make(chan struct{}),
		cause:       hop.CauseOf(ctx),
		asks:        make(chan struct{}, 1),
		invocations: make(chan *invocation),
	}
	e.log = &logWriter{line: e.logLine}
	began := time.Now()
	e.process, err = process.Start(process.Spec{
		Path:   f.program.path,
		Args:   f.program.args,
		Dir:    f.program.root,
		Env:    f.environ(listener.Addr().String()),
		Stdout: e.log,
		Stderr: e.log,
	})
	if err != nil {
		listener.Close()
		return nil, err
	}
	handler := e.runtimeAPI()
	if wrap := f.service.cfg.Wrap; wrap != nil {
		handler = wrap(Environment{Function: f.logicalID, Kill: e.process.Kill}, handler)
	}
	api := &http.Server{Handler: guard.AWS(handler)}
	go api.Serve(listener) //nolint:errcheck // it ends when live closes the server
	if !f.service.spawn(func() { e.live(api) }) {
		e.live(api)
		return nil, ErrClosed
	}
	if err := e.awaitInit(ctx, began); err != nil {
		e.kill()
		return nil, err
	}
	e.init = time.Since(began)
	return e, nil
}

// live waits for the end of the process, and brings it about when the service is closed.
func (e *environment) live(api *http.Server) {
	select {
	case <-e.process.Done():
	case <-e.fn.service.life.Done():
		e.process.Kill()
	}
	api.Close()
	e.log.flush()
	close(e.ended)
}

func (e *environment) awaitInit(ctx context.Context, began time.Time) error {
	timer := time.NewTimer(e.fn.initTimeout)
	defer timer.Stop()
	var kind, reason string
	select {
	case <-e.asks:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		e.kill()
		kind, reason = TypeTimeout, fmt.Sprintf("init timed out after %g seconds", e.fn.initTimeout.Seconds())
	case <-e.ended:
		kind, reason = TypeExit, "the process ended during init: "+exitReason(e.process.Err())
	}
	said := e.reportedInitFailure()
	if said != nil {
		kind, reason = said.Type, said.Message
	}
	tail := e.log.tail()
	if said == nil && tail != "" {
		reason += fmt.Sprintf("; its last line is %q", tail[strings.LastIndexByte(tail, '\n')+1:])
	}
	return e.fn.fail(hop.CauseOf(ctx), kind, reason, tail, time.Since(began))
}

// invoke hands the payload to the process and returns what it answers. Afterwards the process either
// waits for the next invocation or has ended.
func (e *environment) invoke(ctx context.Context, arn string, payload []byte) ([]byte, error) {
	began := time.Now()
	timer := time.NewTimer(e.fn.timeout)
	defer timer.Stop()
	e.log.resetTail()
	e.setCause(hop.CauseOf(ctx))
	inv := newInvocation(arn, payload, hop.CauseOf(ctx), began.Add(e.fn.timeout), e.fn.props.TracingConfig.Mode == "Active")
	select {
	case e.invocations <- inv:
	case <-e.ended:
		return nil, errNotTaken
	case <-ctx.Done():
		return nil, e.abandon(ctx)
	case <-timer.C:
		return nil, e.timedOut(began)
	}
	response, err := e.await(ctx, inv, began, timer.C)
	if ctx.Err() == nil {
		e.report(inv, time.Since(began), err)
	}
	return response, err
}

// await returns the answer to an invocation that the process has taken.
func (e *environment) await(ctx context.Context, inv *invocation, began time.Time, timeout <-chan time.Time) ([]byte, error) {
	select {
	case <-inv.answered:
	case <-e.ended:
		return e.lastWords(inv, began)
	case <-ctx.Done():
		return nil, e.abandon(ctx)
	case <-timeout:
		return nil, e.timedOut(began)
	}
	// The invocation ends when the runtime asks for the next one. Until then its time counts.
	// Source: Lambda developer guide, lambda-runtime-environment, "Invoke phase".
	select {
	case <-e.asks:
	case <-e.ended:
	case <-ctx.Done():
		e.kill()
	case <-timeout:
		e.kill()
	}
	return e.result(inv)
}

// report logs the end of an invocation. The process may be gone, and with it what it used.
func (e *environment) report(inv *invocation, took time.Duration, err error) {
	if memory := peakMemory(e.process.PID()); memory > 0 && !e.hasEnded() {
		e.memory = memory
	}
	<-inv.started
	e.fn.logReport(report{inv: inv, duration: took, init: e.init, memory: e.memory, failure: asFunctionError(err)})
	e.init = 0
}

// lastWords returns the answer of a process that has ended: it may have given one just before.
func (e *environment) lastWords(inv *invocation, began time.Time) ([]byte, error) {
	select {
	case <-inv.answered:
		return e.result(inv)
	default:
		return nil, e.crashed(began)
	}
}

func (e *environment) crashed(began time.Time) error {
	return e.fn.fail(e.lastCause(), TypeExit, exitReason(e.process.Err()), e.log.tail(), time.Since(began))
}

func (e *environment) result(inv *invocation) ([]byte, error) {
	if inv.failure == nil {
		return inv.response, nil
	}
	inv.failure.Function, inv.failure.LogTail = e.fn.logicalID, e.log.tail()
	return nil, inv.failure
}

func (e *environment) abandon(ctx context.Context) error {
	e.kill()
	return ctx.Err()
}

func (e *environment) timedOut(began time.Time) error {
	e.kill()
	return e.fn.fail(e.lastCause(), TypeTimeout, fmt.Sprintf("Task timed out after %.2f seconds", e.fn.timeout.Seconds()), e.log.tail(), time.Since(began))
}

// kill ends the process and returns when everything it wrote is passed on.
func (e *environment) kill() {
	e.process.Kill()
	<-e.ended
}

func (e *environment) hasEnded() bool {
	select {
	case <-e.ended:
		return true
	default:
		return false
	}
}

// exitReason returns how Lambda words the end of a process.
func exitReason(err error) string {
	if err == nil {
		return "Runtime exited without providing a reason"
	}
	return "Runtime exited with error: " + err.Error()
}
