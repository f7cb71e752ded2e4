package e2e

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/internal/testbrowser"
)

// BenchmarkThePage measures what the page costs a run: how many messages consumers handle a second while a browser shows the
// flow and while none does, in turns on one run, and the ratio of the two.
func BenchmarkThePage(b *testing.B) {
	browser := testbrowser.New(b)
	run := launch(b, assembly)
	defer func() { _ = run.Stop() }()
	var with, without []float64
	measure := func(into *[]float64) { *into = append(*into, handledPerSecond(b, run)) }
	handledPerSecond(b, run) // the functions start
	for range max(b.N, 3) {
		browser.Open("about:blank")
		measure(&without)
		browser.Open(run.Summary.Page)
		browser.AwaitText("Latest events")
		measure(&with)
	}
	slices.Sort(with)
	slices.Sort(without)
	b.ReportMetric(with[len(with)/2], "with/s")
	b.ReportMetric(without[len(without)/2], "without/s")
	b.ReportMetric(with[len(with)/2]/without[len(without)/2], "ratio")
}

// handledPerSecond sends orders for some seconds, as fast as they are taken by a few callers, and returns how many messages
// were handled a second.
func handledPerSecond(b *testing.B, run *localrun.Run) float64 {
	const callers, lasts = 4, 6 * time.Second
	handled := func() (n int) {
		for _, h := range run.Hops(func(h hop.Hop) bool { return h.Stage == hop.Queue && h.Outcome == hop.OK && !h.Heartbeat }) {
			n += h.Count
		}
		return n
	}
	ctx, stop := context.WithTimeout(b.Context(), lasts)
	defer stop()
	before, began := handled(), time.Now()
	var calling sync.WaitGroup
	for range callers {
		calling.Go(func() {
			for ctx.Err() == nil {
				sendTea(ctx, run)
			}
		})
	}
	calling.Wait()
	return float64(handled()-before) / time.Since(began).Seconds()
}

// sendTea sends an order, whose answer does not matter.
func sendTea(ctx context.Context, run *localrun.Run) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, run.Summary.API+"orders", strings.NewReader(tea))
	if err != nil {
		return
	}
	r.Header.Set("Content-Type", "application/json")
	if response, err := http.DefaultClient.Do(r); err == nil {
		response.Body.Close()
	}
}
