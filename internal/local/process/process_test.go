package process_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outboxkit/transactional-outbox/internal/local/process"
)

// role makes the test binary play one of the programs below instead of running tests.
const role = "PROCESS_TEST_ROLE"

var roles = map[string]func(){
	// print writes to both outputs and ends with code 3.
	"print": func() {
		fmt.Println("out", os.Getenv("GREETING"), strings.Join(os.Args[1:], " "))
		fmt.Fprintln(os.Stderr, "err")
		os.Exit(3)
	},
	// echo copies its input to its output.
	"echo": func() { _, _ = io.Copy(os.Stdout, os.Stdin) },
	// wait never ends by itself.
	"wait": func() {
		fmt.Println("ready")
		time.Sleep(time.Hour)
	},
	// polite ends with code 0 when asked to.
	"polite": func() {
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		fmt.Println("ready")
		<-asked
		fmt.Println("bye")
	},
	// stubborn does not end when asked to.
	"stubborn": func() {
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		time.Sleep(time.Hour)
	},
	// family starts a child that never ends and holds the same output, then waits or, with "leave", ends.
	"family": func() {
		child := exec.Command(os.Args[0])
		child.Env = []string{role + "=wait"}
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			panic(err)
		}
		if len(os.Args) > 1 && os.Args[1] == "leave" {
			return
		}
		time.Sleep(time.Hour)
	},
	// run is a local run in small: it has one child, and is killed.
	"run": func() {
		if _, err := process.Start(process.Spec{Path: os.Args[0], Env: []string{role + "=wait"}, Stdout: os.Stdout}); err != nil {
			panic(err)
		}
		time.Sleep(time.Hour)
	},
	// tidy has a folder removed at its end, and never ends by itself.
	"tidy": func() {
		if _, err := process.RemoveAtExit(os.Args[1]); err != nil {
			panic(err)
		}
		fmt.Println("ready")
		time.Sleep(time.Hour)
	},
}

func TestMain(m *testing.M) {
	if play := roles[os.Getenv(role)]; play != nil {
		play()
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/outboxkit/transactional-outbox/internal/local/process.spawnForever"))
}

func spec(name string, args ...string) process.Spec {
	return process.Spec{Path: os.Args[0], Args: args, Env: []string{role + "=" + name}}
}

// start starts a program and returns with it a reader of its output.
func start(t *testing.T, s process.Spec) (*process.Process, *bufio.Reader) {
	t.Helper()
	read, write := io.Pipe()
	s.Stdout = write
	p, err := process.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-p.Done()
		write.Close()
	}()
	t.Cleanup(p.Kill)
	return p, bufio.NewReader(read)
}

func readLine(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("read a line: %v", err)
	}
	return strings.TrimSuffix(line, "\n")
}

func TestStartPassesOnEverything(t *testing.T) {
	var out, errs bytes.Buffer
	s := spec("print", "a", "b c")
	s.Env = append(s.Env, "GREETING=hello")
	s.Stdout, s.Stderr = &out, &errs
	p, err := process.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if got, want := out.String(), "out hello a b c\n"; got != want {
		t.Errorf("stdout is %q, want %q", got, want)
	}
	if got, want := errs.String(), "err\n"; got != want {
		t.Errorf("stderr is %q, want %q", got, want)
	}
	if err := p.Err(); err == nil || err.Error() != "exit status 3" {
		t.Errorf("Err is %v, want exit status 3", err)
	}
}

// A child for which nobody names an environment must not get our secrets.
func TestTheEnvironmentIsNotOurs(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hidden")
	t.Setenv("LC_PROCESS_TEST", "seen")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	p, err := process.Start(process.Spec{Path: "/usr/bin/env", Stdout: write})
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(read)
	<-p.Done()
	if err != nil || strings.Contains(string(out), "hidden") || !strings.Contains(string(out), "LC_PROCESS_TEST") {
		t.Errorf("the child sees %s (%v)", out, err)
	}
}

func TestStartReadsInput(t *testing.T) {
	s := spec("echo")
	s.Stdin = strings.NewReader("one\ntwo\n")
	p, out := start(t, s)
	if got := readLine(t, out) + " " + readLine(t, out); got != "one two" {
		t.Errorf("got %q, want one two", got)
	}
	<-p.Done()
	if p.Err() != nil {
		t.Errorf("Err is %v, want nil", p.Err())
	}
}

func TestStartErrorNamesTheProgram(t *testing.T) {
	_, err := process.Start(process.Spec{Path: "/does/not/exist"})
	if err == nil || !strings.Contains(err.Error(), "start /does/not/exist: ") {
		t.Errorf("error is %v, want one that names the program", err)
	}
}

func TestStopLetsAPoliteProcessFinish(t *testing.T) {
	p, out := start(t, spec("polite"))
	readLine(t, out)
	go p.Stop(time.Minute)
	if got := readLine(t, out); got != "bye" {
		t.Errorf("last line is %q, want bye", got)
	}
	<-p.Done()
	if p.Err() != nil {
		t.Errorf("Err is %v, want nil: the process was killed", p.Err())
	}
}

func TestStopKillsAfterGrace(t *testing.T) {
	p, out := start(t, spec("stubborn"))
	readLine(t, out)
	p.Stop(10 * time.Millisecond)
	if err := p.Err(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("Err is %v, want signal: killed", err)
	}
}

// The grandchild holds the pipe that we read: the end of the pipe is the end of the whole family.
func TestTheGroupEnds(t *testing.T) {
	tests := map[string]struct {
		args []string
		end  func(*process.Process)
	}{
		"by kill":                         {nil, (*process.Process).Kill},
		"by stop":                         {nil, func(p *process.Process) { p.Stop(time.Minute) }},
		"when its leader ends":            {[]string{"leave"}, func(*process.Process) {}},
		"and kill afterwards is harmless": {[]string{"leave"}, func(p *process.Process) { <-p.Done(); p.Kill(); p.Stop(0) }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer read.Close()
			s := spec("family", tt.args...)
			s.Stdout = write
			p, err := process.Start(s)
			write.Close()
			if err != nil {
				t.Fatal(err)
			}
			if tt.args == nil { // else the grandchild may be gone before it says anything
				readLine(t, bufio.NewReader(read))
			}
			tt.end(p)
			awaitEnd(t, read)
			<-p.Done()
		})
	}
}

func TestChildrenEndWhenWeAreKilled(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	run := exec.Command(os.Args[0])
	run.Env = []string{role + "=run"}
	run.Stdout = write
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	readLine(t, bufio.NewReader(read)) // from the child
	if err := run.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = run.Wait()
	awaitEnd(t, read)
}

// awaitEnd waits until the last process that holds the pipe's other end has ended.
func awaitEnd(t *testing.T, pipe *os.File) {
	t.Helper()
	if err := pipe.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, pipe); err != nil {
		t.Errorf("a process is still running: %v", err)
	}
}

func TestPID(t *testing.T) {
	p, out := start(t, spec("wait"))
	readLine(t, out)
	if err := syscall.Kill(p.PID(), 0); err != nil {
		t.Errorf("no process %s: %v", strconv.Itoa(p.PID()), err)
	}
}
