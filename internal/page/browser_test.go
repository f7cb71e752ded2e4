package page_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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

// TestDeadLettersThatSomebodyLooksAt are counted, and the page does not say that there are none.
func TestDeadLettersThatSomebodyLooksAt(t *testing.T) {
	f := newFake(t, 3)
	f.looked = true
	f.letters = []page.DeadLetter{{ID: "m-1", Queue: "OutboxPublisherTwoDeadLetterQueue28E6151D", Kind: "consumer", SentAt: time.Now(), Body: []byte(`{}`)}}
	b := testbrowser.New(t)
	b.Screen(390, 844)
	b.Open(serve(t, f) + "#/dead-letters")
	b.Await("the count", "document.querySelector('nav em')?.innerText === '1'")
	b.AwaitText("0 of about 1 are shown")
	if testbrowser.Eval[bool](b, "document.body.innerText.includes('No dead letters')") {
		t.Error("it says that there are none")
	}
	if hidden := testbrowser.Eval[bool](b, "(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)(document.querySelector('nav'))"); hidden {
		t.Error("a view is out of sight")
	}
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
