package operate

import (
	"context"
	"io"
	"testing"
	"time"
)

// TestCtrlCEndsAQuestion: a read of the terminal goes on, and nobody waits for it.
func TestCtrlCEndsAQuestion(t *testing.T) {
	silent, terminal := io.Pipe()
	defer terminal.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	d := NewDialog(silent, io.Discard, false, false)
	d.Done = ctx.Done()
	answered := make(chan bool)
	go func() { answered <- d.Confirms("Go on?") }()
	interrupt()
	select {
	case yes := <-answered:
		if yes {
			t.Error("Ctrl-C is a yes")
		}
	case <-time.After(10 * time.Second):
		t.Error("Ctrl-C is ignored")
	}
}
