package eventbus

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"go.etcd.io/bbolt"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

const (
	archiveARN = "arn:aws:events:eu-west-1:000000000000:archive/all"
	busARN     = "arn:aws:events:eu-west-1:000000000000:event-bus/Orders"
)

// listenWithArchive starts a service with two rules and an archive of the orders. The queues accept everything; the
// hops tell what they got.
func listenWithArchive(t *testing.T, path string) (a *runningService, got func(queue string) []map[string]any) {
	t.Helper()
	a = listen(t, path,
		ruleWith(map[string]any{"Name": "one"}),
		ruleWith(map[string]any{"Name": "two", "Targets": []any{map[string]any{"Id": "T", "Arn": queueARN + "2"}}}))
	a.provision(t, "AWS::Events::Archive", "all", map[string]any{
		"SourceArn": busARN, "RetentionDays": 7, "Description": "orders", "EventPattern": map[string]any{"source": []any{"orders"}},
	})
	sent := make(chan struct {
		arn  string
		body string
	}, 100_000)
	a.dispatcher.sender = senderFunc(func(_ context.Context, arn string, m message) error {
		sent <- struct {
			arn  string
			body string
		}{arn, m.body}
		return nil
	})
	all := map[string][]map[string]any{}
	return a, func(queue string) []map[string]any {
		for len(sent) > 0 {
			s := <-sent
			var event map[string]any
			if err := json.Unmarshal([]byte(s.body), &event); err != nil {
				t.Fatal(err)
			}
			all[s.arn] = append(all[s.arn], event)
		}
		return all[queue]
	}
}

// work runs the service until stop is called.
func (a *runningService) work(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// putAt puts an order with a time.
func (a *runningService) putAt(t *testing.T, id string, at time.Time) {
	t.Helper()
	e := order(id)
	e.Time = &at
	a.put(t, e)
}

func (a *runningService) startReplay(t *testing.T, name string, from, to time.Time, rules ...string) error {
	t.Helper()
	_, err := a.client.StartReplay(t.Context(), &eventbridge.StartReplayInput{
		ReplayName: &name, EventSourceArn: aws.String(archiveARN), EventStartTime: &from, EventEndTime: &to,
		Destination: &types.ReplayDestination{Arn: aws.String(busARN), FilterArns: rules},
	})
	return err
}

func (a *runningService) awaitReplay(t *testing.T, name string, want types.ReplayState) *eventbridge.DescribeReplayOutput {
	t.Helper()
	var out *eventbridge.DescribeReplayOutput
	eventually(t, "replay "+name+" is "+string(want), func() bool {
		var err error
		out, err = a.client.DescribeReplay(t.Context(), &eventbridge.DescribeReplayInput{ReplayName: &name})
		return err == nil && out.State == want
	})
	return out
}

func TestReplay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	a, _ := listenWithArchive(t, path)
	stop := a.work(t)
	begin := time.Now().Add(-time.Hour).Truncate(time.Second)
	for i := range 5 {
		a.putAt(t, fmt.Sprint(i), begin.Add(time.Duration(i)*time.Minute))
	}
	other := order("other")
	other.Source = aws.String("payments")
	a.put(t, other)
	for range 10 { // two rules
		if h := <-a.hops; h.Outcome != hop.OK {
			t.Fatalf("hop %+v", h)
		}
	}
	d, err := a.client.DescribeArchive(t.Context(), &eventbridge.DescribeArchiveInput{ArchiveName: aws.String("all")})
	if err != nil || d.EventCount != 5 || d.SizeBytes == 0 || *d.ArchiveArn != archiveARN || *d.EventSourceArn != busARN || *d.RetentionDays != 7 ||
		d.State != types.ArchiveStateEnabled || *d.EventPattern != `{"source":["orders"]}` || *d.Description != "orders" || d.CreationTime == nil {
		t.Errorf("archive %+v, %v", d, err)
	}
	stop()
	a.Close()
	a.db.Close()

	// Another run has the events; the replay goes to one rule, and the end of its time is exclusive.
	a, got := listenWithArchive(t, path)
	defer a.work(t)()
	rule := "arn:aws:events:eu-west-1:000000000000:rule/Orders/two"
	if err := a.startReplay(t, "again", begin.Add(time.Minute), begin.Add(4*time.Minute), rule); err != nil {
		t.Fatal(err)
	}
	out := a.awaitReplay(t, "again", types.ReplayStateCompleted)
	for range 3 {
		if h := <-a.hops; h.Outcome != hop.OK || h.Target != queueARN+"2" {
			t.Errorf("hop %+v", h)
		}
	}
	var ids []string
	for _, e := range got(queueARN + "2") {
		detail, _ := e["detail"].(map[string]any)
		ids = append(ids, fmt.Sprint(detail["id"]))
		if e["replay-name"] != "again" || e["source"] != "orders" || e["version"] != "0" {
			t.Errorf("event %v", e)
		}
	}
	slices.Sort(ids)
	expect(t, "replayed", strings.Join(ids, " "), "1 2 3")
	expect(t, "to the other rule", len(got(queueARN)), 0)
	if !out.EventLastReplayedTime.Equal(begin.Add(3*time.Minute)) || out.ReplayEndTime == nil || !out.EventStartTime.Equal(begin.Add(time.Minute)) ||
		!slices.Equal(out.Destination.FilterArns, []string{rule}) {
		t.Errorf("replay %+v", out)
	}
	replays, err := a.client.ListReplays(t.Context(), &eventbridge.ListReplaysInput{State: types.ReplayStateCompleted})
	if err != nil || len(replays.Replays) != 1 || *replays.Replays[0].ReplayName != "again" {
		t.Errorf("replays %+v, %v", replays, err)
	}
	archives, err := a.client.ListArchives(t.Context(), &eventbridge.ListArchivesInput{EventSourceArn: aws.String(busARN)})
	if err != nil || len(archives.Archives) != 1 || archives.Archives[0].EventCount != 5 {
		t.Errorf("archives %+v, %v: what is replayed is not archived again", archives, err)
	}
}

