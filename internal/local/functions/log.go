package functions

import (
	"bytes"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	// maxLine is the longest line that is passed on whole, in bytes; a longer one is passed on in parts.
	// Source: CloudWatch Logs user guide, cloudwatch_limits_cwl: a log event had at most 256 KB for long.
	maxLine = 256 << 10
	// maxTail is how much a FunctionError shows of the log, in bytes.
	// Source: Lambda API reference, Invoke, LogResult: the last 4 KB.
	maxTail = 4 << 10
)

// A logWriter cuts what a process writes into lines.
type logWriter struct {
	line func(string) // takes each line that is not empty

	mu      sync.Mutex
	partial []byte // a line whose end has not come yet
	recent  []byte // the last lines
}

// Write implements io.Writer.
func (w *logWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := p; len(rest) > 0; {
		text, after, complete := bytes.Cut(rest, []byte("\n"))
		w.partial, rest = append(w.partial, text...), after
		for len(w.partial) > maxLine {
			w.emit(cut(w.partial, maxLine))
		}
		if complete {
			w.emit(len(w.partial))
		}
	}
	return len(p), nil
}

// flush passes on a last line without an end.
func (w *logWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.emit(len(w.partial))
}

// emit passes on the first n bytes of the partial line.
func (w *logWriter) emit(n int) {
	line := strings.TrimSuffix(string(w.partial[:n]), "\r")
	w.partial = append(w.partial[:0], w.partial[n:]...)
	if line == "" {
		return
	}
	w.recent = append(append(w.recent, line...), '\n')
	if over := len(w.recent) - maxTail; over > 0 {
		w.recent = append(w.recent[:0], w.recent[over:]...)
	}
	w.line(line)
}

// cut returns the largest length up to n that does not end inside a character.
func cut(text []byte, n int) int {
	for i := n; i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			return i
		}
	}
	return n
}

// resetTail discards the lines before an invocation.
func (w *logWriter) resetTail() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recent = w.recent[:0]
}

// tail returns the end of the log since resetTail.
func (w *logWriter) tail() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.TrimSuffix(strings.ToValidUTF8(string(w.recent), ""), "\n")
}
