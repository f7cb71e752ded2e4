package terminal

import (
	"fmt"
	"strings"
	"testing"
)

// The title of the window, a line of its own, a color, the direction of writing, a byte that is no character.
const hostile = "e-1\x1b]0;x\x07\u009b31m\u202e\xff"

const shown = `e-1\x1b]0;x\x07\x9b31m\u202e\xff`

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"Größe 10 €":      "Größe 10 €",
		hostile:           shown,
		"one\ntwo\tthree": `one\ntwo    three`,
	} {
		if got := Visible(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

func TestWriterKeepsLinesAndNothingElse(t *testing.T) {
	var out strings.Builder
	n, err := fmt.Fprintf(Writer(&out), "outbox: %s\r\n%s\n", hostile, "next")
	if want := "outbox: " + shown + "\\x0d\nnext\n"; err != nil || out.String() != want {
		t.Errorf("it wrote %q (%v), want %q", out.String(), err, want)
	}
	if want := len("outbox: \r\nnext\n") + len(hostile); n != want {
		t.Errorf("it took %d bytes, want all %d", n, want)
	}
}
