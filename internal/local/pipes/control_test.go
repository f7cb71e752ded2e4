package pipes

import (
	"errors"
	"slices"
	"testing"
	"time"
)

const pipeName = "Dev-OutboxPipe"

func (s *tableToBus) describe() Description {
	s.t.Helper()
	d, err := s.pipes.Describe(pipeName)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// holds checks that no further event arrives in a time in which a running pipe reads its stream many times.
func (s *tableToBus) holds(want ...string) {
	s.t.Helper()
	time.Sleep(5 * maxIdle)
	s.aws.mu.Lock()
	defer s.aws.mu.Unlock()
	if got := s.ids(); !slices.Equal(got, want) {
		s.t.Errorf("events %v, want %v", got, want)
	}
}

// A pipe that is stopped delivers nothing, in a later run too, and loses nothing.
func TestStopAndStart(t *testing.T) {
	s := newTableToBus(t)
	end := s.run(`{}`)
	s.put("1", nil)
	s.aws.await(t, "the first event", func() bool { return s.delivered() == 1 })
	if err := s.pipes.Stop(t.Context(), pipeName); err != nil {
		t.Fatal(err)
	}
	if d := s.describe(); d.CurrentState != Stopped || d.DesiredState != Stopped || d.StateReason != "User initiated" {
		t.Errorf("stopped: %+v", d)
	}
	s.put("2", nil)
	s.holds("1")
	end()

	end = s.run(`{}`)
	if d := s.describe(); d.CurrentState != Stopped {
		t.Errorf("in the next run: %+v", d)
	}
	s.holds("1")
	if err := s.pipes.Start(t.Context(), pipeName); err != nil {
		t.Fatal(err)
	}
	s.aws.await(t, "the second event", func() bool { return s.delivered() == 2 })
	if d := s.describe(); d.CurrentState != Running || d.StateReason != "" || d.Source != s.table.GetAtt["StreamArn"] {
		t.Errorf("started: %+v", d)
	}
	end()
	if got := s.ids(); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("events %v, want each once", got)
	}
}

// Where the stream keeps nothing for a stopped pipe, what came meanwhile is gone, and what comes from then on is delivered.
func TestWhatLeftTheStreamWhileThePipeWasStopped(t *testing.T) {
	s := newTableToBus(t)
	s.trim = true
	end := s.run(`{}`)
	s.put("1", nil)
	s.aws.await(t, "the first event", func() bool { return s.delivered() == 1 })
	if err := s.pipes.Stop(t.Context(), pipeName); err != nil {
		t.Fatal(err)
	}
	s.put("2", nil)
	if err := s.pipes.Start(t.Context(), pipeName); err != nil {
		t.Fatal(err)
	}
	s.put("3", nil)
	s.aws.await(t, "the third event", func() bool { return s.delivered() == 2 })
	end()
	if got := s.ids(); !slices.Equal(got, []string{"1", "3"}) {
		t.Errorf("events %v, want those before the stop and after the start", got)
	}
}

func TestSetFilter(t *testing.T) {
	s := newTableToBus(t)
	end := s.run(`{}`)
	defer func() { end() }()
	none := []string{`{"eventName": ["NONE"]}`}
	if err := s.pipes.SetFilter(t.Context(), pipeName, none); err != nil {
		t.Fatal(err)
	}
	s.put("1", nil)
	s.holds()
	end()
	end = s.run(`{}`)
	if d := s.describe(); !slices.Equal(d.Filters, none) || d.CurrentState != Running {
		t.Errorf("in the next run: %+v", d)
	}
	if err := s.pipes.SetFilter(t.Context(), pipeName, []string{`{"eventName": [}`}); err == nil {
		t.Error("a pattern that is not JSON is accepted")
	}
	if err := s.pipes.SetFilter(t.Context(), pipeName, nil); err != nil {
		t.Fatal(err)
	}
	s.put("2", nil)
	s.aws.await(t, "the second event", func() bool { return s.delivered() == 1 })
	if got := s.ids(); !slices.Equal(got, []string{"2"}) {
		t.Errorf("events %v, want only the one that a filter let through", got)
	}
}

// A template that says something else about the pipe takes the place of what was changed.
func TestTemplateWins(t *testing.T) {
	db := openDB(t)
	running := func(patch string) State {
		s := New(Config{Cloud: localCloud(), DB: db})
		if _, err := s.Provisions()["AWS::Pipes::Pipe"](t.Context(), pipeResource(t, patch)); err != nil {
			t.Fatal(err)
		}
		state := s.List()[0].CurrentState
		if err := s.Stop(t.Context(), pipeName); err != nil {
			t.Fatal(err)
		}
		return state
	}
	if got := []State{running(`{}`), running(`{}`), running(`{"Description": "new"}`)}; !slices.Equal(got, []State{Running, Stopped, Running}) {
		t.Errorf("states %v", got)
	}
}

// A pipe is as old as the data in which it was made first; with another source it is another pipe.
func TestCreationTimeOutlivesTheRun(t *testing.T) {
	db := openDB(t)
	created := func(patch string) time.Time {
		s := New(Config{Cloud: localCloud(), DB: db})
		if _, err := s.Provisions()["AWS::Pipes::Pipe"](t.Context(), pipeResource(t, patch)); err != nil {
			t.Fatal(err)
		}
		return s.List()[0].Created
	}
	first := created(`{}`)
	if again := created(`{"Description": "new"}`); !again.Equal(first) {
		t.Errorf("it was made at %s, and after a restart at %s", first, again)
	}
	if other := created(`{"Source": "arn:aws:dynamodb:eu-central-1:000000000000:table/other/stream/2026-01-01T00:00:00.000"}`); !other.After(first) {
		t.Errorf("a pipe with another source was made at %s, the one before at %s", other, first)
	}
}

func TestUnknownPipe(t *testing.T) {
	s := New(Config{Cloud: localCloud(), DB: openDB(t)})
	if _, err := s.Describe("x"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
