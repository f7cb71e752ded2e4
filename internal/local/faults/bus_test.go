package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/eventbus"
)

// startBus starts an endpoint of EventBridge that accepts every entry; accepted returns the details of the entries.
func startBus(t *testing.T, i *Injector) (client *eventbridge.Client, accepted func() []string) {
	var mu sync.Mutex
	var details []string
	server := httptest.NewServer(i.Bus(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct{ Entries []entry }
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Errorf("the request could not be read: %v", err)
		}
		var response struct {
			FailedEntryCount int
			Entries          []map[string]string
		}
		mu.Lock()
		defer mu.Unlock()
		for _, e := range request.Entries {
			details = append(details, e.Detail)
			response.Entries = append(response.Entries, map[string]string{"EventId": "accepted " + e.Detail})
		}
		_ = json.NewEncoder(w).Encode(response)
	})))
	t.Cleanup(server.Close)
	c := cloud.New("eu-west-1")
	c.SetEndpoint(cloud.EventBridge, server.URL)
	return eventbridge.New(c.EventBridge().Options(), func(o *eventbridge.Options) {
			o.Retryer, o.HTTPClient = aws.NopRetryer{}, server.Client()
		}), func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(details)
		}
}

func detail(id string) string { return fmt.Sprintf(`{"id":%q}`, id) }

func entries(ids ...string) *eventbridge.PutEventsInput {
	in := &eventbridge.PutEventsInput{}
	for _, id := range ids {
		in.Entries = append(in.Entries, types.PutEventsRequestEntry{Source: aws.String("orders"), DetailType: aws.String("X"), Detail: aws.String(detail(id))})
	}
	return in
}

func TestPartialPutEvents(t *testing.T) {
	for name, c := range map[string]struct{ put, refused []string }{
		"the first":  {[]string{"a", "b", "c"}, []string{"a"}},
		"the middle": {[]string{"a", "b", "c"}, []string{"b"}},
		"some":       {[]string{"a", "b", "c", "d"}, []string{"b", "d"}},
		"all":        {[]string{"a", "b"}, []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			var steps []Step
			for _, id := range c.refused {
				steps = append(steps, Step{Point: BusPartial, Key: id})
			}
			i, _ := scripted(steps...)
			client, accepted := startBus(t, i)
			out, err := client.PutEvents(t.Context(), entries(c.put...))
			if err != nil {
				t.Fatal(err)
			}
			if int(out.FailedEntryCount) != len(c.refused) || len(out.Entries) != len(c.put) {
				t.Fatalf("%d of %d failed", out.FailedEntryCount, len(out.Entries))
			}
			var want []string
			for n, id := range c.put {
				result := out.Entries[n]
				if code := aws.ToString(result.ErrorCode); slices.Contains(c.refused, id) {
					if code != "InternalFailure" && code != "ThrottlingException" || result.EventId != nil {
						t.Errorf("%s: %q, %q", id, code, aws.ToString(result.EventId))
					}
					continue
				}
				want = append(want, detail(id))
				if aws.ToString(result.EventId) != "accepted "+detail(id) {
					t.Errorf("%s got the answer %q", id, aws.ToString(result.EventId))
				}
			}
			if !slices.Equal(accepted(), want) {
				t.Errorf("accepted %q, want %q", accepted(), want)
			}
		})
	}
}

func TestPutEventsTimeout(t *testing.T) {
	i, fired := scripted(Step{Point: BusTimeoutAfter, Key: "b"})
	client, accepted := startBus(t, i)
	if _, err := client.PutEvents(t.Context(), entries("a", "b")); err == nil || codeOf(err) != "" {
		t.Errorf("the response arrived: %v", err)
	}
	if !slices.Equal(accepted(), []string{detail("a"), detail("b")}) || !slices.Equal(fired.all()[0].EventIDs, []string{"a", "b"}) {
		t.Errorf("accepted %q; fired %+v", accepted(), fired.all())
	}
	if _, err := client.PutEvents(t.Context(), entries("a", "b")); err != nil || len(accepted()) != 4 {
		t.Errorf("the second attempt: %v, accepted %q", err, accepted())
	}
}

func TestPutEventsAfterHeal(t *testing.T) {
	i, _ := injecting(BusPartial, BusTimeoutAfter)
	i.Heal()
	client, accepted := startBus(t, i)
	if out, err := client.PutEvents(t.Context(), entries("a")); err != nil || out.FailedEntryCount != 0 || len(accepted()) != 1 {
		t.Errorf("%v, accepted %q", err, accepted())
	}
}

func TestTargets(t *testing.T) {
	attempt := func(queue, id string) eventbus.Attempt {
		return eventbus.Attempt{
			RuleARN: "arn:aws:events:eu-west-1:000000000000:rule/Bus/Rule", QueueARN: "arn:aws:sqs:eu-west-1:000000000000:" + queue,
			Event: json.RawMessage(`{"detail":` + detail(id) + `}`),
		}
	}
	// try makes one attempt and returns how often the target was called.
	try := func(around eventbus.Around, a eventbus.Attempt) (calls int, err error) {
		err = around(context.Background(), a, func(context.Context) error { calls++; return nil })
		return calls, err
	}
	t.Run("twice", func(t *testing.T) {
		i, fired := injecting(BusDuplicate)
		if calls, err := try(i.Targets(), attempt("Queue", "a")); calls != 2 || err != nil {
			t.Errorf("called %d times: %v", calls, err)
		}
		if got := fired.list(); !slices.Equal(got, []string{"bus.duplicate | a @ Queue | 1"}) {
			t.Errorf("fired %q", got)
		}
	})
	t.Run("a failure is not repeated", func(t *testing.T) {
		i, _ := injecting(BusDuplicate)
		calls := 0
		err := i.Targets()(t.Context(), attempt("Queue", "a"), func(context.Context) error { calls++; return errDenied })
		if calls != 1 || !errors.Is(err, errDenied) {
			t.Errorf("called %d times: %v", calls, err)
		}
	})
	t.Run("no permission", func(t *testing.T) {
		i, _ := scripted(Step{Point: BusNoPermission, Key: "a"})
		around := i.Targets()
		if calls, err := try(around, attempt("Queue", "a")); calls != 0 || !errors.Is(err, eventbus.ErrNoPermission) {
			t.Errorf("called %d times: %v", calls, err)
		}
		if calls, err := try(around, attempt("Queue", "b")); calls != 1 || err != nil {
			t.Errorf("another event: called %d times: %v", calls, err)
		}
	})
	t.Run("denied for a while", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			i, _ := scripted(Step{Point: BusDenyTarget, Key: "a"})
			around := i.Targets()
			for n, c := range []struct {
				queue, id string
				calls     int
			}{{"Queue", "a", 0}, {"Queue", "b", 0}, {"Other", "b", 1}} {
				calls, err := try(around, attempt(c.queue, c.id))
				if calls != c.calls || (err != nil) != (c.calls == 0) || errors.Is(err, eventbus.ErrNoPermission) {
					t.Errorf("attempt %d: called %d times: %v", n, calls, err)
				}
			}
			time.Sleep(stopFor)
			if calls, err := try(around, attempt("Queue", "a")); calls != 1 || err != nil {
				t.Errorf("later: called %d times: %v", calls, err)
			}
		})
	})
	t.Run("healing ends the denial", func(t *testing.T) {
		i, _ := injecting(BusDenyTarget)
		around := i.Targets()
		_, _ = try(around, attempt("Queue", "a"))
		i.Heal()
		if calls, err := try(around, attempt("Queue", "a")); calls != 1 || err != nil {
			t.Errorf("called %d times: %v", calls, err)
		}
	})
}
