package apigateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// A mappingTemplate identifies a mapping template in its renderer.
type mappingTemplate int

// variables holds the input of a mapping template. The keys are those that vtl/gateway.mjs reads.
type variables struct {
	Body           string            `json:"body"`
	Params         *params           `json:"params"`
	Context        *requestContext   `json:"context"`
	StageVariables map[string]string `json:"stageVariables"`
	Overrides      *rendered         `json:"overrides,omitempty"` // of the request's template, for the response's
}

// rendered is the output of a mapping template.
type rendered struct {
	Output        string              `json:"output"`
	Error         string              `json:"error"`
	Malformed     bool                `json:"malformed"`     // the error is a body that looks like JSON and is none
	Status        int                 `json:"status"`        // $context.responseOverride.status, or 0
	Header        map[string][]string `json:"header"`        // $context.responseOverride.header
	RequestHeader map[string][]string `json:"requestHeader"` // $context.requestOverride.header
}

// A renderer runs mapping templates in a process of Node.js. It starts the process when it is needed, and again after
// the process has ended.
type renderer struct {
	mu      sync.Mutex
	child   *rendererProcess
	sources []string // of the templates; every new process receives them
}

func newRenderer() *renderer { return &renderer{} }

// compile checks the template's syntax and stores the template.
func (r *renderer) compile(ctx context.Context, source string) (mappingTemplate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := mappingTemplate(len(r.sources))
	_, err := twice(func() (rendered, error) {
		child, err := r.running(ctx)
		if err != nil {
			return rendered{}, err
		}
		return child.do(ctx, message{Template: t, Source: source})
	})
	if err == nil {
		r.sources = append(r.sources, source)
	}
	return t, err
}

// render runs the template. Its error contains the message of the template engine.
func (r *renderer) render(ctx context.Context, t mappingTemplate, v *variables) (rendered, error) {
	return twice(func() (rendered, error) {
		r.mu.Lock()
		child, err := r.running(ctx)
		r.mu.Unlock()
		if err != nil {
			return rendered{}, err
		}
		return child.do(ctx, message{Template: t, Variables: v})
	})
}

// twice calls do, and once more when the process was lost, which is safe because a render has no effects.
func twice(do func() (rendered, error)) (rendered, error) {
	out, err := do()
	if errors.Is(err, errRendererLost) {
		return do()
	}
	return out, err
}

// running returns the process and starts it if there is none. The caller holds the lock.
func (r *renderer) running(ctx context.Context) (*rendererProcess, error) {
	if r.child != nil && !r.child.ended() {
		return r.child, nil
	}
	child, err := startRenderer(ctx)
	if err != nil {
		return nil, fmt.Errorf("start the renderer of mapping templates: %w", err)
	}
	for t, source := range r.sources {
		if _, err := child.do(ctx, message{Template: mappingTemplate(t), Source: source}); err != nil {
			child.stop()
			return nil, fmt.Errorf("start the renderer of mapping templates: %w", err)
		}
	}
	r.child = child
	return child, nil
}

func (r *renderer) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.child != nil {
		r.child.stop()
	}
}
