package eventsource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/messages"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

// A fixture is a poller between a queue and a function in memory, inside a synctest bubble.
type fixture struct {
	*poller
	queue *fakeQueue

	mu    sync.Mutex
	hops  []hop.Hop
	calls []invocation
	stop  context.CancelFunc
	ended chan struct{}
}

// An invocation is one call of the function.
type invocation struct {
	at     time.Duration // since the start
	bodies []string
}

// A function returns the response to an invocation.
type function func(ctx context.Context, bodies []string) (string, error)

// succeed is a function that succeeds at once.
func succeed(context.Context, []string) (string, error) { return "", nil }

// startPoller starts a poller after adjust, which may be nil, has changed it.
func startPoller(t *testing.T, answer function, adjust func(*fixture)) *fixture {
	f := &fixture{queue: newQueue(30 * time.Second), ended: make(chan struct{})}
	started := time.Now()
	f.poller = &poller{
		Poller:    messages.Poller{Queue: f.queue, BatchSize: 10, Concurrency: 5},
		logicalID: "Mapping", functionARN: "arn:aws:lambda:::function:f", reportsItemFailures: true,
		sink: func(h hop.Hop) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.hops = append(f.hops, h)
		},
		invoke: func(ctx context.Context, _ string, payload []byte) ([]byte, error) {
			var event struct{ Records []struct{ Body string } }
			if err := json.Unmarshal(payload, &event); err != nil {
				t.Errorf("payload: %v", err)
			}
			c := invocation{at: time.Since(started)}
			for _, r := range event.Records {
				c.bodies = append(c.bodies, r.Body)
			}
			f.mu.Lock()
			f.calls = append(f.calls, c)
			f.mu.Unlock()
			response, err := answer(ctx, c.bodies)
			return []byte(response), err
		},
	}
	if adjust != nil {
		adjust(f)
	}
	var ctx context.Context
	ctx, f.stop = context.WithCancel(t.Context())
	go func() {
		f.run(ctx)
		close(f.ended)
	}()
	t.Cleanup(func() {
		f.stop()
		<-f.ended
	})
	return f
}

// invocations returns all invocations so far.
func (f *fixture) invocations() []invocation {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// hopsSoFar returns all hops so far.
func (f *fixture) hopsSoFar() []hop.Hop {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.hops)
}

// receivedBodies returns the bodies of all invocations, in order.
func (f *fixture) receivedBodies() []string {
	var bodies []string
	for _, c := range f.invocations() {
		bodies = append(bodies, c.bodies...)
	}
	return bodies
}

func expect[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func bodies(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint("m", i)
	}
	return all
}

func TestDeliversAtOnceAndDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startPoller(t, succeed, nil)
		time.Sleep(7 * time.Second)
		f.queue.send(`{"detail":{"id":"e1"}}`, "b")
		synctest.Wait()
		expect(t, "calls", f.invocations(), []invocation{{7 * time.Second, []string{`{"detail":{"id":"e1"}}`, "b"}}})
		expect(t, "left", f.queue.left(), nil)
		h := f.hopsSoFar()[0]
		expect(t, "hop", []any{h.Stage, h.Resource, h.Target, h.Outcome, h.Count, h.EventIDs},
			[]any{hop.Queue, "Mapping", "arn:aws:lambda:::function:f", hop.OK, 2, []string{"e1"}})
	})
}

func TestFailedMessagesComeBackAfterTheirVisibilityTimeout(t *testing.T) {
	cases := map[string]struct {
		response string
		err      error
		again    []string // of a, b, c
	}{
		"one failed":     {`{"batchItemFailures":[{"itemIdentifier":"b"}]}`, nil, []string{"b"}},
		"function error": {"", errors.New("boom"), []string{"a", "b", "c"}},
		"unknown id":     {`{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"z"}]}`, nil, []string{"a", "b", "c"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := true
				f := startPoller(t, func(context.Context, []string) (string, error) {
					if first {
						first = false
						return c.response, c.err
					}
					return "", nil
				}, nil)
				f.queue.send("a", "b", "c")
				time.Sleep(29 * time.Second)
				synctest.Wait()
				expect(t, "before the timeout", len(f.invocations()), 1)
				expect(t, "left", f.queue.left(), c.again)
				expect(t, "outcome", f.hopsSoFar()[0].Outcome, hop.Retry)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				expect(t, "again", f.invocations()[1].bodies, c.again)
				expect(t, "left at last", f.queue.left(), nil)
				expect(t, "outcome at last", f.hopsSoFar()[1].Outcome, hop.OK)
			})
		})
	}
}

func TestWithoutReportBatchItemFailuresTheResponseDoesNotMatter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startPoller(t, func(context.Context, []string) (string, error) {
			return `{"batchItemFailures":[{"itemIdentifier":"a"}]}`, nil
		}, func(f *fixture) { f.reportsItemFailures = false })
		f.queue.send("a")
		synctest.Wait()
		expect(t, "left", f.queue.left(), nil)
	})
}

func TestConcurrencyIsBoundedAndBusyWorkersDoNotTakeMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running, most := 0, 0
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			running += n
			most = max(most, running)
		}
		f := startPoller(t, func(context.Context, []string) (string, error) {
			count(+1)
			defer count(-1)
			time.Sleep(time.Second)
			return "", nil
		}, func(f *fixture) { f.BatchSize, f.Concurrency = 1, 3 })
		f.queue.send(bodies(9)...)
		synctest.Wait()
		expect(t, "taken", len(f.invocations()), 3)
		time.Sleep(3*time.Second + time.Millisecond)
		synctest.Wait()
		expect(t, "most at once", most, 3)
		expect(t, "left", f.queue.left(), nil)
		expect(t, "deliveries", len(f.invocations()), 9)
	})
}

func TestIdleMappingHasOneLongPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startPoller(t, succeed, nil)
		time.Sleep(time.Hour)
		synctest.Wait()
		expect(t, "polls at once", f.queue.stats().most, 1)
		expect(t, "polls in an hour", f.queue.stats().receives, 181) // one each 20 s, including the one that has just begun
	})
}

func TestBatchingWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startPoller(t, succeed, func(f *fixture) { f.BatchSize, f.Window = 25, 5*time.Second })
		f.queue.send("a")
		time.Sleep(2 * time.Second)
		f.queue.send("b")
		time.Sleep(time.Second)
		f.queue.send("c")
		time.Sleep(time.Second)
		synctest.Wait()
		expect(t, "calls within the window", len(f.invocations()), 0)
		time.Sleep(time.Second)
		synctest.Wait()
		expect(t, "call at its end", f.invocations(), []invocation{{5 * time.Second, []string{"a", "b", "c"}}})
		// A full batch does not wait.
		f.queue.send(bodies(25)...)
		synctest.Wait()
		expect(t, "full batch", len(f.invocations()[1].bodies), 25)
	})
}

// TestLargeBatchDoesNotWait checks that a batch of the size of a payload does not wait for the window either.
func TestLargeBatchDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startPoller(t, succeed, func(f *fixture) { f.BatchSize, f.Window = 100, 5*time.Second })
		for i := range 7 {
			f.queue.send(strings.Repeat(fmt.Sprint(i), 1<<20))
		}
		synctest.Wait()
		if len(f.invocations()) == 0 {
			t.Error("7 MB wait for the window")
		}
	})
}

func TestReceiveErrorsAreRetriedWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startPoller(t, succeed, func(f *fixture) {
			f.queue.failing = 1000
			f.queue.send("a")
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		if f.queue.stats().receives > 20 {
			t.Errorf("%d receives in a minute", f.queue.stats().receives)
		}
		f.queue.mu.Lock()
		f.queue.failing = 0
		f.queue.mu.Unlock()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		expect(t, "seen", f.receivedBodies(), []string{"a"})
	})
}

func TestUndeletedMessageComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startPoller(t, succeed, func(f *fixture) { f.queue.refusing = true })
		f.queue.send("a")
		time.Sleep(31 * time.Second)
		synctest.Wait()
		expect(t, "seen", f.receivedBodies(), []string{"a", "a"})
		expect(t, "outcome", f.hopsSoFar()[0].Outcome, hop.Retry)
	})
}

func TestStopCancelsInvocationsAndKeepsTheirMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startPoller(t, func(ctx context.Context, _ []string) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}, nil)
		f.queue.send("a")
		synctest.Wait()
		stopped := time.Now()
		f.stop()
		<-f.ended
		expect(t, "time to stop", time.Since(stopped), 0)
		expect(t, "left", f.queue.left(), []string{"a"})
		expect(t, "hops", f.hopsSoFar(), nil)
	})
}

func TestStopStillDeletesWhatIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startPoller(t, func(ctx context.Context, _ []string) (string, error) {
			<-ctx.Done()
			return "", nil // it was done just then
		}, nil)
		f.queue.send("a")
		synctest.Wait()
		f.stop()
		<-f.ended
		expect(t, "left", f.queue.left(), nil)
	})
}

func TestFilter(t *testing.T) {
	cases := map[string]struct {
		filters []string
		passes  []string
	}{
		"JSON body":     {[]string{`{"body":{"type":["A"]}}`}, []string{`{"type":"A"}`}},
		"one of two":    {[]string{`{"body":{"type":["A"]}}`, `{"body":{"type":["B"]}}`}, []string{`{"type":"A"}`, `{"type":"B"}`}},
		"plain string":  {[]string{`{"body":["text"]}`}, []string{"text"}},
		"none":          {nil, []string{`{"type":"A"}`, `{"type":"B"}`, "text", "{broken"}},
		"broken object": {[]string{`{"body":[{"prefix":"{br"}]}`}, []string{"{broken"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := startPoller(t, succeed, func(f *fixture) {
					for _, answer := range c.filters {
						compiled, err := pattern.Compile([]byte(answer), pattern.Pipes)
						if err != nil {
							t.Fatal(err)
						}
						f.filters = append(f.filters, compiled)
					}
				})
				f.queue.send(`{"type":"A"}`, `{"type":"B"}`, "text", "{broken")
				synctest.Wait()
				expect(t, "seen", f.receivedBodies(), c.passes)
				expect(t, "left", f.queue.left(), nil)
			})
		})
	}
}

func TestPayloadsStayUnderTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startPoller(t, succeed, nil)
		inner := f.invoke
		f.invoke = func(ctx context.Context, arn string, payload []byte) ([]byte, error) {
			if len(payload) > messages.MaxPayload {
				t.Errorf("payload of %d bytes", len(payload))
			}
			return inner(ctx, arn, payload)
		}
		var all []string
		for i := range 10 {
			all = append(all, strings.Repeat(fmt.Sprint(i), 1<<20))
		}
		f.queue.send(all...)
		synctest.Wait()
		expect(t, "calls", len(f.invocations()), 2)
		expect(t, "seen", slices.Equal(f.receivedBodies(), all), true)
	})
}
