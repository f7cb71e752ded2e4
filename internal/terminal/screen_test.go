package terminal

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestWidthOfWhatIsNoTerminal(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, w := range map[string]interface{ Write([]byte) (int, error) }{"a buffer": &bytes.Buffer{}, "a file": file} {
		if columns, ok := Width(w); ok || columns != 0 {
			t.Errorf("%s is taken for a terminal of %d columns", name, columns)
		}
	}
}

// TestRedrawLeavesNothingOfWhatWasThere: a line that has become shorter, and lines that are no longer there.
func TestRedrawLeavesNothingOfWhatWasThere(t *testing.T) {
	s := &screen{}
	Redraw(s, "one long line\ntwo\nthree\n")
	Redraw(s, "one\ntwo\n")
	if got := s.String(); got != "one\ntwo" {
		t.Errorf("the screen shows %q", got)
	}
}

// screen is a terminal that knows what Redraw uses.
type screen struct {
	lines       [][]rune
	row, column int
}

func (s *screen) Write(text []byte) (int, error) {
	for rest := string(text); rest != ""; {
		switch {
		case strings.HasPrefix(rest, home):
			s.row, s.column = 0, 0
			rest = rest[len(home):]
		case strings.HasPrefix(rest, toEndOfLine):
			s.line(s.row)
			s.lines[s.row] = s.lines[s.row][:min(s.column, len(s.lines[s.row]))]
			rest = rest[len(toEndOfLine):]
		case strings.HasPrefix(rest, toEnd):
			s.lines = s.lines[:min(s.row, len(s.lines))]
			rest = rest[len(toEnd):]
		case rest[0] == '\n':
			s.row, s.column = s.row+1, 0
			rest = rest[1:]
		default:
			s.line(s.row)
			s.lines[s.row] = append(s.lines[s.row][:min(s.column, len(s.lines[s.row]))], append([]rune{rune(rest[0])}, s.lines[s.row][min(s.column+1, len(s.lines[s.row])):]...)...)
			s.column++
			rest = rest[1:]
		}
	}
	return len(text), nil
}

func (s *screen) line(n int) {
	for len(s.lines) <= n {
		s.lines = append(s.lines, nil)
	}
}

func (s *screen) String() string {
	var all []string
	for _, line := range s.lines {
		all = append(all, string(line))
	}
	return strings.Join(all, "\n")
}
