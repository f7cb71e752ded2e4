package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// said is what a command came to.
type said struct {
	code     int
	out, err string
}

// operate runs the command on the stack, with the endpoints of the run in place of AWS's.
func operate(t *testing.T, run *localrun.Run, subcommand string, args ...string) said {
	t.Helper()
	return command(t, run.Cloud().Environ(), append([]string{subcommand, "--stack", stack}, args...)...)
}

func command(t *testing.T, env []string, args ...string) said {
	t.Helper()
	cmd := exec.CommandContext(within(t), binary, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return said{cmd.ProcessState.ExitCode(), out.String(), stderr.String()}
}

// check checks the exit code of a command and that it said all of the texts.
func (s said) check(t *testing.T, code int, texts ...string) {
	t.Helper()
	if s.code != code {
		t.Fatalf("exit code %d, want %d; it said\n%s%s", s.code, code, s.out, s.err)
	}
	for _, text := range texts {
		if !strings.Contains(s.out+s.err, text) {
			t.Errorf("it does not say %q:\n%s%s", text, s.out, s.err)
		}
	}
}

// TestOperate: somebody stops a consumer and purges its queue; the command says what is wrong, what is missing, and repairs it.
func TestOperate(t *testing.T) {
	t.Parallel()
	run := start(t, assembly)
	order := post(t, run, tea)
	awaitPublishers(t, run, order, "PublisherOne", "PublisherTwo", "OrderUpdatedPublisher")

	t.Run("nothing is wrong", func(t *testing.T) {
		operate(t, run, "status").check(t, 0, "pipe          RUNNING", "PublisherTwo", "nothing needs a person")
		operate(t, run, "status", "--json").check(t, 0, `"needs": []`)
		eventually(t, "the trace shows three effects", func(context.Context) bool {
			got := operate(t, run, "trace", order)
			return got.code == 0 && strings.Count(got.out, "effect at ") == 3
		})
	})

	var stopped string
	t.Run("a consumer is stopped", func(t *testing.T) {
		operate(t, run, "pause", "--consumer", "PublisherTwo", "--yes").check(t, 0)
		operate(t, run, "status").check(t, 1, "PublisherTwo", "disabled", "→ outbox resume --stack "+stack+" --consumer PublisherTwo")
		stopped = post(t, run, tea)
		eventually(t, "the trace shows that the order's two events wait", func(context.Context) bool {
			return strings.Contains(operate(t, run, "trace", "Order#"+stopped).out, "2 messages wait in its queue")
		})
	})

	t.Run("its queue is purged", func(t *testing.T) {
		if _, err := run.Cloud().SQS().PurgeQueue(within(t), &sqs.PurgeQueueInput{QueueUrl: aws.String(run.Summary.Outputs["PublisherTwoQueueUrl"])}); err != nil {
			t.Fatal(err)
		}
		operate(t, run, "resume", "--consumer", "PublisherTwo", "--yes").check(t, 0)
		got := operate(t, run, "audit", "--full", "--until", farAhead, "--json")
		got.check(t, 1, "2 effects are missing")
		for _, line := range strings.Split(got.out, "\n")[:2] {
			var of struct {
				Missing struct{ Consumer, AggregateID string }
			}
			if err := json.Unmarshal([]byte(line), &of); err != nil || of.Missing.Consumer != "PublisherTwo" || of.Missing.AggregateID != stopped {
				t.Errorf("it lists (%v)\n%s", err, got.out)
			}
		}
	})

	t.Run("and repaired", func(t *testing.T) {
		args := []string{"--full", "--until", farAhead}
		operate(t, run, "repair", append(args, "--dry-run")...).check(t, 0, "PublisherTwo: 2 events to send", "PublisherOne: 0 events to send")
		operate(t, run, "repair", append(args, "--yes")...).check(t, 0, "PublisherTwo: 2 sent")
		eventually(t, "nothing is missing any more", func(context.Context) bool {
			return operate(t, run, "audit", args...).code == 0
		})
		operate(t, run, "status").check(t, 0, "nothing needs a person")
	})

	t.Run("what is not there", func(t *testing.T) {
		command(t, run.Cloud().Environ(), "status", "--stack", "Nowhere").check(t, 1, `there is no stack "Nowhere"`)
		operate(t, run, "trace", "no-such-order").check(t, 1, `no event with the id "no-such-order"`)
		operate(t, run, "audit").check(t, 0, "matched and effects are approximate", "nothing is missing")
	})
}

// farAhead is later than any event's time.
const farAhead = "2100-01-01T00:00:00Z"

// TestOperateLocally: with --local the command finds the endpoints by the port, and the one stack that runs.
func TestOperateLocally(t *testing.T) {
	t.Parallel()
	port := strconv.Itoa(freePorts(t))
	start(t, assembly, "--port", port)
	command(t, nil, "status", "--local", "--port", port).check(t, 0, stack+" in the local run on port "+port, "nothing needs a person")
}

// freePorts returns the first of five ports in a row that nothing listens on.
func freePorts(t *testing.T) int {
	t.Helper()
	for first := 21510; first < 32000; first += 10 {
		free := true
		for port := first; port < first+5 && free; port++ {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			if free = err == nil; free {
				_ = l.Close()
			}
		}
		if free {
			return first
		}
	}
	t.Fatal("there are no five free ports in a row")
	return 0
}
