package page

import (
	"context"
	"encoding/json"
)

// A Run is what a page can do with a stack on this machine, beside what it can with each.
type Run interface {
	// Methods returns the methods of the stack's REST API.
	Methods(ctx context.Context) ([]Method, error)
	// Send sends a request to the REST API and returns the response, whatever its status.
	Send(ctx context.Context, r Request) (*Response, error)
	// Publish puts an event on a bus.
	Publish(ctx context.Context, e Publication) (id string, err error)
	// Deliver sends an event to a consumer again, or to all for whom it is when consumer is "".
	Deliver(ctx context.Context, eventID, consumer string) error
	// Faults returns the faults that can be injected, in the order of the flow.
	Faults(ctx context.Context) ([]Fault, error)
	// SetFault switches a fault on or off.
	SetFault(ctx context.Context, s FaultSwitch) error
	// Heal switches all faults off.
	Heal(ctx context.Context) error
}

// A Method is a method of a REST API.
type Method struct {
	Stack   string            `json:"stack"` // whose API it is
	Verb    string            `json:"verb"`
	Path    string            `json:"path"` // with its parameters: /orders/{id}
	Headers map[string]string `json:"headers,omitempty"`
	Example json.RawMessage   `json:"example,omitempty"` // a body that its model allows
	Signed  bool              `json:"signed"`            // its callers are authorized by IAM
}

// A Request is one to a REST API.
type Request struct {
	Stack   string            `json:"stack"` // whose API it is for
	Verb    string            `json:"verb"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// A Response is that of a REST API.
type Response struct {
	Status    int                 `json:"status"`
	Headers   map[string][]string `json:"headers"`
	Body      string              `json:"body"`
	LatencyMS float64             `json:"latencyMs"`
}

// A Publication is an event for a bus.
type Publication struct {
	Bus    string          `json:"bus"`
	Source string          `json:"source"`
	Type   string          `json:"type"`
	Detail json.RawMessage `json:"detail"`
}

// A Fault is one that can be injected.
type Fault struct {
	Point string  `json:"point"`
	What  string  `json:"what"`
	Rate  float64 `json:"rate"` // from 0, never, to 1
	// Once is the key of what it will happen to once, "" for none and "*" for the next.
	Once  string `json:"once,omitempty"`
	Fired int    `json:"fired"`
}

// A FaultSwitch sets how often a fault happens.
type FaultSwitch struct {
	Point string  `json:"point"`
	Rate  float64 `json:"rate"`
	Once  string  `json:"once"` // as in [Fault]
}
