package local

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/eventbus"
	"github.com/outboxkit/transactional-outbox/internal/local/faults"
	"github.com/outboxkit/transactional-outbox/internal/local/functions"
	"github.com/outboxkit/transactional-outbox/internal/local/messages"
	"github.com/outboxkit/transactional-outbox/internal/local/pipes"
)

// injectFaults returns what injects faults: those of the plan that --faults names, which SIGUSR1 ends, or without the flag
// none until one is set. report gets each fault. done reports at the end of the run which faults of the plan have fired.
func injectFaults(o Options, out console.Console, report func(console.Fault)) (_ *faults.Injector, done func(), err error) {
	if o.Faults == "" {
		return faults.New(&faults.Plan{}, report), func() {}, nil
	}
	plan, err := faults.Load(o.Faults)
	if err != nil {
		return nil, nil, fmt.Errorf("--faults: %w", err)
	}
	injector := faults.New(plan, report)
	out.Notice(fmt.Sprintf("Faults are injected by the plan %s, with seed %d; SIGUSR1 ends them.", o.Faults, plan.Seed))
	return injector, healOnSignal(injector, out), nil
}

// healOnSignal ends the faults at SIGUSR1 or when the plan's time has come.
func healOnSignal(injector *faults.Injector, out console.Console) (done func()) {
	signals, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, healSignal)
	var over <-chan time.Time
	if until, ends := injector.Until(); ends {
		over = time.After(time.Until(until))
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		for {
			select {
			case <-ended:
				return
			case <-signals:
			case <-over:
			}
			if injector.Heal() {
				out.Notice("healed: no fault is injected any more")
				out.Faults(injector.Fired())
			}
		}
	})
	return func() {
		close(ended)
		waiting.Wait()
		out.Faults(injector.Fired())
	}
}

// seams are the places between the parts where faults are injected.
type seams struct {
	tables   func(http.Handler) http.Handler
	bus      func(http.Handler) http.Handler
	targets  eventbus.Around
	pipe     func(*pipes.Pipe)
	function func(functions.Environment, http.Handler) http.Handler
	queue    func(string, messages.Queue) messages.Queue
	trim     bool // what came while a pipe was stopped
}

func newSeams(i *faults.Injector, c *cloud.Cloud) seams {
	return seams{
		tables:   i.DynamoDB(c),
		bus:      i.Bus,
		targets:  i.Targets(),
		pipe:     i.Pipe(c),
		function: i.Function,
		queue:    i.Queue(c),
		trim:     i.TrimsStopped(),
	}
}
