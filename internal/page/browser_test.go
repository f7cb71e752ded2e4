package page_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/outboxkit/transactional-outbox/internal/page"
	"github.com/outboxkit/transactional-outbox/internal/testbrowser"
)

// serve serves the page of a stack and returns its address.
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

// screens are those that the page is made for.
var screens = [][2]int64{{1440, 900}, {1024, 700}, {390, 844}}

// TestTheFlowFits: every node of the flow is drawn, none over another, and no screen scrolls sideways.
func TestTheFlowFits(t *testing.T) {
	b := testbrowser.New(t)
	for _, consumers := range []int{3, 12} {
		f := newFake(t, consumers)
		url := serve(t, f)
		foreground := 0
		for _, n := range f.graph.Nodes {
			if !n.Background {
				foreground++
			}
		}
		for _, screen := range screens {
			b.Screen(screen[0], screen[1])
			b.Open(url)
			b.Await("the flow", fmt.Sprintf("document.querySelectorAll('.box').length === %d", foreground))
			overlapping := testbrowser.Eval[[]string](b, `(() => {
				const boxes = [...document.querySelectorAll('.box')].map((e) => [e.ariaLabel, e.getBoundingClientRect()]);
				return boxes.flatMap(([a, p], i) => boxes.slice(i + 1).filter(([, q]) => p.left < q.right && q.left < p.right && p.top < q.bottom && q.top < p.bottom).map(([b]) => a + ' / ' + b));
			})()`)
			if len(overlapping) > 0 {
				t.Errorf("%d consumers on %v: boxes overlap: %q", consumers, screen, overlapping)
			}
			if wide := testbrowser.Eval[int64](b, "Math.max(document.documentElement.scrollWidth, document.querySelector('.frame').scrollWidth)"); wide > screen[0] {
				t.Errorf("%d consumers on %v: it is %d pixels wide", consumers, screen, wide)
			}
		}
	}
}

// TestAnOrderIsSent: the example of a method is sent as it stands, and its event comes to the list and to the flow by itself.
func TestAnOrderIsSent(t *testing.T) {
	f := newFake(t, 3)
	b := testbrowser.New(t)
	b.Open(serve(t, f) + "#/send")
	const post = "form[aria-label='POST /orders'] "
	b.Do(chromedp.WaitVisible(chromedp.CSS(post+"input")), chromedp.SendKeys(chromedp.CSS(post+"input"), "k-1"))
	b.Click(post + "button[type=submit]")
	b.AwaitText("201")
	if got := f.requests(); len(got) != 1 || got[0].Verb != "POST" || got[0].Headers["Idempotency-Key"] != "k-1" || !strings.Contains(got[0].Body, `"customerId": "c-1"`) {
		t.Errorf("sent %+v", got)
	}
	b.Click("nav a[href='#/events']")
	b.AwaitText("Order#o-1")
	b.Click("nav a[href='#/flow']")
	b.AwaitText("Order#o-1")
	f.commit(newEvent(7))
	b.AwaitText("Order#o-7")
}

// TestAnEventsPage shows each step and what the event led to.
func TestAnEventsPage(t *testing.T) {
	f := newFake(t, 3)
	f.commit(newEvent(1))
	b := testbrowser.New(t)
	b.Open(serve(t, f) + "#/events/e-1")
	for _, text := range []string{"committed", "Outbox/Pipe → Outbox/EventBus", "took 12 ms", "shipment requested", "dead-letter", "ShipmentRequested", "customerId"} {
		b.AwaitText(text)
	}
	b.Open(serve(t, f) + "#/events/nowhere")
	b.AwaitText("not found")
}

