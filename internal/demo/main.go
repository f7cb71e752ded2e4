// Command demo shows the life of one order on this machine. It starts the synthesized stack Orders-dev and is its
// client: it POSTs an order twice, confirms it, tries to change it with an outdated version, and sends its event a
// second time. Between the steps it prints each hop of the order's events. At the end it counts the consumers' effects
// in the tables. It exits with 1 when an effect is missing after 30 seconds, or exists twice. On a terminal it ends with the
// address of the run's page; with --keep the run stays up until Ctrl-C, or until it ends by itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/internal/terminal"
)

const (
	stack   = "Orders-dev"
	timeout = 30 * time.Second
)

func main() {
	// The run has a process group of its own: it would outlive a terminal that is closed.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := demo(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context) error {
	binary := flag.String("outbox", "bin/outbox", "the compiled command")
	app := flag.String("app", "cdk.out", "the cloud assembly")
	keep := flag.Bool("keep", false, "keep the run and its page up until Ctrl-C")
	flag.Parse()
	text := console.Text(os.Stdout, false)
	run, err := localrun.Start(ctx, localrun.Options{
		Binary: *binary, Args: []string{"--app", *app, "--stack", stack, "--port", "0"}, OnHop: text.Hop,
	})
	if err != nil {
		return err
	}
	defer run.Kill()
	text.Ready(run.Summary)
	s := &story{run: run, customer: "c-42", say: func(lines string) {
		for line := range strings.SplitSeq(lines, "\n") {
			text.Notice(line) // one line each: the console shows a line break that is in one
		}
	}}
	if err := s.tell(ctx); err != nil {
		return err
	}
	_, isTerminal := terminal.Width(os.Stdout)
	if words := closing(run.Summary.Page, isTerminal, *keep); words != "" {
		s.say(words)
	}
	if *keep {
		select {
		case <-ctx.Done():
		case <-run.Done():
		}
	}
	return run.Stop()
}

// closing returns the last words of the demo. A script that reads its output gets none, unless it waits for the run to end.
func closing(page string, isTerminal, keep bool) string {
	switch {
	case keep:
		return "\nThe run stays up: open " + page + " to see it. Ctrl-C ends it."
	case isTerminal:
		return "\nThe page of this run was " + page + " and has ended with it. To look around: make demo KEEP=1"
	default:
		return ""
	}
}
