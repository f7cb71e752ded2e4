// Package terminal shows text of others on a terminal, which takes some characters for commands.
package terminal

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns the text with everything that a terminal would obey instead of show written as an escape: what
// a function logs, a template names or an event holds must not move the cursor, change the title or pass for another line.
func Visible(text string) string {
	if !strings.ContainsFunc(text, obeyed) {
		return text
	}
	var b strings.Builder
	for i, size := 0, 0; i < len(text); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\t':
			b.WriteString("    ") // Go's stack traces are indented by it
		case r == '\n':
			b.WriteString(`\n`)
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r <= 0x9f && obeyed(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		case obeyed(r) && r != utf8.RuneError:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// obeyed reports whether a terminal may take the character for a command: control characters, of which it knows
// those from 0x80 to 0x9f too, what turns the direction of writing, and bytes that are no characters.
func obeyed(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError
}

// Writer returns a writer that makes what is written visible, but for the ends of lines. Each call must write whole
// characters, as those of fmt do.
func Writer(w io.Writer) io.Writer { return writer{w} }

type writer struct{ io.Writer }

// Write implements io.Writer.
func (w writer) Write(text []byte) (int, error) {
	lines := strings.Split(string(text), "\n")
	for i := range lines {
		lines[i] = Visible(lines[i])
	}
	if _, err := io.WriteString(w.Writer, strings.Join(lines, "\n")); err != nil {
		return 0, err
	}
	return len(text), nil
}

// VisibleJSON escapes, within encoded JSON, what encoding/json leaves as it is.
func VisibleJSON(encoded []byte) []byte {
	if !strings.ContainsFunc(string(encoded), obeyed) {
		return encoded
	}
	var b strings.Builder
	for _, r := range string(encoded) {
		if obeyed(r) && r != utf8.RuneError {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return []byte(b.String())
}
