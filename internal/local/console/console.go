// Package console prints what the local run does: one line for each hop for a person ([Text]), or one JSON
// object on each line for a program ([JSON]). The other packages report through it and print nothing themselves.
package console

import (
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// A Console prints everything that the local run reports. Its methods may be called from many goroutines.
type Console interface {
	// Notice prints one line of text.
	Notice(text string)
	// Ready prints that the stack runs, and what it consists of.
	Ready(Summary)
	// Hop prints one step of an event.
	Hop(hop.Hop)
	// Fault prints that a fault was injected.
	Fault(Fault)
	// Faults prints how often each point of a fault plan has fired.
	Faults(fired map[string]int)
}

// An Updater is a Console that shows resources by their names and learns those of another template.
type Updater interface{ Updated(Summary) }

// A Fault is one injected fault. The package faults documents the points and keys.
type Fault struct {
	At       time.Time `json:"at"`
	Point    string    `json:"point"`
	Key      string    `json:"key"`                // what the fault happened to; the same name in every run
	N        int       `json:"n"`                  // the point was checked for this key for the nth time
	EventIDs []string  `json:"eventIds,omitempty"` // ids of all events that the fault hit, where they are known
}

// A Summary describes a run that has started.
type Summary struct {
	Stack     string            `json:"stack"`  // of several, their names with commas between them
	Stacks    []string          `json:"stacks"` // in the order in which they were deployed
	Region    string            `json:"region"`
	Data      string            `json:"data"`
	Started   string            `json:"started"`       // how long the start took, for example "2.1s"
	API       string            `json:"api,omitempty"` // base URL of the first REST API, with its stage
	APIs      []API             `json:"apis,omitempty"`
	Page      string            `json:"page,omitempty"`      // URL of the page that shows the run
	Addresses map[string]string `json:"addresses,omitempty"` // URLs of custom domains' paths, and of functions by the names of the URLs
	Endpoints []Endpoint        `json:"endpoints"`
	Resources []Resource        `json:"resources"`
	Skipped   []Skipped         `json:"skipped"`
	Outputs   map[string]string `json:"outputs"`
}

// An API is a REST API that is served.
type API struct {
	Stack string `json:"stack"`
	URL   string `json:"url"` // with its stage
}

// An Endpoint is the URL at which the local stand-in of an AWS service listens.
type Endpoint struct {
	Service cloud.Service `json:"service"` // its Variable points an SDK or the CLI there
	URL     string        `json:"url"`
}

// A Resource is one resource that runs.
type Resource struct {
	LogicalID string `json:"logicalId"` // with its stack before it where several stacks have it: "Orders-dev/Queue"
	Stack     string `json:"stack"`
	Name      string `json:"name"` // readable, from the construct path
	Type      string `json:"type"`
	Ref       string `json:"ref"` // what Ref returns: a name, a URL or an ARN
}

// Skipped is a resource type that the local run does not need.
type Skipped struct {
	Type   string `json:"type"`
	Count  int    `json:"count"`
	Reason string `json:"reason"`
}
