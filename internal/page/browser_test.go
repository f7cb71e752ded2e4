package page_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/outboxkit/transactional-outbox/internal/page"
)

// browser returns a browser that nothing leaves loopback from, or skips the test where none is installed.
func browser(t testing.TB) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no browser is installed: apt-get install chromium, to test the page in one")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-background-networking", true),
	)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	do(t, ctx) // starts it; it lives as long as this context
	return ctx
}

// serve serves the page of a backend and returns its address.
func serve(t testing.TB, f *fake) string {
	t.Helper()
	listener, err := page.Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- page.New(f, f).Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return page.URL(listener)
}

// do runs the actions in the browser.
func do(t testing.TB, ctx context.Context, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

func TestShots(t *testing.T) {
	dir := os.Getenv("PAGE_SHOTS")
	if dir == "" {
		t.Skip("PAGE_SHOTS names the folder for pictures of the page")
	}
	ctx := browser(t)
	for _, consumers := range []int{3, 12} {
		f := newFake(t, consumers)
		for i := range 40 {
			state := page.EventStates[i%4]
			f.commit(page.Event{ID: fmt.Sprintf("0198c5a8-6c1f-7d52-8f0e-3a1f5c9d%04d", i), Type: []string{"OrderCreated", "OrderUpdated"}[i%2], AggregateType: "Order", AggregateID: fmt.Sprintf("o-%d", i), Version: int64(i%3 + 1), At: time.Now().Add(-time.Duration(40-i) * time.Second), State: state})
		}
		f.letters = []page.DeadLetter{{ID: "m-1", Queue: "OutboxPublisherTwoDeadLetterQueue28E6151D", Kind: "consumer", Consumer: "PublisherTwo", EventID: "0198c5a8-6c1f-7d52-8f0e-3a1f5c9d0003", Type: "OrderCreated", About: "Order#o-3", SentAt: time.Now().Add(-3 * time.Minute), Receives: 5, Reason: "notify customer c-7: no such address", Body: []byte(`{"detail":{"id":"x"}}`)}}
		url := serve(t, f)
		for _, size := range [][2]int64{{1440, 900}, {1024, 700}, {390, 844}} {
			for _, scheme := range []string{"light", "dark"} {
				for _, view := range []string{"flow", "events", "events/0198c5a8-6c1f-7d52-8f0e-3a1f5c9d0003", "dead-letters", "send", "faults"} {
					if consumers == 12 && view != "flow" {
						continue
					}
					do(t, ctx, chromedp.EmulateViewport(size[0], size[1]))
					if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
						Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
					}); err != nil {
						t.Fatal(err)
					}
					do(t, ctx, chromedp.Navigate("about:blank"), chromedp.Navigate(url+"#/"+view),
						chromedp.WaitVisible(chromedp.CSS("main h1")), chromedp.Sleep(500*time.Millisecond))
					png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
					if err != nil {
						t.Fatal(err)
					}
					name := fmt.Sprintf("%d-%dx%d-%s-%s.png", consumers, size[0], size[1], scheme, strings.ReplaceAll(view, "/", "-"))
					if err := os.WriteFile(filepath.Join(dir, name), png, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}
