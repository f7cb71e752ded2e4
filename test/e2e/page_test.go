package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/internal/testbrowser"
)

// TestThePage runs the stack and does in its page, in a browser, what a developer does: sends an order, sees it arrive,
// makes a rule's target refuse one, and redrives what then waits.
func TestThePage(t *testing.T) {
	b := testbrowser.New(t)
	run := launch(t, assembly) // not start: the fault makes a request that the stack by itself does not make
	t.Cleanup(func() {
		if err := run.Stop(); err != nil {
			t.Errorf("stop the local run: %v", err)
		}
	})
	url := run.Summary.Page
	b.Screen(1440, 900)

	b.Open(url)
	for _, box := range []string{"Api", "Outbox Table", "Outbox Pipe", "Outbox EventBus", "PublisherOne", "PublisherTwo", "OrderUpdatedPublisher"} {
		b.Await(box+" is drawn", fmt.Sprintf("[...document.querySelectorAll('.box b')].some((e) => e.innerText.startsWith(%q))", box))
	}

	sendOrder(b, url, "seen-1")
	b.Open(url + "#/events/seen-1-1")
	b.AwaitText("PublisherTwo")
	b.Await("each consumer has handled it", "document.querySelectorAll('.consumers .handled').length === 3")
	for _, text := range []string{"happened at orders", "committed to Orders, Outbox/Table", "Outbox/Pipe → Outbox/EventBus", "received Outbox/PublisherOne/Function", "handled Outbox/PublisherOne/Function", "ShipmentRequested"} {
		b.AwaitText(text)
	}

	b.Open(url + "#/faults")
	const key = "[aria-label='Once, to which event, bus.no-permission']"
	b.Do(chromedp.WaitVisible(chromedp.CSS(key)), chromedp.SendKeys(chromedp.CSS(key), "lost-1-1\r"))
	b.AwaitText("will hit lost-1-1")

	sendOrder(b, url, "lost-1")
	b.Click("nav a[href='#/dead-letters']")
	b.AwaitText("NO_PERMISSIONS")
	b.Click(".toolbar input")
	b.Click(".toolbar button.primary")
	b.AwaitText("1 message redriven.")
	b.Open(url + "#/events/lost-1-1")
	b.AwaitText("bus.no-permission")
	b.Await("each consumer has handled it", "document.querySelectorAll('.consumers .handled').length === 3")

	b.Do(chromedp.Evaluate[chromedp.Void]("[...document.querySelectorAll('button')].find((e) => e.innerText === 'Deliver again').click()"))
	b.AwaitText("Sent again.")
	b.AwaitText("received twice")

	b.Open(url + "#/faults")
	b.AwaitText("fired once")

	testPageOfADeployedStack(t, b, run)
	testPageThatWrites(t, b, run)
}

// testPageOfADeployedStack shows the run as `outbox page` shows a stack on AWS: by the requests that it makes there.
func testPageOfADeployedStack(t *testing.T, b *testbrowser.Browser, run *localrun.Run) {
	deployed := startPage(t, run)
	b.Open(deployed)
	b.Await("the flow", "document.querySelectorAll('.box').length > 15")
	b.AwaitText("empty") // what waits in the queues is known
	b.Open(deployed + "#/events")
	b.Do(chromedp.WaitVisible(chromedp.CSS("input[type=search]")), chromedp.SendKeys(chromedp.CSS("input[type=search]"), "Order#seen-1\r"))
	b.AwaitText("OrderCreated")
	b.Open(deployed + "#/events/seen-1-1")
	b.Await("each consumer has handled it", "document.querySelectorAll('.consumers .handled').length === 3")
	b.Open(deployed + "#/dead-letters")
	b.AwaitText("This page changes nothing")
}

// testPageThatWrites makes two events dead letters. The page that may write redrives one, and discards the other after it has
// copied it.
func testPageThatWrites(t *testing.T, b *testbrowser.Browser, run *localrun.Run) {
	local := run.Summary.Page
	for _, id := range []string{"back-1", "gone-1"} {
		b.Open(local + "#/faults")
		const key = "[aria-label='Once, to which event, bus.no-permission']"
		b.Do(chromedp.WaitVisible(chromedp.CSS(key)), chromedp.SendKeys(chromedp.CSS(key), id+"-1\r"))
		b.AwaitText("will hit " + id + "-1")
		sendOrder(b, local, id)
		b.Open(local + "#/events/" + id + "-1")
		b.AwaitText("NO_PERMISSIONS")
	}
	b.Open(startPage(t, run, "--write") + "#/dead-letters")
	b.AwaitText("all 2")
	b.Click("[aria-label^='Select OrderCreated Order#back-1 of ']")
	b.Click(".toolbar button.primary")
	b.AwaitText("1 message redriven.")
	b.AwaitText("all 1")
	b.Click("[aria-label^='Select OrderCreated Order#gone-1 of ']")
	b.Do(chromedp.Evaluate[chromedp.Void]("[...document.querySelectorAll('.toolbar button')].find((e) => e.innerText === 'Discard 1').click()"))
	b.Click("dialog button.danger")
	b.AwaitText("1 message discarded. Copies are in ")
	b.AwaitText("No dead letters")
	b.Open(local + "#/events/back-1-1")
	b.Await("each consumer has handled it", "document.querySelectorAll('.consumers .handled').length === 3")
}

// startPage starts `outbox page` for the stack of the run, in a folder of its own, and returns the page's address.
func startPage(t *testing.T, run *localrun.Run, flags ...string) string {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"page", "--stack", stack, "--json"}, flags...)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), run.Cloud().Environ()...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("outbox page: %v", err)
		}
	})
	var said struct{ Page string }
	if err := json.NewDecoder(stdout).Decode(&said); err != nil {
		t.Fatal(err)
	}
	return said.Page
}

// sendOrder sends the example of POST /orders in the page, with an id for the order.
func sendOrder(b *testbrowser.Browser, url, id string) {
	b.Open(url + "#/send")
	const form = "form[aria-label='POST /orders'] "
	b.Do(chromedp.WaitVisible(chromedp.CSS(form+"input")), chromedp.SendKeys(chromedp.CSS(form+"input"), id))
	b.Click(form + "button[type=submit]")
	b.AwaitText("201")
}
