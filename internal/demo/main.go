// Command demo shows the life of one order on this machine. It starts the synthesized stack Orders-dev and is its
// client: it POSTs an order twice, confirms it, tries to change it with an outdated version, and sends its event a
// second time. Between the steps it prints each hop of the order's events. At the end it counts the consumers' effects
// in the tables. It exits with 1 when an effect is missing after 30 seconds, or exists twice.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

const (
	stack   = "Orders-dev"
	timeout = 30 * time.Second
)

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
	s := &story{run: run, say: text.Notice, customer: "c-42"}
	if err := s.tell(ctx); err != nil {
		return err
	}
	return run.Stop()
}