func TestReplayRefused(t *testing.T) {
	a, _ := listenWithArchive(t, filepath.Join(t.TempDir(), "j.db"))
	now := time.Now()
	if err := a.startReplay(t, "first", now.Add(-time.Hour), now); err != nil {
		t.Fatal(err)
	}
	expect(t, "name taken", code(a.startReplay(t, "first", now.Add(-time.Hour), now)), "ResourceAlreadyExistsException")
	expect(t, "end before begin", code(a.startReplay(t, "x", now, now.Add(-time.Hour))), "ValidationException")
	expect(t, "name", code(a.startReplay(t, "a b", now.Add(-time.Hour), now)), "ValidationException")
	expect(t, "rule", code(a.startReplay(t, "x", now.Add(-time.Hour), now, "arn:aws:events:eu-west-1:000000000000:rule/Orders/none")), "ResourceNotFoundException")
	_, err := a.client.StartReplay(t.Context(), &eventbridge.StartReplayInput{
		ReplayName: aws.String("x"), EventSourceArn: aws.String(archiveARN), EventStartTime: &now, EventEndTime: aws.Time(now.Add(time.Hour)),
		Destination: &types.ReplayDestination{Arn: aws.String("arn:aws:events:eu-west-1:000000000000:event-bus/default")},
	})
	expect(t, "another bus", code(err), "ValidationException")
	_, err = a.client.DescribeReplay(t.Context(), &eventbridge.DescribeReplayInput{ReplayName: aws.String("x")})
	expect(t, "unknown replay", code(err), "ResourceNotFoundException")
	_, err = a.client.DescribeArchive(t.Context(), &eventbridge.DescribeArchiveInput{ArchiveName: aws.String("x")})
	expect(t, "unknown archive", code(err), "ResourceNotFoundException")
}

// A replay that was started and not run, as after a kill, runs in the next run; one that was canceled sends nothing.
func TestReplayOverRestartAndCancel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	a, _ := listenWithArchive(t, path)
	now := time.Now()
	const events = 2*replayChunk + 1
	for from := 0; from < events; from += maxEntries {
		var entries []types.PutEventsRequestEntry
		for i := from; i < min(from+maxEntries, events); i++ {
			entries = append(entries, order(fmt.Sprint(i)))
		}
		a.put(t, entries...)
	}
	if err := a.startReplay(t, "cancelled", now.Add(-time.Hour), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	out, err := a.client.CancelReplay(t.Context(), &eventbridge.CancelReplayInput{ReplayName: aws.String("cancelled")})
	if err != nil || out.State != types.ReplayStateCancelling {
		t.Errorf("%+v, %v", out, err)
	}
	if err := a.startReplay(t, "continued", now.Add(-time.Hour), now.Add(time.Hour), "arn:aws:events:eu-west-1:000000000000:rule/Orders/two"); err != nil {
		t.Fatal(err)
	}
	a.Close()
	a.db.Close()

	a, got := listenWithArchive(t, path)
	stop := a.work(t)
	a.awaitReplay(t, "cancelled", types.ReplayStateCancelled)
	a.awaitReplay(t, "continued", types.ReplayStateCompleted)
	replayed := map[string]int{}
	eventually(t, "all events are sent", func() bool {
		clear(replayed)
		for _, e := range got(queueARN + "2") {
			if e["replay-name"] != nil {
				replayed[fmt.Sprint(e["replay-name"], e["detail"].(map[string]any)["id"])]++
			}
		}
		return len(replayed) >= events
	})
	stop()
	expect(t, "events", len(replayed), events)
	for name, n := range replayed {
		if n != 1 || !strings.HasPrefix(name, "continued") {
			t.Errorf("%s was sent %d times", name, n)
		}
	}
	_, err = a.client.CancelReplay(t.Context(), &eventbridge.CancelReplayInput{ReplayName: aws.String("continued")})
	expect(t, "code for one that has ended", code(err), "IllegalStatusException")
}

// What PutEvents has acknowledged is in the archive, even after a kill -9; what is older than the retention is not.
func TestArchiveOnDiskAndRetention(t *testing.T) {
	a, _ := listenWithArchive(t, filepath.Join(t.TempDir(), "j.db"))
	a.putAt(t, "old", time.Now().AddDate(0, 0, -8))
	a.put(t, order("new"))
	count := func(db *bbolt.DB) (n int) {
		if err := db.View(func(tx *bbolt.Tx) error {
			n = tx.Bucket([]byte("archive all")).Inspect().KeyN
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	expect(t, "events after a kill", count(database(t, copyOf(t, a.db))), 2)
	if err := a.pruneOnce(time.Now()); err != nil {
		t.Fatal(err)
	}
	expect(t, "events that are kept", count(a.db), 1)
}
