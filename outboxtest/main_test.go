package outboxtest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// role makes the test binary end as a test binary may, in place of running tests: see TestNothingIsLeftBehind.
const role = "OUTBOXTEST_ROLE"

func TestMain(m *testing.M) {
	end := ends[os.Getenv(role)]
	if end == nil {
		os.Exit(m.Run())
	}
	s, err := launchShared(options{assembly: "testdata/shop/assembly"})
	if err != nil {
		fmt.Println("start:", err)
		os.Exit(1)
	}
	fmt.Println(s.Summary.Data, strings.TrimPrefix(s.Cloud().Endpoint("SQS"), "http://"))
	end()
}

// start returns the test's view of the shop.
func start(t testing.TB, with ...Option) *Run {
	t.Helper()
	return Start(t, append([]Option{Assembly("testdata/shop/assembly"), Stack("Shop")}, with...)...)
}

// order is an order to ship.
func order(id, address string) Publication {
	return Publication{Source: "orders", Type: "OrderCreated", AggregateType: "Order", AggregateID: id, Data: map[string]any{"address": address}}
}

// A failing is a test that may fail without failing the test around it.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}
func (f *failing) Errorf(format string, args ...any) {
	f.said += fmt.Sprintf(format, args...) + "\n"
}

func (f *failing) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

// failure returns what a test says when it fails, and fails t where it does not fail.
func failure(t *testing.T, test func(testing.TB)) string {
	t.Helper()
	f := &failing{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		test(f)
	}()
	<-ended
	if f.said == "" {
		t.Error("the test does not fail")
	}
	return f.said
}

// wantLines checks that the lines are in the text in this order, each maybe with more around it.
func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	rest := text
	for _, line := range lines {
		_, after, found := strings.Cut(rest, line)
		if !found {
			t.Errorf("%q is missing, or not in its place, in\n%s", line, text)
			return
		}
		rest = after
	}
}
