// Package console prints what the local run does: for a person, one line a hop; for a program, one
// JSON object a line (see JSON). Every other package reports through it and prints nothing itself.
package console

import (
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// Console takes everything there is to say. Its methods may be called from many goroutines.
type Console interface {
	// Notice says one thing in one line.
	Notice(text string)
	// Ready says that the stack runs, and what is in it.
	Ready(Summary)
	// Hop says that an event took a step.
	Hop(hop.Hop)
	// Fault says that a fault was injected.
	Fault(Fault)
	// Faults says how often each point of a fault plan has fired.
	Faults(fired map[string]int)
}

// Fault is one injected fault. The package local/faults says what the points and keys are.
type Fault struct {
	At       time.Time `json:"at"`
	Point    string    `json:"point"`
	Key      string    `json:"key"`                // what it happened to, by the same name in every run
	N        int       `json:"n"`                  // the point was asked for this key for the nth time
	EventIDs []string  `json:"eventIds,omitempty"` // ids of all events that it hit, where they are known
}

// Summary is what runs once the stack is up.
type Summary struct {
	Stack     string            `json:"stack"`
	Region    string            `json:"region"`
	Data      string            `json:"data"`
	Started   string            `json:"started"`       // how long the start took, for example "2.1s"
	API       string            `json:"api,omitempty"` // base URL of the REST API, with its stage
	Endpoints []Endpoint        `json:"endpoints"`
	Resources []Resource        `json:"resources"`
	Skipped   []Skipped         `json:"skipped"`
	Outputs   map[string]string `json:"outputs"`
}

// Endpoint is where an AWS service's stand-in listens.
type Endpoint struct {
	Service cloud.Service `json:"service"` // AWS_ENDPOINT_URL_<service> points an SDK or the CLI there
	URL     string        `json:"url"`
}

// Resource is one resource that runs.
type Resource struct {
	LogicalID string `json:"logicalId"`
	Name      string `json:"name"` // readable, from the construct path
	Type      string `json:"type"`
	Ref       string `json:"ref"` // what Ref gives: a name, an URL or an ARN
}

// Skipped is a resource type that has nothing to do on a laptop.
type Skipped struct {
	Type   string `json:"type"`
	Count  int    `json:"count"`
	Reason string `json:"reason"`
}
