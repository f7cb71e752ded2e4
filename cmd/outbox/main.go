// Command outbox runs a synthesized outbox stack on this machine, and operates a deployed one.
//
//	outbox local           run a synthesized stack here
//	outbox status          show how a stack stands, and what needs a person
//	outbox trace           show what became of an event
//	outbox page            show a deployed stack on a page in the browser
//	outbox audit           compare what was committed with what took effect
//	outbox repair          send what is missing again, to the consumer that misses it
//	outbox dead-letters    list, show, redrive and discard the dead-letter messages of a stack
//	outbox replay          send events to one consumer again
//	outbox pause, resume   pause a consumer or the pipe, and let it go on
//	outbox smoke           check on AWS what cannot be tested here
//	outbox inbox copy      carry a consumer's memory over to its new name
//	outbox completion      print a script that completes commands and flags in your shell
//
// `outbox help` lists everything. It exits with 0 when it did what was asked, 1 when it could not, and 2 when it
// was asked for something that it does not have.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// After the first signal the next one gets its default meaning: an impatient second Ctrl-C ends us at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// streams are a process's standard input, output and error.
type streams struct {
	in       io.Reader
	out, err io.Writer
}
