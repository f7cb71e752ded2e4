package pipes

import (
	"fmt"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/streams"
)

// An input is a compiled InputTemplate.
// Source: EventBridge user guide, eb-pipes-input-transformation.
type input struct {
	segments []segment
	isDoc    bool // the template is a JSON object, array or string; else free text
}

// A segment is literal text and the variable after it; the last segment has no variable.
type segment struct {
	literal  string
	variable func(Record, *pipeVariables) (any, bool)
	quoted   bool // inside a JSON string
}

// pipeVariables holds the values of the reserved variables that do not depend on the record.
type pipeVariables struct{ pipeARN, pipeName, sourceARN, targetARN string }

// compileInput compiles a template. Its error names a variable that AWS does not have.
func compileInput(template string) (*input, error) {
	in := &input{}
	if trimmed := strings.TrimSpace(template); trimmed != "" {
		in.isDoc = strings.ContainsRune(`{["`, rune(trimmed[0]))
	}
	quoted := false
	for rest := template; ; {
		literal, name, after, found := nextVariable(rest)
		if in.isDoc {
			quoted = quotedAfter(literal, quoted)
		}
		if !found {
			in.segments = append(in.segments, segment{literal: rest})
			return in, nil
		}
		variable, err := compileVariable(name)
		if err != nil {
			return nil, fmt.Errorf("input template: %w", err)
		}
		in.segments = append(in.segments, segment{literal: literal, variable: variable, quoted: quoted})
		rest = after
	}
}

// nextVariable splits s at the next <$…> or <aws.pipes.…>; every other "<" is text.
func nextVariable(s string) (literal, name, after string, found bool) {
	for from := 0; ; {
		open := strings.IndexByte(s[from:], '<')
		if open < 0 {
			return s, "", "", false
		}
		open += from
		inner := s[open+1:]
		end := strings.IndexByte(inner, '>')
		if end >= 0 && (strings.HasPrefix(inner, "$") || strings.HasPrefix(inner, "aws.pipes.")) {
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

func compileVariable(name string) (func(Record, *pipeVariables) (any, bool), error) {
	if strings.HasPrefix(name, "$") {
		p, err := compilePath(name)
		if err != nil {
			return nil, err
		}
		return func(r Record, _ *pipeVariables) (any, bool) { return p.find(r.Event) }, nil
	}
	fact := func(value func(*pipeVariables) string) func(Record, *pipeVariables) (any, bool) {
		return func(_ Record, f *pipeVariables) (any, bool) { return value(f), true }
	}
	switch name {
	case "aws.pipes.pipe-arn":
		return fact(func(f *pipeVariables) string { return f.pipeARN }), nil
	case "aws.pipes.pipe-name":
		return fact(func(f *pipeVariables) string { return f.pipeName }), nil
	case "aws.pipes.source-arn":
		return fact(func(f *pipeVariables) string { return f.sourceARN }), nil
	case "aws.pipes.target-arn":
		return fact(func(f *pipeVariables) string { return f.targetARN }), nil
	case "aws.pipes.enrichment-arn": // enrichment is not supported
		return fact(func(*pipeVariables) string { return "" }), nil
	case "aws.pipes.event.ingestion-time":
		return fact(func(*pipeVariables) string { return time.Now().UTC().Format(time.RFC3339Nano) }), nil
	case "aws.pipes.event":
		return func(r Record, _ *pipeVariables) (any, bool) { return streams.Compact(r.Event), true }, nil
	case "aws.pipes.event.json":
		return func(r Record, _ *pipeVariables) (any, bool) { return r.Event, true }, nil
	}
	return nil, fmt.Errorf("<%s> is not a variable of pipes", name)
}

// render returns the template filled with the values of one record.
func (in *input) render(r Record, f *pipeVariables) string {
	var out strings.Builder
	for _, p := range in.segments {
		out.WriteString(p.literal)
		if p.variable == nil {
			continue
		}
		value, found := p.variable(r, f)
		switch {
		case in.isDoc && !p.quoted && found:
			out.WriteString(streams.Compact(value))
		case in.isDoc && !p.quoted:
			// AWS documents that the output stays valid JSON, but not the value of a path that does not exist. The empty
			// string is our choice. The outbox does not depend on it: its items have every attribute.
			out.WriteString(`""`)
		case found && p.quoted:
			out.WriteString(asStringContent(value))
		case found:
			out.WriteString(asText(value))
		}
	}
	return out.String()
}

// asStringContent returns a value for use inside a JSON string: text is escaped, and objects lose their quotes.
// Source: eb-pipes-input-transformation: `{"key": "value"}` will become "{key: value}".
func asStringContent(value any) string {
	if _, text := value.(string); !text {
		return strings.ReplaceAll(asText(value), `"`, "")
	}
	return strings.TrimSuffix(strings.TrimPrefix(streams.Compact(value), `"`), `"`)
}

// asText returns a value for use in free text.
func asText(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	return streams.Compact(value)
}
