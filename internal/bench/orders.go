package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

const (
	latencyOrders    = 500
	throughputOrders = 5000
	clients          = 16
	// handlingsPerOrder is how often the events of one order are handled: OrderCreated by three consumers, and ShipmentRequested,
	// which one of them writes, by one.
	handlingsPerOrder = 4
)

// measured are parts of the logical ids of the event source mappings of the two consumers that an order is measured by.
var measured = []string{"PublisherOne", "PublisherTwo"}

const body = `{"customerId":"c-42","currency":"EUR","items":[{"sku":"tea-green-100","quantity":2,"unitPrice":1290}]}`

// arrivals records which consumers have handled which event.
type arrivals struct {
	mu   sync.Mutex
	seen map[[2]string]bool                        // by event id and event source mapping
	done func(event, mapping string, at time.Time) // called once for each pair, never concurrently
}

func (a *arrivals) hop(h hop.Hop) {
	if h.Stage != hop.Queue || h.Outcome != hop.OK {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range h.EventIDs {
		if pair := [2]string{id, h.Resource}; !a.seen[pair] {
			a.seen[pair] = true
			a.done(id, h.Resource, h.At)
		}
	}
}

// stackRun starts the stack; done is called when a consumer has handled an event.
func (b *bench) stackRun(ctx context.Context, done func(event, mapping string, at time.Time)) (*localrun.Run, error) {
	binary := b.scratch("local")
	if err := localrun.Build(ctx, binary); err != nil {
		return nil, err
	}
	a := &arrivals{seen: map[[2]string]bool{}, done: done}
	return localrun.Start(ctx, localrun.Options{
		Binary: binary,
		Args:   []string{"--stack", stack, "--port", "0"},
		OnHop:  a.hop,
	})
}

// bothConsumers returns a function that calls done when both measured consumers have handled an event.
func bothConsumers(done func(at time.Time)) func(event, mapping string, at time.Time) {
	finished := map[string]int{}
	return func(event, mapping string, at time.Time) {
		if !slices.ContainsFunc(measured, func(p string) bool { return strings.Contains(mapping, p) }) {
			return
		}
		if finished[event]++; finished[event] == len(measured) {
			done(at)
		}
	}
}

// post sends one order.
func post(ctx context.Context, run *localrun.Run) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(run.Summary.API, "/")+"/orders", bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	// A connection is reused only when the response was read to its end.
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("POST /orders returned %d", resp.StatusCode)
	}
	return nil
}

// latency measures one order after another: from the POST until both measured consumers have handled its event.
func (b *bench) latency(ctx context.Context) error {
	arrived := make(chan time.Time, latencyOrders)
	run, err := b.stackRun(ctx, bothConsumers(func(at time.Time) { arrived <- at }))
	if err != nil {
		return err
	}
	defer run.Kill()
	var all []time.Duration
	for range latencyOrders {
		begin := time.Now()
		if err := post(ctx, run); err != nil {
			return err
		}
		select {
		case at := <-arrived:
			all = append(all, at.Sub(begin))
		case <-time.After(time.Minute):
			return fmt.Errorf("an order had not arrived after a minute")
		}
	}
	slices.Sort(all)
	b.table(fmt.Sprintf("One order: POST until both shipment and notification are there (%d orders, one after the other)", latencyOrders),
		[]string{"p50", "p99"}, []string{millis(quantile(all, 0.5)), millis(quantile(all, 0.99))})
	return run.Stop()
}

// throughput measures many orders from several clients until the last consumer has finished, and how fast the same
// machine commits the same transactions to DynamoDB Local alone.
func (b *bench) throughput(ctx context.Context) error {
	all := make(chan time.Time, 1)
	var memory [2]int64 // of the local run, after the first and after the last thousand
	var run *localrun.Run
	started := make(chan struct{})
	handled := 0
	done := func(_, _ string, at time.Time) {
		<-started
		switch handled++; handled {
		case 1000 * handlingsPerOrder:
			memory[0] = resident(run.PID())
		case throughputOrders * handlingsPerOrder:
			memory[1] = resident(run.PID())
			all <- at
		}
	}
	run, err := b.stackRun(ctx, done)
	if err != nil {
		return err
	}
	close(started)
	defer run.Kill()
	begin := time.Now()
	if err := share(ctx, throughputOrders, func(ctx context.Context) error { return post(ctx, run) }); err != nil {
		return err
	}
	accepted := time.Since(begin)
	var total time.Duration
	select {
	case at := <-all:
		total = at.Sub(begin)
	case <-time.After(10 * time.Minute):
		return fmt.Errorf("not all orders had arrived after 10 minutes")
	}
	if err := run.Stop(); err != nil {
		return err
	}
	direct, err := b.direct(ctx)
	if err != nil {
		return err
	}
	rate := func(d time.Duration) float64 { return throughputOrders / d.Seconds() }
	b.table(fmt.Sprintf("Throughput: %d orders from %d clients", throughputOrders, clients), []string{"", "orders a second"},
		[]string{"POST answered with 201", fmt.Sprintf("%.0f", rate(accepted))},
		[]string{"until the last consumer is done", fmt.Sprintf("%.0f", rate(total))},
		[]string{fmt.Sprintf("the same %d transactions an order to DynamoDB Local alone", 1+handlingsPerOrder), fmt.Sprintf("%.0f", rate(direct))},
		[]string{"ratio of the two", fmt.Sprintf("%.2f", direct.Seconds()/total.Seconds())},
	)
	b.table("Memory of the local run's Go process", []string{"after the first thousand orders", "after the last"},
		[]string{fmt.Sprintf("%.0f MB", float64(memory[0])/1e6), fmt.Sprintf("%.0f MB", float64(memory[1])/1e6)})
	return nil
}

// share makes n calls from the clients.
func share(ctx context.Context, n int, call func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range clients {
		group.Go(func() error {
			for next.Add(1) <= int64(n) {
				if err := call(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// resident returns the resident memory of a process in bytes, or 0 where the system does not report it.
func resident(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(status), &size, &pages); err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
