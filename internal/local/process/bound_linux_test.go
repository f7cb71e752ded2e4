package process_test

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/process"
)

// The parent-death signal comes when the thread that forked ends: a child must not depend on the thread
// of whoever started it.
func TestChildSurvivesTheThreadThatAskedForIt(t *testing.T) {
	read, write := io.Pipe()
	s := spec("echo")
	s.Stdin = read
	answers := make(lines, 1)
	s.Stdout = answers

	var p *process.Process
	var err error
	thread := onThreadOfItsOwn(func() { p, err = process.Start(s) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	t.Cleanup(func() { write.Close() })
	awaitThreadEnd(t, thread)

	if _, err := io.WriteString(write, "still there\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-answers:
		if got != "still there\n" {
			t.Errorf("the child answered %q", got)
		}
	case <-p.Done():
		t.Errorf("the child ended with the thread: %v", p.Err())
	}
}

// onThreadOfItsOwn runs f on a thread that ends right after, and returns the thread's id.
func onThreadOfItsOwn(f func()) int {
	type result struct {
		thread int
		ended  bool
	}
	results := make(chan result)
	for {
		release := make(chan struct{})
		go func() {
			runtime.LockOSThread() // never unlocked, so that the thread ends with the goroutine
			if tid := syscall.Gettid(); tid != os.Getpid() {
				f()
				results <- result{tid, true}
				return
			}
			// The first thread of a process never ends: hold it, so that the next try gets another one.
			results <- result{}
			<-release
			runtime.UnlockOSThread()
		}()
		r := <-results
		defer close(release)
		if r.ended {
			return r.thread
		}
	}
}

// awaitThreadEnd polls, because the kernel tells nobody when a thread ends.
func awaitThreadEnd(t *testing.T, tid int) {
	t.Helper()
	for range 1000 {
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid)); os.IsNotExist(err) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("thread %d does not end", tid)
}

// lines is a writer that hands on what it is given.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}
