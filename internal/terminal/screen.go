package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/x/term"
)

// Width returns how many characters a line of w has, and whether w is a terminal at all.
func Width(w io.Writer) (columns int, ok bool) {
	file, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(file.Fd()) {
		return 0, false
	}
	columns, _, err := term.GetSize(file.Fd())
	if err != nil || columns < 1 {
		return 80, true // what terminals that do not tell have
	}
	return columns, true
}

// What a terminal obeys. Source: ECMA-48, CUP, EL and ED.
const (
	home        = "\x1b[H"
	toEndOfLine = "\x1b[K"
	toEnd       = "\x1b[J"
)

// Redraw shows a text, which must be visible already, in place of all that the terminal shows. Nothing flickers, because
// each line is replaced by the new one.
func Redraw(w io.Writer, text string) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	fmt.Fprint(w, home+strings.Join(lines, toEndOfLine+"\n")+toEndOfLine+"\n"+toEnd)
}
