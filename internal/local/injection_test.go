package local

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
)

// said is a console that keeps notices and the counts of faults.
type said struct {
	console.Console
	notices chan string
	fired   chan map[string]int
}

func (s *said) Notice(text string)          { s.notices <- text }
func (s *said) Fault(console.Fault)         {}
func (s *said) Faults(fired map[string]int) { s.fired <- fired }

func inject(t *testing.T, plan string) (out *said, done func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(path, []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
	out = &said{notices: make(chan string, 4), fired: make(chan map[string]int, 4)}
	injector, done, err := injectFaults(Options{Faults: path}, out, out.Fault)
	if err != nil || injector == nil {
		t.Fatalf("no injector: %v", err)
	}
	if notice := <-out.notices; !strings.Contains(notice, "seed 9") {
		t.Errorf("the notice at the start: %q", notice)
	}
	return out, done
}

func TestHealBySignal(t *testing.T) {
	out, done := inject(t, `{"seed": 9, "rates": {"bus.partial": 0.5}}`)
	for range 2 { // the second one has no effect
		if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
	}
	if notice := <-out.notices; !strings.HasPrefix(notice, "healed") {
		t.Errorf("got %q", notice)
	}
	if fired := <-out.fired; !reflect.DeepEqual(fired, map[string]int{"bus.partial": 0}) {
		t.Errorf("fired %v", fired)
	}
	done()
	if fired := <-out.fired; len(fired) != 1 || len(out.notices) > 0 {
		t.Errorf("at the end: %v, %d more notices", fired, len(out.notices))
	}
}

func TestHealByTime(t *testing.T) {
	until := time.Now().Add(50 * time.Millisecond).Format(time.RFC3339Nano)
	out, done := inject(t, `{"seed": 9, "rates": {"bus.partial": 0.5}, "until": "`+until+`"}`)
	defer done()
	if notice := <-out.notices; !strings.HasPrefix(notice, "healed") {
		t.Errorf("got %q", notice)
	}
}

func TestWithoutFaults(t *testing.T) {
	injector, done, err := injectFaults(Options{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	for _, s := range injector.Settings() {
		if s.Rate != 0 || s.Once != nil || s.Fired != 0 {
			t.Errorf("%s: %+v", s.Point, s)
		}
	}
}

func TestBadPlan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(path, []byte(`{"rates": {"bus": 1}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := injectFaults(Options{Faults: path}, nil, nil); err == nil || !strings.HasPrefix(err.Error(), "--faults: ") {
		t.Errorf("got %v", err)
	}
}
