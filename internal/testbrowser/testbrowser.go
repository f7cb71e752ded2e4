// Package testbrowser runs a page in a real browser, for tests.
package testbrowser

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// within is how long anything may take that a test waits for.
const within = 30 * time.Second

// names are those of browsers that chromedp can drive.
var names = []string{"chromium", "chromium-browser", "google-chrome"}

// A Browser is one tab of a browser without a window.
type Browser struct {
	t   testing.TB
	ctx context.Context
}

// New starts a browser, which ends with the test. It skips the test where none is installed. The browser keeps nothing and
// asks nobody for updates.
func New(t testing.TB) *Browser {
	t.Helper()
	path := ""
	for _, name := range names {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skipf("no browser is installed, one of %v: apt-get install chromium, to test the page in one", names)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, // root needs it, and only our own page is opened
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &Browser{t: t, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil { // starts it, for as long as this context
		t.Fatalf("start %s: %v", path, err)
	}
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	return b
}

// Do runs actions one after the other.
func (b *Browser) Do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, within)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// Open opens an address.
func (b *Browser) Open(url string) {
	b.t.Helper()
	b.Do(chromedp.Navigate("about:blank"), chromedp.Navigate(url)) // another fragment alone would not load the page
}

// Await waits until an expression of JavaScript is true.
func (b *Browser) Await(what, expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, within)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool]("!!("+expression+")", chromedp.WithPollingInterval(50*time.Millisecond))); err != nil {
		b.t.Fatalf("%s: %v; the page shows:\n%s", what, err, Eval[string](b, "document.body.innerText"))
	}
}

// AwaitText waits until the page shows a text.
func (b *Browser) AwaitText(text string) {
	b.t.Helper()
	b.Await("the text "+strconv.Quote(text), fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

// Click clicks on the element with the selector.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	b.Do(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

// Press presses a key.
func (b *Browser) Press(key string) {
	b.t.Helper()
	b.Do(chromedp.KeyEvent(key))
}

// Screen sets the size of the screen, and features of its user's system, such as "prefers-color-scheme", "dark".
func (b *Browser) Screen(width, height int64, features ...string) {
	b.t.Helper()
	b.Do(chromedp.EmulateViewport(width, height))
	var media []*emulation.MediaFeature
	for i := 0; i+1 < len(features); i += 2 {
		media = append(media, &emulation.MediaFeature{Name: features[i], Value: features[i+1]})
	}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: media}); err != nil {
		b.t.Fatal(err)
	}
}

// Picture returns what the screen shows, as PNG.
func (b *Browser) Picture() []byte {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	return png
}

// Context returns the browser's context, for chromedp's own functions.
func (b *Browser) Context() context.Context { return b.ctx }

// Eval returns the value of an expression of JavaScript, which may be a promise.
func Eval[T any](b *Browser, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}
