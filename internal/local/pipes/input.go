package pipes

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// input is a compiled InputTemplate.
// Source: EventBridge user guide, eb-pipes-input-transformation.
type input struct {
	parts []part
	isDoc bool // a JSON object, array or quoted string; else free text
}

// part is a run of literal text and the variable after it; the last part has no variable.
type part struct {
	literal  string
	variable func(Record, *facts) (any, bool)
	quoted   bool // inside a JSON string
}

// facts are the values of the reserved variables that do not depend on the record.
type facts struct{ pipeARN, pipeName, sourceARN, targetARN string }

// compileInput reads a template. Its error names the variable that AWS does not know.
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
			in.parts = append(in.parts, part{literal: rest})
			return in, nil
		}
		variable, err := compileVariable(name)
		if err != nil {
			return nil, fmt.Errorf("input template: %w", err)
		}
		in.parts = append(in.parts, part{literal: literal, variable: variable, quoted: quoted})
		rest = after
	}
}

// nextVariable finds the next <$…> or <aws.pipes.…>; every other "<" is text.
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

// quotedAfter says whether JSON text ends inside a string literal.
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

func compileVariable(name string) (func(Record, *facts) (any, bool), error) {
	if strings.HasPrefix(name, "$") {
		p, err := compilePath(name)
		if err != nil {
			return nil, err
		}
		return func(r Record, _ *facts) (any, bool) { return p.find(r.Event) }, nil
	}
	fact := func(value func(*facts) string) func(Record, *facts) (any, bool) {
		return func(_ Record, f *facts) (any, bool) { return value(f), true }
	}
	switch name {
	case "aws.pipes.pipe-arn":
		return fact(func(f *facts) string { return f.pipeARN }), nil
	case "aws.pipes.pipe-name":
		return fact(func(f *facts) string { return f.pipeName }), nil
	case "aws.pipes.source-arn":
		return fact(func(f *facts) string { return f.sourceARN }), nil
	case "aws.pipes.target-arn":
		return fact(func(f *facts) string { return f.targetARN }), nil
	case "aws.pipes.enrichment-arn": // there is no enrichment
		return fact(func(*facts) string { return "" }), nil
	case "aws.pipes.event.ingestion-time":
		return fact(func(*facts) string { return time.Now().UTC().Format(time.RFC3339Nano) }), nil
	case "aws.pipes.event":
		return func(r Record, _ *facts) (any, bool) { return compact(r.Event), true }, nil
	case "aws.pipes.event.json":
		return func(r Record, _ *facts) (any, bool) { return r.Event, true }, nil
	}
	return nil, fmt.Errorf("<%s> is not a variable of pipes", name)
}

// render fills the template for one record.
func (in *input) render(r Record, f *facts) string {
	var out strings.Builder
	for _, p := range in.parts {
		out.WriteString(p.literal)
		if p.variable == nil {
			continue
		}
		value, found := p.variable(r, f)
		switch {
		case in.isDoc && !p.quoted && found:
			out.WriteString(compact(value))
		case in.isDoc && !p.quoted:
			// AWS says that the output stays valid JSON, and not what stands for a path that leads nowhere.
			// The empty string is our reading. The outbox never comes here: its items have every attribute.
			out.WriteString(`""`)
		case found && p.quoted:
			out.WriteString(inString(value))
		case found:
			out.WriteString(plain(value))
		}
	}
	return out.String()
}

// inString is a value inside a JSON string: text is escaped, and documents lose their quotes.
// Source: eb-pipes-input-transformation: `{"key": "value"}` will become "{key: value}".
func inString(value any) string {
	if _, text := value.(string); !text {
		return strings.ReplaceAll(plain(value), `"`, "")
	}
	return strings.TrimSuffix(strings.TrimPrefix(compact(value), `"`), `"`)
}

// plain is a value in free text.
func plain(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	return compact(value)
}

// compact is the value as JSON, with <, > and & as they are.
func compact(value any) string {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		panic(fmt.Sprintf("a record is always JSON: %v", err))
	}
	return strings.TrimSuffix(out.String(), "\n")
}
