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

	"github.com/outboxkit/transactional-outbox/local/hop"
	"github.com/outboxkit/transactional-outbox/test/localrun"
)

const (
	calmOrders = 500
	manyOrders = 5000
	clients    = 16
	consumers  = 2 // of an OrderCreated in the reference application
)

const body = `{"customerId":"c-42","currency":"EUR","items":[{"sku":"tea-green-100","quantity":2,"unitPrice":1290}]}`

// arrivals follows which consumers have finished with which event.
type arrivals struct {
	mu        sync.Mutex
	consumers map[string]map[string]bool // event id → mappings that handed it over successfully
	complete  atomic.Int64               // events that every consumer has finished with
	done      func(event string, at time.Time, complete int64)
}

func (a *arrivals) hop(h hop.Hop) {
	if h.Stage != hop.Queue || h.Outcome != hop.OK {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range h.EventIDs {
		if a.consumers[id] == nil {
			a.consumers[id] = map[string]bool{}
		}
		seen := a.consumers[id]
		if seen[h.Resource] {
			continue
		}
		seen[h.Resource] = true
		if len(seen) == consumers {
			a.done(id, h.At, a.complete.Add(1))
		}
	}
}

// stackRun starts the stack with a tracker of what has arrived.
func (b *bench) stackRun(ctx context.Context, done func(event string, at time.Time, complete int64)) (*localrun.Run, error) {
	binary := b.scratch("local")
	if err := localrun.Build(ctx, binary); err != nil {
		return nil, err
	}
	a := &arrivals{consumers: map[string]map[string]bool{}, done: done}
	return localrun.Start(ctx, localrun.Options{
		Binary: binary,
		Args:   []string{"--stack", stack, "--port", "0"},
		OnHop:  a.hop,
	})
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
	// A connection is used again only when the answer was read to its end.
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("POST /orders answered %d", resp.StatusCode)
	}
	return nil
}

// latency measures one order after the other: from the POST until both publishers have finished.
func (b *bench) latency(ctx context.Context) error {
	type arrival struct {
		event string
		at    time.Time
	}
	arrived := make(chan arrival, calmOrders)
	run, err := b.stackRun(ctx, func(event string, at time.Time, _ int64) { arrived <- arrival{event, at} })
	if err != nil {
		return err
	}
	defer run.Kill()
	var all []time.Duration
	for range calmOrders {
		begin := time.Now()
		if err := post(ctx, run); err != nil {
			return err
		}
		select {
		case a := <-arrived:
			all = append(all, a.at.Sub(begin))
		case <-time.After(time.Minute):
			return fmt.Errorf("an order had not arrived after a minute")
		}
	}
	slices.Sort(all)
	b.table(fmt.Sprintf("One order: POST until both publishers are done (%d orders, one after the other)", calmOrders),
		[]string{"p50", "p99"}, []string{millis(quantile(all, 0.5)), millis(quantile(all, 0.99))})
	return run.Stop()
}

// throughput measures many orders from several clients until the last publisher is done, and beside it
// how fast the same machine commits the same transactions to DynamoDB Local alone.
func (b *bench) throughput(ctx context.Context) error {
	all := make(chan time.Time, 1)
	var memory [2]int64 // of the local run, after the first and after the last thousand
	var run *localrun.Run
	started := make(chan struct{})
	done := func(_ string, at time.Time, complete int64) {
		<-started
		switch complete {
		case 1000:
			memory[0] = resident(run.PID())
		case manyOrders:
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
	if err := share(ctx, manyOrders, func(ctx context.Context) error { return post(ctx, run) }); err != nil {
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
	rate := func(d time.Duration) float64 { return manyOrders / d.Seconds() }
	b.table(fmt.Sprintf("Throughput: %d orders from %d clients", manyOrders, clients), []string{"", "orders a second"},
		[]string{"POST answered with 201", fmt.Sprintf("%.0f", rate(accepted))},
		[]string{"until the last publisher is done", fmt.Sprintf("%.0f", rate(total))},
		[]string{"the same transactions to DynamoDB Local alone", fmt.Sprintf("%.0f", rate(direct))},
		[]string{"ratio of the two", fmt.Sprintf("%.2f", direct.Seconds()/total.Seconds())},
	)
	b.table("Memory of the local run's Go process", []string{"after the first thousand orders", "after the last"},
		[]string{fmt.Sprintf("%.0f MB", float64(memory[0])/1e6), fmt.Sprintf("%.0f MB", float64(memory[1])/1e6)})
	return nil
}

// share divides n calls among the clients.
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

// resident is the resident memory of a process in bytes, 0 where the system does not tell.
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
