package page_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/outboxkit/transactional-outbox/internal/page"
	"github.com/outboxkit/transactional-outbox/internal/testbrowser"
)

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
