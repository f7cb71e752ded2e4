package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/pipes"
)

// A memoryStream is a stream with one shard, in memory; its cursors are indices.
type memoryStream struct {
	records []pipes.Record
	page    int // maximum number of records in a read
	reads   int
}

func newMemoryStream(page int, items ...string) *memoryStream {
	s := &memoryStream{page: page}
	for n, item := range items {
		id := fmt.Sprintf("e%d", n+1)
		s.records = append(s.records, pipes.Record{
			SequenceNumber: fmt.Sprintf("%03d", n+1), Key: item, ID: id, Arrival: time.Now(),
			Event: map[string]any{"dynamodb": map[string]any{"NewImage": map[string]any{
				"recordType": map[string]any{"S": "outbox.event"}, "id": map[string]any{"S": id},
			}}},
		})
	}
	return s
}

func (s *memoryStream) Shards(context.Context) ([]pipes.Shard, error) {
	return []pipes.Shard{{ID: "shard"}}, nil
}

func (s *memoryStream) Open(_ context.Context, _, after string) (string, error) {
	return strconv.Itoa(slices.IndexFunc(s.records, func(r pipes.Record) bool { return r.SequenceNumber == after }) + 1), nil
}

func (s *memoryStream) Read(_ context.Context, _, cursor string) (pipes.Page, error) {
	s.reads++
	at, err := strconv.Atoi(cursor)
	if err != nil {
		return pipes.Page{}, fmt.Errorf("cursor %q is none of this stream", cursor)
	}
	end := min(at+s.page, len(s.records))
	return pipes.Page{Records: slices.Clone(s.records[at:end]), Next: strconv.Itoa(end)}, nil
}

// withStreamFaults returns the memory stream with faults.
func withStreamFaults(i *Injector, s *memoryStream) *stream {
	return &stream{Stream: s, Injector: i, pipe: "Pipe", shards: map[string]*shard{}}
}

// read reads n pages as a pipe does and returns the content of each: ids, "-" for none, "!" for an error, after
// which it opens the shard again behind the last record.
func read(t *testing.T, s *stream, n int) string {
	t.Helper()
	var text, cursor, after string
	for range n {
		if cursor == "" {
			var err error
			if cursor, err = s.Open(t.Context(), "shard", after); err != nil {
				t.Fatal(err)
			}
		}
		page, err := s.Read(t.Context(), "shard", cursor)
		cursor = page.Next
		switch {
		case errors.Is(err, errExpired):
			text += "! "
		case err != nil:
			t.Fatal(err)
		case len(page.Records) == 0:
			text += "- "
		default:
			for at, r := range page.Records {
				if at > 0 {
					text += ","
				}
				text += r.ID
				after = r.SequenceNumber
			}
			text += " "
		}
	}
	return text
}

func TestStream(t *testing.T) {
	for name, c := range map[string]struct {
		steps []Step
		want  string
	}{
		"nothing":                         {nil, "e1,e2,e3 e4 - - - "},
		"empty first":                     {[]Step{{Point: StreamEmpty, Key: "e1"}}, "- e1,e2,e3 e4 - - "},
		"empty inside a page":             {[]Step{{Point: StreamEmpty, Key: "e3"}}, "e1,e2 - e3 e4 - "},
		"expired first":                   {[]Step{{Point: StreamExpiredIterator, Key: "e1"}}, "! e1,e2,e3 e4 - - "},
		"expired inside a page":           {[]Step{{Point: StreamExpiredIterator, Key: "e2"}}, "e1 ! e2,e3,e4 - - "},
		"a whole page again":              {[]Step{{Point: StreamRedeliver, Key: "e1"}}, "e1,e2,e3 e1,e2,e3 e4 - - "},
		"the end of a page again":         {[]Step{{Point: StreamRedeliver, Key: "e2"}}, "e1,e2,e3 e2,e3 e4 - - "},
		"the last page again":             {[]Step{{Point: StreamRedeliver, Key: "e4"}}, "e1,e2,e3 e4 e4 - - "},
		"again, then empty":               {[]Step{{Point: StreamRedeliver, Key: "e1"}, {Point: StreamEmpty, Key: "e3"}}, "e1,e2 - e1,e2,e3 e4 - "},
		"again, and the iterator is lost": {[]Step{{Point: StreamRedeliver, Key: "e1"}, {Point: StreamExpiredIterator, Key: "e2"}}, "e1 ! e2,e3,e4 - - "},
	} {
		t.Run(name, func(t *testing.T) {
			i, fired := scripted(c.steps...)
			if got := read(t, withStreamFaults(i, newMemoryStream(3, "a", "b", "c", "d")), 5); got != c.want {
				t.Errorf("read %q, want %q", got, c.want)
			}
			for n, f := range fired.all() {
				if f.Key != c.steps[n].Key+" @ Pipe" {
					t.Errorf("fired %+v", f)
				}
			}
			if len(fired.all()) != len(c.steps) {
				t.Errorf("fired %q", fired.list())
			}
		})
	}
}