// TestDeadLettersAreMoved: those that are selected and no others; a discard asks before.
func TestDeadLettersAreMoved(t *testing.T) {
	f := newFake(t, 3)
	for _, id := range []string{"m-1", "m-2", "m-3"} {
		f.letters = append(f.letters, page.DeadLetter{
			ID: id, Queue: "OutboxPublisherTwoDeadLetterQueue28E6151D", Kind: "consumer", Consumer: "PublisherTwo", Type: "OrderCreated",
			About: "Order#" + id, SentAt: time.Now(), Reason: "no such address", Body: []byte(`{"detail":{}}`),
		})
	}
	b := testbrowser.New(t)
	b.Open(serve(t, f) + "#/dead-letters")
	b.Click("[aria-label='Select OrderCreated Order#m-2 of PublisherTwo']")
	b.Click("button.primary")
	b.AwaitText("1 message redriven.")
	if got := f.waiting(); !slices.Equal(got, []string{"m-1", "m-3"}) {
		t.Errorf("%q wait, want m-1 and m-3", got)
	}
	b.Click(".toolbar input")
	b.Await("two are selected", "[...document.querySelectorAll('.toolbar button')].some((e) => e.innerText === 'Discard 2')")
	b.Do(chromedp.Evaluate[chromedp.Void]("[...document.querySelectorAll('.toolbar button')].find((e) => e.innerText === 'Discard 2').click()"))
	b.Press(kb.Escape)
	if got := f.waiting(); len(got) != 2 {
		t.Errorf("%q wait after the question was not answered with yes", got)
	}
	b.Do(chromedp.Evaluate[chromedp.Void]("[...document.querySelectorAll('.toolbar button')].find((e) => e.innerText === 'Discard 2').click()"))
	b.Click("dialog button.danger")
	b.AwaitText("2 messages discarded.")
	b.AwaitText("No dead letters")
}

// TestAFaultIsSwitched on, and healed.
func TestAFaultIsSwitched(t *testing.T) {
	f := newFake(t, 3)
	b := testbrowser.New(t)
	b.Open(serve(t, f) + "#/faults")
	b.Do(chromedp.WaitVisible(chromedp.CSS("[aria-label='How often dynamodb.throttle']")),
		chromedp.SendKeys(chromedp.CSS("[aria-label='How often dynamodb.throttle']"), "always"))
	b.AwaitText("dynamodb.throttle is set.")
	if got, _ := f.Faults(t.Context()); got[0].Rate != 1 {
		t.Errorf("the fault is %+v, want it always", got[0])
	}
	b.Click("button.primary")
	b.AwaitText("Healed")
	if got, _ := f.Faults(t.Context()); got[0].Rate != 0 || got[1].Rate != 0 {
		t.Errorf("healed, the faults are %+v", got)
	}
}

// TestTheKeyboard: the first stop of the tab key skips the head, each stop shows, and a box opens and closes with the focus
// back where it was.
func TestTheKeyboard(t *testing.T) {
	f := newFake(t, 3)
	for i := range 300 {
		f.commit(newEvent(i))
	}
	b := testbrowser.New(t)
	url := serve(t, f)
	b.Open(url)
	b.Await("the flow", "document.querySelector('.box')")
	focused := func() string {
		return testbrowser.Eval[string](b, "document.activeElement.ariaLabel || document.activeElement.innerText.trim()")
	}
	b.Press(kb.Tab)
	if got := focused(); got != "Skip to the content" {
		t.Errorf("the first stop is %q", got)
	}
	b.Press(kb.Enter)
	b.Press(kb.Tab)
	if got := focused(); !strings.HasPrefix(got, "Api, REST API") {
		t.Errorf("the first stop of the content is %q, want the first box of the flow", got)
	}
	if outline := testbrowser.Eval[string](b, "getComputedStyle(document.activeElement).outlineStyle"); outline != "solid" {
		t.Errorf("the focus has the outline %q", outline)
	}
	b.Press(kb.Enter)
	b.Await("the details have the focus", "document.activeElement.ariaLabel === 'Close the details'")
	b.Press(kb.Escape)
	b.Await("the box has the focus again", "document.activeElement.classList.contains('box') && !document.querySelector('.details')")

	b.Open(url + "#/events")
	b.Await("the list", "document.querySelector('.window a')")
	b.Do(chromedp.Focus(chromedp.CSS(".window a")))
	for range 40 {
		b.Press(kb.ArrowDown)
	}
	b.Await("the arrows go on beyond what was drawn", "document.activeElement.dataset.index === '40'")
}

