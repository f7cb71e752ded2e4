// Command probe is a function that does what its event says.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type order struct {
	Do   string
	Text string
	Size int
}

type answer struct {
	PID      int
	Calls    int
	Env      []string
	Dir      string
	ID       string
	ARN      string
	Trace    string
	Deadline time.Time
}

var calls int

func handle(ctx context.Context, o order) (any, error) {
	calls++
	switch o.Do {
	case "":
		lc, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		dir, _ := os.Getwd()
		trace, _ := ctx.Value("x-amzn-trace-id").(string)
		return answer{os.Getpid(), calls, os.Environ(), dir, lc.AwsRequestID, lc.InvokedFunctionArn, trace, deadline}, nil
	case "print":
		fmt.Print(o.Text)
		return nil, nil
	case "fail":
		return nil, errors.New(o.Text)
	case "panic":
		panic(o.Text)
	case "exit":
		fmt.Print(o.Text) // no line end: it must not be lost
		os.Exit(o.Size)
	case "large":
		return strings.Repeat("x", o.Size-2), nil // two more for the quotes
	case "stream":
		return io.MultiReader(strings.NewReader("half"), broken{}), nil
	case "hang":
		// What it started must go with it: it holds the pipe that its output goes through.
		child := exec.Command("/bin/sleep", "3600")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			return nil, err
		}
		fmt.Println("hanging")
		time.Sleep(time.Hour)
	case "wait":
		// Until someone opens the named pipe for writing.
		fmt.Println("waiting", o.Text)
		file, err := os.Open(o.Text)
		if err != nil {
			return nil, err
		}
		return answer{PID: os.Getpid()}, file.Close()
	case "hold":
		// Keeps the named pipe open for as long as the process lives.
		file, err := os.OpenFile(o.Text, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		fmt.Fprintln(file, "holding")
		time.Sleep(time.Hour)
		return nil, file.Close()
	case "die-after":
		return dying{strings.NewReader(`"answered"`)}, nil
	}
	return nil, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the stream broke") }

// dying is a response after which the process ends: the runtime closes it before it asks for more.
type dying struct{ text io.Reader }

func (d dying) Read(p []byte) (int, error) { return d.text.Read(p) }

func (dying) Close() error {
	os.Exit(1)
	return nil
}

func main() {
	switch os.Getenv("INIT") {
	case "exit":
		fmt.Println("first line")
		fmt.Println("TABLE is not set")
		os.Exit(4)
	case "hang":
		fmt.Println("still loading")
		time.Sleep(time.Hour)
	case "once":
		// Fails the first time only.
		if file, err := os.OpenFile(os.Getenv("MARK"), os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			file.Close()
			os.Exit(1)
		}
	}
	lambda.Start(handle)
}