// TestStreamReplay checks that the records which a fault hits do not depend on the pages they are in.
func TestStreamReplay(t *testing.T) {
	run := func(page int) []string {
		i, fired := newInjector(&Plan{Seed: 3, Rates: map[Point]float64{
			StreamEmpty: 0.2, StreamExpiredIterator: 0.2, StreamRedeliver: 0.2,
		}})
		read(t, withStreamFaults(i, newMemoryStream(page, slices.Repeat([]string{"a", "b", "c"}, 20)...)), 500)
		// A record that is read again, because the iterator before it was lost, is checked once more.
		return slices.DeleteFunc(fired.list(), func(line string) bool { return line[len(line)-1] != '1' })
	}
	if one, many := run(1), run(100); !slices.Equal(one, many) || len(one) < 15 {
		t.Errorf("one record a page:\n%q\nmany:\n%q", one, many)
	}
}

func TestStreamPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, _ := scripted(Step{Point: StreamPause, Key: "e3"})
		s := withStreamFaults(i, newMemoryStream(3, "a", "b", "c", "d"))
		if got := read(t, s, 3); got != "e1,e2 - - " {
			t.Errorf("read %q", got)
		}
		page, _ := s.Read(t.Context(), "shard", heldCursor)
		time.Sleep(stopFor)
		if page, _ = s.Read(t.Context(), "shard", page.Next); len(page.Records) != 1 || page.Records[0].ID != "e3" {
			t.Errorf("after the pause: %+v", page)
		}
	})
	i, _ := injecting(StreamPause)
	s := withStreamFaults(i, newMemoryStream(3, "a", "b", "c", "d"))
	if got := read(t, s, 2); got != "- - " {
		t.Errorf("read %q", got)
	}
	i.Heal()
	if page, err := s.Read(t.Context(), "shard", heldCursor); err != nil || len(page.Records) != 3 {
		t.Errorf("after the heal: %+v, %v", page, err)
	}
}

// A pipeRecorder is the target and the checkpoints of a pipe, in memory.
type pipeRecorder struct {
	accepted   []pipes.Record
	checkpoint string
	refuse     string // id of a record that is refused
}

func (rec *pipeRecorder) Deliver(_ context.Context, records []pipes.Record) []error {
	errs := make([]error, len(records))
	for n, r := range records {
		if r.ID == rec.refuse {
			errs[n] = pipes.ErrInternal
			continue
		}
		rec.accepted = append(rec.accepted, r)
	}
	if errors.Join(errs...) == nil {
		return nil
	}
	return errs
}

func (rec *pipeRecorder) Load() (map[string]pipes.Checkpoint, error) {
	return map[string]pipes.Checkpoint{"shard": {After: rec.checkpoint}}, nil
}

func (rec *pipeRecorder) Save(checkpoints map[string]pipes.Checkpoint) error {
	rec.checkpoint = checkpoints["shard"].After
	return nil
}

