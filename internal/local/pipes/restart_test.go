package pipes

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// restartingCheckpoints returns ErrRestart from the first save of a checkpoint.
type restartingCheckpoints struct {
	Checkpoints
	saves int
}

func (r *restartingCheckpoints) Save(checkpoints map[string]Checkpoint) error {
	if r.saves++; r.saves == 2 { // the first stores the start of the pipe
		return ErrRestart
	}
	return r.Checkpoints.Save(checkpoints)
}

// TestRestart checks that records which were accepted, and whose checkpoint was not stored, are delivered again.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(3)
		p := f.pipe(Settings{BatchSize: 10}, &fakes{fixture: f})
		checkpoints := &restartingCheckpoints{Checkpoints: p.Checkpoints}
		p.Checkpoints = checkpoints
		ctx, cancel := contextFor(time.Minute)
		defer cancel()
		if err := (&managed{pipe: p}).run(ctx); err != nil {
			t.Fatal(err)
		}
		if want := []string{"0001", "0002", "0003", "0001", "0002", "0003"}; !slices.Equal(f.accepted, want) || checkpoints.saves < 3 {
			t.Errorf("accepted %v after %d saves", f.accepted, checkpoints.saves)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(1)
		p := f.pipe(Settings{BatchSize: 10}, &fakes{fixture: f, era: -1}) // every call of it fails
		ctx, cancel := contextFor(time.Minute)
		defer cancel()
		if err := (&managed{pipe: p}).run(ctx); !errors.Is(err, errKilled) {
			t.Errorf("any other error ends the run; got %v", err)
		}
	})
}
