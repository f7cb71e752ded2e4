// Command local runs a synthesized CDK stack on this machine, with no AWS account and no Docker: the
// tables in DynamoDB Local, the queues in fauxqs, and the REST API, pipes, rules, event source mappings
// and Go functions by itself, with AWS's semantics. It reads nothing but the cloud assembly.
//
//	npx cdk synth
//	go run ./local --stack Orders-dev
//
// Everything listens on 127.0.0.1 only. Ctrl-C ends it and all it started.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/outboxkit/transactional-outbox/local/console"
)

// options are the command's flags.
type options struct {
	app    string
	stack  string
	port   int
	data   string
	keep   bool
	json   bool
	faults string
}

const usage = `Run a synthesized CDK stack on this machine.

  local [flags]

`

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	flags.StringVar(&o.app, "app", "cdk.out", "`folder` that cdk synth wrote")
	flags.StringVar(&o.stack, "stack", "", "`name` of the stack (default: the first of the app)")
	flags.IntVar(&o.port, "port", 4510, "`port` of the REST API; the AWS endpoints take the ports after it; 0 lets the system choose all of them")
	flags.StringVar(&o.data, "data", "", "`folder` that keeps tables, queues and positions; a later run with it continues there (default: a new temporary folder)")
	flags.BoolVar(&o.keep, "keep", false, "do not remove the temporary folder at the end")
	flags.BoolVar(&o.json, "json", false, "print one JSON object a line, for programs")
	flags.StringVar(&o.faults, "faults", "", "`file` with a plan of faults to inject (see the package local/faults); SIGUSR1 ends them")
	// A mistake gets one line, not a page; the page is for those who ask.
	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(os.Stdout)
		fmt.Print(usage)
		flags.PrintDefaults()
		return o, err
	} else if err != nil {
		return o, fmt.Errorf("%w; local --help lists the flags", err)
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q: flags only, see local --help", flags.Arg(0))
	case o.port < 0 || o.port > 65535-ports:
		return o, fmt.Errorf("--port is %d, allowed are 0 to %d", o.port, 65535-ports)
	}
	return o, nil
}

func main() {
	o, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fail(err)
	}
	out := console.Text(os.Stdout)
	if o.json {
		out = console.JSON(os.Stdout)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// After the first signal the next one gets its default meaning: an impatient second Ctrl-C ends us at once.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, o, out); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "local:", err)
	os.Exit(1)
}