func (rec *pipeRecorder) ids() (ids []string) {
	for _, r := range rec.accepted {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestReorder(t *testing.T) {
	rec := &pipeRecorder{refuse: "e2"}
	i, fired := injecting(StreamReorder)
	p := &pipes.Pipe{Settings: pipes.Settings{Name: "Pipe"}, Target: rec}
	i.Pipe(cloud.New("eu-west-1"))(p)
	errs := p.Target.Deliver(t.Context(), newMemoryStream(10, "a", "a", "b", "a").records)
	// e3, of another item, moves before e2; then e2 and e4 are of one item and stay.
	if got := rec.ids(); !slices.Equal(got, []string{"e1", "e3", "e4"}) {
		t.Errorf("delivered %v", got)
	}
	if len(errs) != 4 || errs[0] != nil || errs[1] == nil || errs[2] != nil || errs[3] != nil {
		t.Errorf("errors %v, want one for e2", errs)
	}
	if got := fired.list(); !slices.Equal(got, []string{"stream.reorder | e3 @ Pipe | 1"}) {
		t.Errorf("fired %q", got)
	}
}

func TestRestart(t *testing.T) {
	rec := &pipeRecorder{}
	i, fired := scripted(Step{Point: PipeRestart, Key: "e2"})
	p := &pipes.Pipe{Settings: pipes.Settings{Name: "Pipe"}, Target: rec, Checkpoints: rec}
	i.Pipe(cloud.New("eu-west-1"))(p)
	save := func(after string) error {
		return p.Checkpoints.Save(map[string]pipes.Checkpoint{"shard": {After: after}})
	}
	records := newMemoryStream(10, "a", "b", "c").records
	p.Target.Deliver(t.Context(), records[:1])
	if err := save("001"); err != nil {
		t.Fatal(err)
	}
	p.Target.Deliver(t.Context(), records[1:])
	if err := save("003"); !errors.Is(err, pipes.ErrRestart) || rec.checkpoint != "001" {
		t.Errorf("%v, checkpoint %s; want a restart, and no checkpoint stored", err, rec.checkpoint)
	}
	if err := save("003"); err != nil || rec.checkpoint != "003" {
		t.Errorf("%v, checkpoint %s", err, rec.checkpoint)
	}
	if got := fired.list(); !slices.Equal(got, []string{"pipe.restart | e2 @ Pipe | 1"}) {
		t.Errorf("fired %q", got)
	}
}

// TestNoRestartAfterRefusal checks that a refused record causes no restart: a restart happens after the target
// accepted the record and before its checkpoint is stored.
func TestNoRestartAfterRefusal(t *testing.T) {
	rec := &pipeRecorder{refuse: "e2"}
	i, fired := scripted(Step{Point: PipeRestart, Key: "e2"})
	p := &pipes.Pipe{Settings: pipes.Settings{Name: "Pipe"}, Target: rec, Checkpoints: rec}
	i.Pipe(cloud.New("eu-west-1"))(p)
	p.Target.Deliver(t.Context(), newMemoryStream(10, "a", "b").records)
	if len(fired.all()) > 0 {
		t.Errorf("fired %q", fired.list())
	}
}

// TestPipe checks that a pipe with all its faults at once delivers every record, and that the first deliveries of the
// records of one item are in order.
func TestPipe(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			i, fired := newInjector(&Plan{Seed: seed, Rates: map[Point]float64{
				StreamEmpty: 0.1, StreamExpiredIterator: 0.1, StreamRedeliver: 0.1, StreamPause: 0.05, StreamReorder: 0.2, PipeRestart: 0.1,
			}})
			rec := &pipeRecorder{}
			source := newMemoryStream(7, slices.Repeat([]string{"a", "b", "c", "a"}, 10)...)
			p := &pipes.Pipe{
				Settings: pipes.Settings{Name: "Pipe", BatchSize: 5, Parallel: 1, MaxRetries: -1},
				Stream:   source, Target: rec, Checkpoints: rec,
			}
			i.Pipe(cloud.New("eu-west-1"))(p)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for ctx.Err() == nil {
				if err := p.Run(ctx); err != nil && !errors.Is(err, pipes.ErrRestart) {
					t.Fatal(err)
				}
			}
			if rec.checkpoint != "040" || len(fired.all()) == 0 {
				t.Errorf("seed %d: checkpoint %s after %d faults", seed, rec.checkpoint, len(fired.all()))
			}
			first := map[string]string{} // the newest record of an item so far
			seen := map[string]bool{}
			for _, r := range rec.accepted {
				if !seen[r.ID] && r.SequenceNumber < first[r.Key] {
					t.Errorf("seed %d: %s came first after %s", seed, r.ID, first[r.Key])
				}
				seen[r.ID] = true
				first[r.Key] = max(first[r.Key], r.SequenceNumber)
			}
			if len(seen) != 40 {
				t.Errorf("seed %d: %d records were delivered, want 40", seed, len(seen))
			}
		})
	}
}
