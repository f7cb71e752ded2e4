package pipes

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// restarting answers the first save of a position with ErrRestart.
type restarting struct {
	Checkpoints
	saves int
}

func (r *restarting) Save(positions map[string]Position) error {
	if r.saves++; r.saves == 2 { // the first stores where the pipe begins
		return ErrRestart
	}
	return r.Checkpoints.Save(positions)
}

// What was accepted and whose position was not stored comes again.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(3)
		p := w.pipe(Settings{BatchSize: 10}, &seams{world: w})
		checkpoints := &restarting{Checkpoints: p.Checkpoints}
		p.Checkpoints = checkpoints
		ctx, cancel := contextFor(time.Minute)
		defer cancel()
		if err := (&Service{pipes: []*Pipe{p}}).Run(ctx); err != nil {
			t.Fatal(err)
		}
		if want := []string{"0001", "0002", "0003", "0001", "0002", "0003"}; !slices.Equal(w.accepted, want) || checkpoints.saves < 3 {
			t.Errorf("accepted %v after %d saves", w.accepted, checkpoints.saves)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		p := w.pipe(Settings{BatchSize: 10}, &seams{world: w, era: -1}) // every call of it fails
		ctx, cancel := contextFor(time.Minute)
		defer cancel()
		if err := (&Service{pipes: []*Pipe{p}}).Run(ctx); !errors.Is(err, errKilled) {
			t.Errorf("any other error ends the run; got %v", err)
		}
	})
}
