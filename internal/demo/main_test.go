package main

import "testing"

func TestClosingNamesThePage(t *testing.T) {
	const page = "http://127.0.0.1:4515/"
	for name, c := range map[string]struct {
		isTerminal, keep bool
		want             string
	}{
		"no terminal":          {false, false, ""},
		"a terminal":           {true, false, "\nThe page of this run was http://127.0.0.1:4515/ and has ended with it. To look around: make demo KEEP=1"},
		"a terminal, kept up":  {true, true, "\nThe run stays up: open http://127.0.0.1:4515/ to see it. Ctrl-C ends it."},
		"no terminal, kept up": {false, true, "\nThe run stays up: open http://127.0.0.1:4515/ to see it. Ctrl-C ends it."},
	} {
		if got := closing(page, c.isTerminal, c.keep); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
