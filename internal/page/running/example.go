package running

import (
	"encoding/json"
	"regexp/syntax"
	"strings"
)

// A schema is what an example needs of a JSON schema.
type schema struct {
	Type       any // a name, or a list of them
	Enum       []json.RawMessage
	Default    json.RawMessage
	Example    json.RawMessage
	Examples   []json.RawMessage
	Properties map[string]schema
	Required   []string
	Items      *schema
	MinItems   int
	MinLength  int
	MaxLength  *int
	Pattern    string
	Minimum    *json.Number
}

// example returns a value that a schema allows, as far as it uses what is common: one that the schema names, else the
// smallest. It is nil for a schema that refers to others.
func example(raw json.RawMessage) json.RawMessage {
	var s schema
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	value, err := json.Marshal(s.value("value"))
	if err != nil {
		return nil
	}
	return value
}

// value returns a value for the property with the name.
func (s schema) value(name string) any {
	for _, named := range append([]json.RawMessage{s.Example, s.Default}, append(s.Examples, s.Enum...)...) {
		if named != nil {
			return named
		}
	}
	switch s.kind() {
	case "object":
		object := map[string]any{}
		for _, required := range s.Required {
			object[required] = s.Properties[required].value(required)
		}
		return object
	case "array":
		if s.Items == nil {
			return []any{}
		}
		list := []any{}
		for range max(s.MinItems, 1) {
			list = append(list, s.Items.value(strings.TrimSuffix(name, "s")))
		}
		return list
	case "integer", "number":
		if s.Minimum != nil && *s.Minimum != "0" {
			return *s.Minimum
		}
		return 1
	case "boolean":
		return true
	case "string":
		return s.text(name)
	}
	return nil
}

// kind returns the type, the first one of several.
func (s schema) kind() string {
	switch kind := s.Type.(type) {
	case string:
		return kind
	case []any:
		if len(kind) > 0 {
			name, _ := kind[0].(string)
			return name
		}
	}
	if s.Properties != nil {
		return "object"
	}
	return ""
}

// text returns a string: one that the pattern matches, else the property's name with a number, in the length allowed.
func (s schema) text(name string) string {
	if s.Pattern != "" {
		if re, err := syntax.Parse(s.Pattern, syntax.Perl); err == nil {
			var b strings.Builder
			match(re.Simplify(), &b)
			return b.String()
		}
	}
	text := name + "-1"
	for len(text) < s.MinLength {
		text += "1"
	}
	if s.MaxLength != nil && len(text) > *s.MaxLength {
		text = text[:*s.MaxLength]
	}
	return text
}

// match writes a short text that a pattern matches.
func match(re *syntax.Regexp, b *strings.Builder) {
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		b.WriteRune(re.Rune[0])
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('a')
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			match(sub, b)
		}
	case syntax.OpCapture, syntax.OpPlus, syntax.OpAlternate:
		match(re.Sub[0], b)
	case syntax.OpRepeat:
		for range re.Min {
			match(re.Sub[0], b)
		}
	default: // what matches nothing, as the begin of the text, or may be left out
	}
}
