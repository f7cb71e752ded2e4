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
	"github.com/outboxkit/transactional-outbox/internal/local/pattern"
)

// bench is a mapping between a queue and a function in memory, inside a synctest bubble.
type bench struct {
	*mapping
	queue *fakeQueue

	mu    sync.Mutex
	hops  []hop.Hop
	calls []call
	stop  context.CancelFunc
	ended chan struct{}
}

// call is one invocation.
type call struct {
	at     time.Duration // since the start
	bodies []string
}

// function answers an invocation.
type function func(ctx context.Context, bodies []string) (string, error)

// ok is a function that works, in no time.
func ok(context.Context, []string) (string, error) { return "", nil }

// run starts the mapping. Change it before with adjust.
func run(t *testing.T, f function, adjust func(*bench)) *bench {
	b := &bench{queue: newQueue(30 * time.Second), ended: make(chan struct{})}
	started := time.Now()
	b.mapping = &mapping{
		logicalID: "Mapping", functionARN: "arn:aws:lambda:::function:f", batchSize: 10, concurrency: 5, partial: true, queue: b.queue,
		sink: func(h hop.Hop) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.hops = append(b.hops, h)
		},
		invoke: func(ctx context.Context, _ string, payload []byte) ([]byte, error) {
			var event struct{ Records []struct{ Body string } }
			if err := json.Unmarshal(payload, &event); err != nil {
				t.Errorf("payload: %v", err)
			}
			c := call{at: time.Since(started)}
			for _, r := range event.Records {
				c.bodies = append(c.bodies, r.Body)
			}
			b.mu.Lock()
			b.calls = append(b.calls, c)
			b.mu.Unlock()
			response, err := f(ctx, c.bodies)
			return []byte(response), err
		},
	}
	if adjust != nil {
		adjust(b)
	}
	var ctx context.Context
	ctx, b.stop = context.WithCancel(t.Context())
	go func() {
		b.run(ctx)
		close(b.ended)
	}()
	t.Cleanup(func() {
		b.stop()
		<-b.ended
	})
	return b
}

// invocations are all invocations so far.
func (b *bench) invocations() []call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.calls)
}

// reported are all hops so far.
func (b *bench) reported() []hop.Hop {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.hops)
}

// seen are the bodies of all invocations, in order.
func (b *bench) seen() []string {
	var bodies []string
	for _, c := range b.invocations() {
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
		b := run(t, ok, nil)
		time.Sleep(7 * time.Second)
		b.queue.send(`{"detail":{"id":"e1"}}`, "b")
		synctest.Wait()
		expect(t, "calls", b.invocations(), []call{{7 * time.Second, []string{`{"detail":{"id":"e1"}}`, "b"}}})
		expect(t, "left", b.queue.left(), nil)
		h := b.reported()[0]
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
				b := run(t, func(context.Context, []string) (string, error) {
					if first {
						first = false
						return c.response, c.err
					}
					return "", nil
				}, nil)
				b.queue.send("a", "b", "c")
				time.Sleep(29 * time.Second)
				synctest.Wait()
				expect(t, "before the timeout", len(b.invocations()), 1)
				expect(t, "left", b.queue.left(), c.again)
				expect(t, "outcome", b.reported()[0].Outcome, hop.Retry)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				expect(t, "again", b.invocations()[1].bodies, c.again)
				expect(t, "left at last", b.queue.left(), nil)
				expect(t, "outcome at last", b.reported()[1].Outcome, hop.OK)
			})
		})
	}
}

func TestWithoutReportBatchItemFailuresTheResponseDoesNotMatter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(context.Context, []string) (string, error) {
			return `{"batchItemFailures":[{"itemIdentifier":"a"}]}`, nil
		}, func(b *bench) { b.partial = false })
		b.queue.send("a")
		synctest.Wait()
		expect(t, "left", b.queue.left(), nil)
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
		b := run(t, func(context.Context, []string) (string, error) {
			count(+1)
			defer count(-1)
			time.Sleep(time.Second)
			return "", nil
		}, func(b *bench) { b.batchSize, b.concurrency = 1, 3 })
		b.queue.send(bodies(9)...)
		synctest.Wait()
		expect(t, "taken", len(b.invocations()), 3)
		time.Sleep(3*time.Second + time.Millisecond)
		synctest.Wait()
		expect(t, "most at once", most, 3)
		expect(t, "left", b.queue.left(), nil)
		expect(t, "deliveries", len(b.invocations()), 9)
	})
}

func TestIdleMappingHasOneLongPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, ok, nil)
		time.Sleep(time.Hour)
		synctest.Wait()
		expect(t, "polls at once", b.queue.stats().most, 1)
		expect(t, "polls in an hour", b.queue.stats().receives, 181) // one each 20 s, the one that has just begun included
	})
}

func TestBatchingWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, ok, func(b *bench) { b.batchSize, b.window = 25, 5*time.Second })
		b.queue.send("a")
		time.Sleep(2 * time.Second)
		b.queue.send("b")
		time.Sleep(time.Second)
		b.queue.send("c")
		time.Sleep(time.Second)
		synctest.Wait()
		expect(t, "calls within the window", len(b.invocations()), 0)
		time.Sleep(time.Second)
		synctest.Wait()
		expect(t, "call at its end", b.invocations(), []call{{5 * time.Second, []string{"a", "b", "c"}}})
		// A full batch does not wait.
		b.queue.send(bodies(25)...)
		synctest.Wait()
		expect(t, "full batch", len(b.invocations()[1].bodies), 25)
	})
}

// A batch as large as a payload can be does not wait for the window either.
func TestLargeBatchDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, ok, func(b *bench) { b.batchSize, b.window = 100, 5*time.Second })
		for i := range 7 {
			b.queue.send(strings.Repeat(fmt.Sprint(i), 1<<20))
		}
		synctest.Wait()
		if len(b.invocations()) == 0 {
			t.Error("7 MB wait for the window")
		}
	})
}

func TestReceiveErrorsAreRetriedWithoutHaste(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, ok, func(b *bench) {
			b.queue.failing = 1000
			b.queue.send("a")
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		if b.queue.stats().receives > 20 {
			t.Errorf("%d receives in a minute", b.queue.stats().receives)
		}
		b.queue.mu.Lock()
		b.queue.failing = 0
		b.queue.mu.Unlock()
		time.Sleep(lastBackoff)
		synctest.Wait()
		expect(t, "seen", b.seen(), []string{"a"})
	})
}

func TestUndeletedMessageComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, ok, func(b *bench) { b.queue.refusing = true })
		b.queue.send("a")
		time.Sleep(31 * time.Second)
		synctest.Wait()
		expect(t, "seen", b.seen(), []string{"a", "a"})
		expect(t, "outcome", b.reported()[0].Outcome, hop.Retry)
	})
}

func TestStopCancelsInvocationsAndKeepsTheirMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(ctx context.Context, _ []string) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}, nil)
		b.queue.send("a")
		synctest.Wait()
		told := time.Now()
		b.stop()
		<-b.ended
		expect(t, "time to stop", time.Since(told), 0)
		expect(t, "left", b.queue.left(), []string{"a"})
		expect(t, "hops", b.reported(), nil)
	})
}

func TestStopStillDeletesWhatIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(ctx context.Context, _ []string) (string, error) {
			<-ctx.Done()
			return "", nil // it was done just then
		}, nil)
		b.queue.send("a")
		synctest.Wait()
		b.stop()
		<-b.ended
		expect(t, "left", b.queue.left(), nil)
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
				b := run(t, ok, func(b *bench) {
					for _, f := range c.filters {
						compiled, err := pattern.Compile([]byte(f), pattern.Pipes)
						if err != nil {
							t.Fatal(err)
						}
						b.filters = append(b.filters, compiled)
					}
				})
				b.queue.send(`{"type":"A"}`, `{"type":"B"}`, "text", "{broken")
				synctest.Wait()
				expect(t, "seen", b.seen(), c.passes)
				expect(t, "left", b.queue.left(), nil)
			})
		})
	}
}

func TestPayloadsStayUnderTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, ok, nil)
		inner := b.invoke
		b.invoke = func(ctx context.Context, arn string, payload []byte) ([]byte, error) {
			if len(payload) > maxPayload {
				t.Errorf("payload of %d bytes", len(payload))
			}
			return inner(ctx, arn, payload)
		}
		var all []string
		for i := range 10 {
			all = append(all, strings.Repeat(fmt.Sprint(i), 1<<20))
		}
		b.queue.send(all...)
		synctest.Wait()
		expect(t, "calls", len(b.invocations()), 2)
		expect(t, "seen", slices.Equal(b.seen(), all), true)
	})
}
