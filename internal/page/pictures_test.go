package page_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/page"
	"github.com/outboxkit/transactional-outbox/internal/testbrowser"
)

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
			About: "Order#o-3", SentAt: time.Now().Add(-3 * time.Minute), Reason: "notify customer c-7: no such address", Body: []byte(`{"detail":{}}`),
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
