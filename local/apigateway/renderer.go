package apigateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// A mappingTemplate is a template's source, encoded once for all renders.
type mappingTemplate struct{ source json.RawMessage }

// variables are what a mapping template sees. The keys are those that vtl/gateway.mjs reads.
type variables struct {
	Body           string            `json:"body"`
	Params         *params           `json:"params"`
	Context        *requestContext   `json:"context"`
	StageVariables map[string]string `json:"stageVariables"`
}

// rendered is what a mapping template produced.
type rendered struct {
	Output        string              `json:"output"`
	Error         string              `json:"error"`
	Status        int                 `json:"status"`        // $context.responseOverride.status, or 0
	Header        map[string][]string `json:"header"`        // $context.responseOverride.header
	RequestHeader map[string][]string `json:"requestHeader"` // $context.requestOverride.header
}

// A renderer runs mapping templates in a process of Node.js. It starts the process when it is needed,
// and anew when it has died.
type renderer struct {
	mu    sync.Mutex
	child *rendererProcess
}

func newRenderer() *renderer { return &renderer{} }

// compile checks the template's syntax.
func (r *renderer) compile(ctx context.Context, source string) (mappingTemplate, error) {
	encoded, err := json.Marshal(source)
	if err != nil {
		return mappingTemplate{}, err
	}
	t := mappingTemplate{source: encoded}
	_, err = r.do(ctx, t, nil)
	return t, err
}

// render runs the template. Its error carries the template engine's message.
func (r *renderer) render(ctx context.Context, t mappingTemplate, v *variables) (rendered, error) {
	return r.do(ctx, t, v)
}

// do sends one request to the process. A render has no effects, so one that was lost with the process is
// sent again, once.
func (r *renderer) do(ctx context.Context, t mappingTemplate, v *variables) (rendered, error) {
	out, err := r.try(ctx, t, v)
	if errors.Is(err, errRendererLost) {
		out, err = r.try(ctx, t, v)
	}
	if err != nil {
		return rendered{}, err
	}
	if out.Error != "" {
		return rendered{}, fmt.Errorf("mapping template: %s", out.Error)
	}
	return out, nil
}

func (r *renderer) try(ctx context.Context, t mappingTemplate, v *variables) (rendered, error) {
	child, err := r.running(ctx)
	if err != nil {
		return rendered{}, err
	}
	return child.do(ctx, t, v)
}

// running is the process, started if there is none.
func (r *renderer) running(ctx context.Context) (*rendererProcess, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.child != nil && !r.child.ended() {
		return r.child, nil
	}
	child, err := startRenderer(ctx)
	if err != nil {
		return nil, fmt.Errorf("start the renderer of mapping templates: %w", err)
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
