package transform

import (
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/jsontext"
)

// A Variable returns the value of a variable for an event, and whether the event has one.
type Variable[E any] func(event E) (value any, found bool)

// A Syntax is what a service accepts as variables in a template.
type Syntax[E any] struct {
	// IsVariable reports whether a name between < and > is that of a variable. Everything else is text.
	IsVariable func(name string) bool
	// Compile returns the variable with a name, or an error when there is none.
	Compile func(name string) (Variable[E], error)
	// Verbatim leaves the text of a variable inside a JSON string as it is. Else it is escaped.
	Verbatim bool
}

// A Template is a compiled input template.
type Template[E any] struct {
	segments []segment[E]
	isDoc    bool // it is a JSON object, array or string; else free text
	verbatim bool
}

// A segment is literal text and the variable after it; the last segment has no variable.
type segment[E any] struct {
	literal  string
	variable Variable[E]
	quoted   bool // inside a JSON string
}

// Compile compiles a template.
func Compile[E any](text string, syntax Syntax[E]) (*Template[E], error) {
	t := &Template[E]{verbatim: syntax.Verbatim}
	if trimmed := strings.TrimSpace(text); trimmed != "" {
		t.isDoc = strings.ContainsRune(`{["`, rune(trimmed[0]))
	}
	quoted := false
	for rest := text; ; {
		literal, name, after, found := nextVariable(rest, syntax.IsVariable)
		if t.isDoc {
			quoted = quotedAfter(literal, quoted)
		}
		if !found {
			t.segments = append(t.segments, segment[E]{literal: rest})
			return t, nil
		}
		variable, err := syntax.Compile(name)
		if err != nil {
			return nil, err
		}
		t.segments = append(t.segments, segment[E]{literal: literal, variable: variable, quoted: quoted})
		rest = after
	}
}

// nextVariable splits s at the next variable; every other "<" is text.
func nextVariable(s string, isVariable func(string) bool) (literal, name, after string, found bool) {
	for from := 0; ; {
		open := strings.IndexByte(s[from:], '<')
		if open < 0 {
			return s, "", "", false
		}
		open += from
		inner := s[open+1:]
		end := strings.IndexByte(inner, '>')
		if end >= 0 && isVariable(inner[:end]) {
			return s[:open], inner[:end], inner[end+1:], true
		}
		from = open + 1
	}
}

// quotedAfter reports whether JSON text, which begins inside a string literal if quoted is set, ends inside one.
func quotedAfter(text string, quoted bool) bool {
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		}
	}
	return quoted
}

// IsJSON reports whether the template is a JSON document, and not free text.
func (t *Template[E]) IsJSON() bool { return t.isDoc }

// Render returns the template filled with the values of one event.
func (t *Template[E]) Render(event E) string {
	var out strings.Builder
	for _, p := range t.segments {
		out.WriteString(p.literal)
		if p.variable == nil {
			continue
		}
		value, found := p.variable(event)
		switch {
		case t.isDoc && !p.quoted && found:
			out.WriteString(jsontext.Compact(value))
		case t.isDoc && !p.quoted:
			// AWS documents that the output stays valid JSON, but not the value of a path that does not exist. The empty
			// string is our choice. The outbox does not depend on it: its items have every attribute.
			out.WriteString(`""`)
		case found && p.quoted:
			out.WriteString(t.stringContent(value))
		case found:
			out.WriteString(Text(value))
		}
	}
	return out.String()
}

// stringContent returns a value for use inside a JSON string: text is escaped, unless the syntax leaves it as it is, and
// objects lose their quotes.
// Source: eb-pipes-input-transformation: `{"key": "value"}` will become "{key: value}".
func (t *Template[E]) stringContent(value any) string {
	text, isText := value.(string)
	switch {
	case !isText:
		return strings.ReplaceAll(Text(value), `"`, "")
	case t.verbatim:
		return text
	}
	return strings.TrimSuffix(strings.TrimPrefix(jsontext.Compact(value), `"`), `"`)
}

// Text returns a value for use in free text.
func Text(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	return jsontext.Compact(value)
}
