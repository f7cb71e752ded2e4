package pipes

import (
	"fmt"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/jsontext"
	"github.com/outboxkit/transactional-outbox/internal/local/messages"
	"github.com/outboxkit/transactional-outbox/internal/local/transform"
)

// An input is what is sent of a record: the values that an InputTemplate selects, or the unchanged record.
// Source: EventBridge user guide, eb-pipes-input-transformation.
type input struct {
	template  *transform.Template[source] // nil: the unchanged record
	variables pipeVariables
}

// pipeVariables holds the values of the reserved variables that do not depend on the record.
type pipeVariables struct{ pipeARN, pipeName, sourceARN, enrichmentARN, targetARN string }

// compileInput compiles a template; "" is none. Its error names a variable that AWS does not have.
func compileInput(text string, variables pipeVariables) (input, error) {
	in := input{variables: variables}
	if text == "" {
		return in, nil
	}
	var err error
	in.template, err = transform.Compile(text, transform.Syntax[source]{IsVariable: isVariable, Compile: compileVariable})
	if err != nil {
		return in, fmt.Errorf("input template: %w", err)
	}
	return in, nil
}

// isVariable reports whether a name is that of a variable of pipes.
func isVariable(name string) bool {
	return strings.HasPrefix(name, "$") || strings.HasPrefix(name, "aws.pipes.")
}

// render returns what is sent of a record.
func (in input) render(r Record) string {
	if in.template == nil {
		return transform.Text(r.Event)
	}
	return in.template.Render(source{r, &in.variables})
}

// A source is what a template of a pipe takes its values from: a record, and the pipe.
type source struct {
	Record
	pipe *pipeVariables
}

// json returns what is sent of a record to a target that takes JSON.
func (in input) json(r Record) string {
	if in.template == nil {
		return jsontext.Compact(r.Event)
	}
	return in.render(r)
}

// compileVariable returns one of the variables that pipes have.
func compileVariable(name string) (transform.Variable[source], error) {
	if strings.HasPrefix(name, "$") {
		p, err := transform.CompilePath(name)
		if err != nil {
			return nil, err
		}
		return func(s source) (any, bool) { return p.Find(messages.ParseBody(s.Event)) }, nil
	}
	fact := func(value func(*pipeVariables) string) transform.Variable[source] {
		return func(s source) (any, bool) { return value(s.pipe), true }
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
	case "aws.pipes.enrichment-arn":
		return fact(func(f *pipeVariables) string { return f.enrichmentARN }), nil
	case "aws.pipes.event.ingestion-time":
		return fact(func(*pipeVariables) string { return time.Now().UTC().Format(time.RFC3339Nano) }), nil
	case "aws.pipes.event":
		return func(s source) (any, bool) { return transform.Text(s.Event), true }, nil
	case "aws.pipes.event.json":
		return func(s source) (any, bool) { return messages.ParseBody(s.Event), true }, nil
	}
	return nil, fmt.Errorf("<%s> is not a variable of pipes", name)
}
