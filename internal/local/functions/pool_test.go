package functions

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// waiter is an invocation that goes on until it is released.
type waiter struct {
	t    *testing.T
	fifo string
	pid  chan int
}

func (h *host) wait(arn, name string) waiter {
	h.t.Helper()
	w := waiter{h.t, filepath.Join(h.t.TempDir(), name), make(chan int, 1)}
	if err := syscall.Mkfifo(w.fifo, 0o600); err != nil {
		h.t.Fatal(err)
	}
	go func() {
		defer close(w.pid)
		w.pid <- h.ask(arn, order{Do: "wait", Text: w.fifo}).PID
	}()
	return w
}

// release ends the invocation and says in which process it was.
func (w waiter) release() int {
	w.t.Helper()
	file, err := os.OpenFile(w.fifo, os.O_WRONLY, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	file.Close()
	return <-w.pid
}

func TestConcurrentInvocationsHaveProcessesOfTheirOwn(t *testing.T) {
	h := newHost(t)
	arn := h.function(nil)
	first, second := h.wait(arn, "a"), h.wait(arn, "b")
	h.await(2, "waiting") // at the same time
	a := first.release()
	b := second.release()
	if a == b {
		t.Errorf("both ran in process %d", a)
	}
	if last := h.ask(arn, order{}).PID; last != b {
		t.Errorf("process %d was used next, want %d, which was used last", last, b)
	}
}

func TestInvocationsWaitAtTheLimit(t *testing.T) {
	h := newHost(t)
	arn := h.function(props{"ReservedConcurrentExecutions": 2})
	var running []waiter
	for _, name := range []string{"a", "b"} {
		running = append(running, h.wait(arn, name))
	}
	h.await(2, "waiting")
	third := h.wait(arn, "c")
	pids := map[int]bool{running[0].release(): true}
	h.await(3, "waiting") // the third one took the place
	pids[running[1].release()] = true
	pids[third.release()] = true
	if len(pids) != 2 {
		t.Errorf("the invocations ran in processes %v, want 2", pids)
	}
	if n := len(h.functions[arn].idle); n != 2 {
		t.Errorf("%d environments are idle, want 2", n)
	}
}

func TestIdleEnvironmentEnds(t *testing.T) {
	h := newHost(t)
	arn := h.function(nil)
	f := h.functions[arn]
	f.idleTime = time.Millisecond
	pid := h.ask(arn, order{}).PID
	deadline := time.After(patience)
	for env := f.lastIdle(); env != nil; env = f.lastIdle() {
		select {
		case <-env.ended:
		case <-deadline:
			t.Fatal("the environment does not end")
		}
	}
	if again := h.ask(arn, order{}).PID; again == pid {
		t.Errorf("process %d is used again", pid)
	}
	if retries := h.logged(hop.Retry); len(retries) > 0 {
		t.Errorf("reported as failures: %q", retries)
	}
}

func TestEnvironmentThatEndedWhileIdleIsReplaced(t *testing.T) {
	h := newHost(t)
	arn := h.function(nil)
	pid := h.ask(arn, order{}).PID
	env := h.functions[arn].lastIdle()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-env.ended
	if again := h.ask(arn, order{}).PID; again == pid {
		t.Errorf("process %d is used again", pid)
	}
	if retries := h.logged(hop.Retry); len(retries) > 0 {
		t.Errorf("reported as failures: %q", retries)
	}
}

func (f *function) lastIdle() *environment {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.idle) == 0 {
		return nil
	}
	return f.idle[len(f.idle)-1]
}

func TestLogWriter(t *testing.T) {
	long := strings.Repeat("é", maxLine/2+5)
	tests := map[string]struct {
		writes []string
		want   []string
		tail   string // how the tail ends
	}{
		"a line in pieces":           {[]string{"a", "b\n", "c"}, []string{"ab", "c"}, "ab\nc"},
		"several lines in one piece": {[]string{"a\nb\nc\n"}, []string{"a", "b", "c"}, "a\nb\nc"},
		"carriage returns":           {[]string{"a\r\nb\r", "\n"}, []string{"a", "b"}, "a\nb"},
		"empty lines":                {[]string{"\n\na\n\n"}, []string{"a"}, "a"},
		"a line that is too long":    {[]string{"x" + long + "\n"}, []string{"x" + long[:maxLine-2], long[maxLine-2:]}, "é\n" + long[maxLine-2:]},
		"a long tail":                {[]string{strings.Repeat("x", maxTail) + "\n", "end\n"}, []string{strings.Repeat("x", maxTail), "end"}, strings.Repeat("x", maxTail-5) + "\nend"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			w := logWriter{line: func(line string) { got = append(got, line) }}
			for _, text := range tt.writes {
				if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
					t.Fatalf("wrote %d bytes, %v", n, err)
				}
			}
			w.flush()
			if strings.Join(got, "|") != strings.Join(tt.want, "|") {
				t.Errorf("lines %.100q, want %.100q", got, tt.want)
			}
			if tail := w.tail(); !strings.HasSuffix(tail, tt.tail) || len(tail) > maxTail || !utf8.ValidString(tail) {
				t.Errorf("the tail is %.100q, want at most %d bytes that end with %.100q", tail, maxTail, tt.tail)
			}
		})
	}
}

// BenchmarkColdStart is the time from the start of a process to its first request for an invocation.
func BenchmarkColdStart(b *testing.B) {
	f := benchmarkFunction(b)
	for b.Loop() {
		env, err := f.start(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		env.kill()
		b.StartTimer()
	}
}

// BenchmarkWarmInvoke is what the host adds to an invocation of a warm function that does nothing.
func BenchmarkWarmInvoke(b *testing.B) {
	f := benchmarkFunction(b)
	for b.Loop() {
		if _, err := f.invoke(b.Context(), f.arn, []byte(`{"Do":"nothing"}`)); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkFunction(b *testing.B) *function {
	b.Helper()
	s := New(Config{Cloud: testCloud(), Dir: b.TempDir(), Sink: func(hop.Hop) {}})
	b.Cleanup(s.Close)
	var p properties
	p.Runtime, p.Code.S3Key = "provided.al2023", "probe.zip"
	f := newFunction(s, template.Resource{LogicalID: "Probe"}, p)
	prog, err := fromAsset(b.Context(), p, assetsOf(template.Resource{Dir: assembly, Root: assembly}, ""), f.dir)
	if err != nil {
		b.Fatal(err)
	}
	f.program = prog
	close(f.prepared)
	return f
}