// TestAScreenReader: each control has a name, and what changes by itself is told.
func TestAScreenReader(t *testing.T) {
	f := newFake(t, 3)
	f.commit(newEvent(1))
	f.letters = []page.DeadLetter{{ID: "m-1", Kind: "pipe", Reason: "it was given up", Body: []byte(`{}`)}}
	b := testbrowser.New(t)
	url := serve(t, f)
	for _, view := range []string{"flow", "events", "events/e-1", "dead-letters", "send", "faults", "stack"} {
		b.Open(url + "#/" + view)
		b.Await(view, "document.querySelector('main h1')")
		b.Await("no more to load", "!document.body.innerText.includes('Looking into')")
		tree, err := chromedp.Call(b.Context(), accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		if err != nil {
			t.Fatal(err)
		}
		controls := 0
		for _, n := range tree.Nodes {
			if n.Ignored || n.Role == nil || !slices.Contains([]string{`"button"`, `"link"`, `"textbox"`, `"searchbox"`, `"combobox"`, `"checkbox"`}, string(n.Role.Value)) {
				continue
			}
			controls++
			if n.Name == nil || len(n.Name.Value) <= len(`""`) {
				t.Errorf("%s: a %s has no name", view, n.Role.Value)
			}
		}
		if controls < 6 {
			t.Errorf("%s has %d controls", view, controls)
		}
		if n := testbrowser.Eval[int](b, "document.querySelectorAll('[role=status], [aria-live]').length"); n == 0 {
			t.Errorf("%s tells of no change", view)
		}
		if n := testbrowser.Eval[int](b, "document.querySelectorAll('h1').length"); n != 1 {
			t.Errorf("%s has %d headings of the first level", view, n)
		}
	}
}

// TestTextIsReadable: each color of text has a contrast of 4.5 to what it stands on, as WCAG asks, in both schemes.
func TestTextIsReadable(t *testing.T) {
	f := newFake(t, 3)
	b := testbrowser.New(t)
	for _, scheme := range []string{"light", "dark"} {
		b.Screen(1024, 700, "prefers-color-scheme", scheme)
		b.Open(serve(t, f))
		b.Await("the page", "document.querySelector('header')")
		// Source: WCAG 2.2, relative luminance and contrast ratio.
		faint := testbrowser.Eval[[]string](b, `(() => {
			const probe = document.body.appendChild(document.createElement('i'));
			const color = (name) => { probe.style.color = 'var(--' + name + ')'; return getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number); };
			const luminance = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
			const ratio = (a, b) => { const [x, y] = [luminance(color(a)), luminance(color(b))].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
			const pairs = ['text', 'quiet', 'accent', 'good', 'warn', 'bad'].flatMap((c) => [[c, 'bg'], [c, 'card']]).concat([['accent', 'tint'], ['on-accent', 'accent'], ['warn', 'warn-tint'], ['bad', 'bad-tint'], ['quiet', 'warn-tint'], ['quiet', 'bad-tint']]);
			return pairs.filter(([a, b]) => ratio(a, b) < 4.5).map(([a, b]) => a + ' on ' + b + ': ' + ratio(a, b).toFixed(2));
		})()`)
		if len(faint) > 0 {
			t.Errorf("%s: %q", scheme, faint)
		}
	}
}

// TestNothingMovesForThoseWhoAskForThat: a line lights up instead.
func TestNothingMovesForThoseWhoAskForThat(t *testing.T) {
	f := newFake(t, 3)
	b := testbrowser.New(t)
	for motion, dots := range map[string]string{"reduce": "false", "no-preference": "true"} {
		b.Screen(1440, 900, "prefers-reduced-motion", motion)
		b.Open(serve(t, f))
		b.Await("the flow", "document.querySelector('.drawing path')")
		b.Do(chromedp.Evaluate[chromedp.Void](`window.dots = false; window.lit = false;
			new MutationObserver(() => { window.dots ||= !!document.querySelector('.drawing circle'); window.lit ||= !!document.querySelector('path.lit'); })
				.observe(document.querySelector('.drawing'), { subtree: true, childList: true, attributes: true })`))
		b.AwaitText(" committed") // the stream has brought the state
		<-f.followed
		f.commit(newEvent(1))
		b.Await("the line lights up", "window.lit")
		b.Await("dots: "+dots, "window.dots === "+dots)
	}
}

// TestThePageStaysAtHome: no request leaves for anything but its own server, and no script or style breaks the policy.
func TestThePageStaysAtHome(t *testing.T) {
	f := newFake(t, 3)
	f.commit(newEvent(1))
	url := serve(t, f)
	b := testbrowser.New(t)
	var asked []string
	if err := chromedp.Listen(b.Context(), func(ev any) {
		if request, ok := ev.(*network.EventRequestWillBeSent); ok {
			asked = append(asked, request.Request.URL)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(b.Context(), network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	listening, stop := context.WithCancel(b.Context())
	messages := chromedp.Console(listening)
	for _, view := range []string{"flow", "events", "events/e-1", "dead-letters", "send", "faults", "stack"} {
		b.Open(url + "#/" + view)
		b.Await(view, "document.querySelector('main h1')")
	}
	stop()
	for m, err := range messages {
		if err != nil {
			break
		}
		t.Errorf("the console says: %v", m)
	}
	if len(asked) < 20 {
		t.Errorf("it asked for %d files only", len(asked))
	}
	for _, address := range asked {
		if !strings.HasPrefix(address, url) && address != "about:blank" {
			t.Errorf("it asked for %s", address)
		}
	}
}

// TestTenThousandEvents: a list of as many draws what is seen only, jumps to its end, and lets the page answer while events
// come.
func TestTenThousandEvents(t *testing.T) {
	f := newFake(t, 12)
	for i := range 10_000 {
		f.commit(newEvent(i))
	}
	b := testbrowser.New(t)
	b.Screen(1440, 900)
	b.Open(serve(t, f) + "#/events")
	b.AwaitText("10,000 events")
	b.AwaitText("Order#o-9999")
	b.Do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.window').scrollTop = 1e9"))
	b.AwaitText("Order#o-0")
	if rows := testbrowser.Eval[int](b, "document.querySelectorAll('.window li').length"); rows > 60 {
		t.Errorf("%d rows are drawn", rows)
	}
	ctx, stop := context.WithCancel(t.Context())
	coming := make(chan struct{})
	go func() {
		defer close(coming)
		for i := 10_000; ctx.Err() == nil; i++ {
			f.commit(newEvent(i))
			select {
			case <-ctx.Done():
			case <-time.After(2 * time.Millisecond): // about 500 a second
			}
		}
	}()
	// How late a timer is says for how long the page could not answer.
	late := testbrowser.Eval[[]float64](b, `new Promise((done) => {
		const late = [];
		const next = (due) => setTimeout(() => {
			late.push(performance.now() - due);
			late.length < 100 ? next(performance.now() + 20) : done(late.sort((a, b) => a - b));
		}, 20);
		next(performance.now() + 20);
	})`)
	stop()
	<-coming
	t.Logf("the page was busy for %.0f ms at most, %.0f ms at the 95th percentile", late[99], late[94])
	if late[94] > 200 {
		t.Errorf("of 100 timers, the 95th was %.0f ms late: the page does not answer", late[94])
	}
}

// TestPictures takes pictures of the page for a person to look at: PAGE_PICTURES=/tmp/pictures go test -run TestPictures.
func TestPictures(t *testing.T) {
	dir := os.Getenv("PAGE_PICTURES")
	if dir == "" {
		t.Skip("PAGE_PICTURES names no folder for pictures of the page")
	}
	b := testbrowser.New(t)
	for _, consumers := range []int{3, 12} {
		f := newFake(t, consumers)
		for i := range 40 {
			e := newEvent(i)
			e.At = time.Now().Add(time.Duration(i-41) * 3 * time.Second)
			f.commit(e)
		}
		f.letters = []page.DeadLetter{{
			ID: "m-1", Queue: "OutboxPublisherTwoDeadLetterQueue28E6151D", Kind: "consumer", Consumer: "PublisherTwo", EventID: "e-3", Type: "OrderCreated",
			About: "Order#o-3", SentAt: time.Now().Add(-3 * time.Minute), Receives: 5, Reason: "notify customer c-7: no such address", Body: []byte(`{"detail":{}}`),
		}}
		url := serve(t, f)
		if consumers == 3 { // the one of docs/page.md
			b.Screen(1400, 680)
			b.Open(url)
			b.Await("what waits", "document.querySelector('nav em') && document.querySelector('.latest li')")
			if err := os.WriteFile(filepath.Join(dir, "page.png"), b.Picture(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for _, screen := range screens {
			for _, scheme := range []string{"light", "dark"} {
				b.Screen(screen[0], screen[1], "prefers-color-scheme", scheme)
				for _, view := range []string{"flow", "events", "events/e-3", "dead-letters", "send", "faults", "stack"} {
					if consumers == 12 && view != "flow" {
						continue
					}
					b.Open(url + "#/" + view)
					b.Await(view, "document.querySelector('main h1') && !document.body.innerText.includes('Looking into')")
					b.Await("what waits", "document.querySelector('nav em')")
					name := fmt.Sprintf("%d-%dx%d-%s-%s.png", consumers, screen[0], screen[1], scheme, strings.ReplaceAll(view, "/", "-"))
					if err := os.WriteFile(filepath.Join(dir, name), b.Picture(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}
