// Command demo shows the whole way of one order on this machine: it starts the synthesized stack
// Orders-dev, POSTs an order twice with the same Idempotency-Key, reads it back, and follows its event
// through stream, pipe, bus, rules and queues to both publishers. It exits with 1 when a publisher has
// not had the event within 30 seconds.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/local/console"
	"github.com/outboxkit/transactional-outbox/local/hop"
	"github.com/outboxkit/transactional-outbox/test/localrun"
)

const (
	stack      = "Orders-dev"
	publishers = 2
	patience   = 30 * time.Second
)

const order = `{"customerId":"c-42","currency":"EUR","items":[{"sku":"tea-green-100","quantity":2,"unitPrice":1290}],"note":"ring twice"}`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := demo(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "outbox-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "local")
	if err := localrun.Build(ctx, binary); err != nil {
		return err
	}
	text := console.Text(os.Stdout)
	run, err := localrun.Start(ctx, localrun.Options{Binary: binary, Args: []string{"--stack", stack, "--port", "0"}, OnHop: text.Hop})
	if err != nil {
		return err
	}
	defer run.Kill()
	text.Ready(run.Summary)
	if err := story(ctx, run, text); err != nil {
		return err
	}
	return run.Stop()
}

// story is what the demo tells, step by step.
func story(ctx context.Context, run *localrun.Run, text console.Console) error {
	key := fmt.Sprintf("demo-%d", time.Now().UnixMilli())
	text.Notice("POST /orders   Idempotency-Key: " + key + "\n" + order)
	created, err := call(ctx, run, http.MethodPost, "orders", key, order)
	if err != nil {
		return err
	}
	text.Notice("→ " + created.String())
	if created.status != http.StatusCreated {
		return fmt.Errorf("the first POST was answered with %s, expected 201", created)
	}
	var id struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(created.body, &id); err != nil {
		return fmt.Errorf("the answer to POST: %w", err)
	}

	text.Notice("\nThe same POST again, as a client does that did not see the answer")
	again, err := call(ctx, run, http.MethodPost, "orders", key, order)
	if err != nil {
		return err
	}
	text.Notice("→ " + again.String())
	if again.status != http.StatusOK || string(again.body) != string(created.body) {
		return fmt.Errorf("the second POST was answered with %s, expected 200 and the same id", again)
	}

	text.Notice("\nGET /orders/" + id.ID)
	read, err := call(ctx, run, http.MethodGet, "orders/"+id.ID, "", "")
	if err != nil {
		return err
	}
	text.Notice("→ " + read.String())
	if read.status != http.StatusOK {
		return fmt.Errorf("GET was answered with %s, expected 200", read)
	}
	return arrival(ctx, run, text, id.ID)
}

// arrival waits until every publisher has logged the order's event, and counts.
func arrival(ctx context.Context, run *localrun.Run, text console.Console, orderID string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	about := func(h hop.Hop) bool { return h.Stage == hop.Function && strings.Contains(h.Detail, orderID) }
	lines, err := run.Wait(ctx, publishers, about)
	if err != nil {
		return fmt.Errorf("not every publisher had the event within %s: %w", patience, err)
	}
	effects := map[string]int{}
	for _, line := range lines {
		effects[run.Name(line.Resource)]++
	}
	if len(effects) != publishers {
		return fmt.Errorf("publishers that had the event: %v, expected %d", effects, publishers)
	}
	events := 0
	for _, h := range run.Hops(func(h hop.Hop) bool { return h.Stage == hop.Pipe && h.Outcome == hop.OK }) {
		events += h.Count
	}
	text.Notice(fmt.Sprintf("\n2 POSTs, 1 order, %d event, %d publishers: %v", events, len(effects), effects))
	if events != 1 {
		return fmt.Errorf("%d events left the outbox, expected 1", events)
	}
	return nil
}

type answer struct {
	status int
	body   []byte
}

func (a answer) String() string {
	return fmt.Sprintf("%d %s", a.status, strings.TrimSpace(string(a.body)))
}

// call sends one request to the REST API.
func call(ctx context.Context, run *localrun.Run, method, path, key, body string) (answer, error) {
	if run.Summary.API == "" {
		return answer{}, errors.New("the stack has no REST API")
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(run.Summary.API, "/")+"/"+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, got}, err
}
