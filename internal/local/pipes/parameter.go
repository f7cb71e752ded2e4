package pipes

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/messages"
	"github.com/outboxkit/transactional-outbox/internal/local/transform"
)

// A parameter is a string parameter of a target: a constant, or a path into the record.
// Source: EventBridge user guide, eb-pipes-event-target, "Dynamic path parameters".
type parameter struct {
	name     string
	constant string
	path     transform.Path
	limit    int // in characters; 0: none
}

func compileParameter(name, text string, limit int) (parameter, error) {
	p := parameter{name: name, constant: text, limit: limit}
	if !strings.HasPrefix(text, "$") {
		_, err := p.checked(text)
		return p, err
	}
	var err error
	if p.path, err = transform.CompilePath(text); err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// resolve returns the parameter's value for a record; "" when the template does not set it.
func (p parameter) resolve(r Record) (string, error) {
	if p.path == nil {
		return p.constant, nil
	}
	value, found := p.path.Find(messages.ParseBody(r.Event))
	if !found {
		return "", fmt.Errorf("%s: the record has no value at %s", p.name, p.constant)
	}
	switch value.(type) {
	case string, json.Number, float64, int64, bool:
		return p.checked(transform.Text(value))
	}
	return "", fmt.Errorf("%s: the value at %s in the record must be a string, a number or a boolean", p.name, p.constant)
}

func (p parameter) checked(value string) (string, error) {
	if n := len([]rune(value)); p.limit > 0 && n > p.limit {
		return "", fmt.Errorf("%s must have at most %d characters, got %d", p.name, p.limit, n)
	}
	return value, nil
}
