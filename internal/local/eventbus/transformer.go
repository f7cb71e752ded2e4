package eventbus

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/jsontext"
	"github.com/outboxkit/transactional-outbox/internal/local/transform"
)

// Limits of an input transformer, in entries and characters. Source: EventBridge API reference, InputTransformer.
const (
	maxPaths    = 100
	maxTemplate = 8192
)

// inputTransformer is InputTransformer: a template with variables, which are paths into the event or reserved.
// Source: EventBridge user guide, eb-transform-target-input.
type inputTransformer struct {
	InputPathsMap map[string]string `json:",omitempty"`
	InputTemplate string
}

// variableName is the syntax of a variable's name. Source: EventBridge API reference, InputTransformer, InputPathsMap.
var variableName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// reserved begins the names of the variables that need no path.
const reserved = "aws.events."

// compile returns the template, or an error that names everything that is wrong with it.
func (p inputTransformer) compile() (*transform.Template[occurrence], error) {
	var problems []error
	refuse := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("InputTransformer: "+format, args...))
	}
	if n := len(p.InputPathsMap); n > maxPaths {
		refuse("InputPathsMap must have at most %d entries, got %d", maxPaths, n)
	}
	if n := len([]rune(p.InputTemplate)); n < 1 || n > maxTemplate {
		refuse("InputTemplate must have 1 to %d characters, got %d", maxTemplate, n)
	}
	variables := map[string]transform.Variable[occurrence]{}
	for _, name := range slices.Sorted(maps.Keys(p.InputPathsMap)) {
		path, err := transform.CompilePath(p.InputPathsMap[name])
		switch {
		case !variableName.MatchString(name) || strings.HasPrefix(strings.ToLower(name), "aws"):
			refuse("InputPathsMap must have names of letters, digits, dashes and underscores that do not begin with \"aws\", got %q", name)
		case err != nil:
			refuse("InputPathsMap: %s: %w", name, err)
		}
		variables[name] = func(o occurrence) (any, bool) { return path.Find(o.value) }
	}
	template, err := transform.Compile(p.InputTemplate, transform.Syntax[occurrence]{
		IsVariable: func(name string) bool { return variableName.MatchString(name) || strings.HasPrefix(name, reserved) },
		Compile: func(name string) (transform.Variable[occurrence], error) {
			if v := variables[name]; v != nil {
				return v, nil
			}
			return reservedVariable(name)
		},
		// AWS does not escape what a template takes out of the event. Source: eb-transform-target-input, "Common issues".
		Verbatim: true,
	})
	if err != nil {
		refuse("InputTemplate: %w", err)
	}
	return template, errors.Join(problems...)
}

// reservedVariable returns a variable that AWS defines.
// Source: EventBridge user guide, eb-transform-target-input, "Predefined variables".
func reservedVariable(name string) (transform.Variable[occurrence], error) {
	switch name {
	case reserved + "rule-arn":
		return func(o occurrence) (any, bool) { return o.source, true }, nil
	case reserved + "rule-name":
		return func(o occurrence) (any, bool) { return o.source[strings.LastIndex(o.source, "/")+1:], true }, nil
	case reserved + "event.ingestion-time":
		return func(o occurrence) (any, bool) { return o.accepted.UTC().Format(time.RFC3339), true }, nil
	case reserved + "event.json":
		return func(o occurrence) (any, bool) { return o.value, true }, nil
	case reserved + "event":
		return func(o occurrence) (any, bool) {
			fields, _ := o.value.(map[string]any)
			rest := maps.Clone(fields)
			delete(rest, "detail")
			return rest, true
		}, nil
	}
	return nil, fmt.Errorf("<%s> must be in InputPathsMap or one of AWS's variables, got neither", name)
}

// transformed returns the template filled with the values of the event.
func transformed(template *transform.Template[occurrence], o occurrence) (json.RawMessage, error) {
	var err error
	if o.value, err = jsontext.Decode(o.event); err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	text := template.Render(o)
	if template.IsJSON() && !json.Valid([]byte(text)) {
		return nil, fmt.Errorf("InputTransformer must make JSON of the event, got %.200s", text)
	}
	return json.RawMessage(text), nil
}
