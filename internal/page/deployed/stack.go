// Package deployed shows on a page what can be known of a deployed stack from outside: by the requests that the command's
// subcommands make. It works on AWS, and on the local run through the same API.
package deployed

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"golang.org/x/sync/semaphore"

	"github.com/outboxkit/transactional-outbox/internal/flow"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/internal/page"
)

// Stacks are a [page.Backend] for one deployed stack, or for several that belong together.
type Stacks struct {
	clients   operate.Clients
	stacks    []*operate.Stack // those that have an outbox
	noOutbox  error            // why none has
	about     page.About
	templates map[string][]byte // by the name of the stack, as JSON
	graph     *flow.Graph
	physical  map[string]string // id of a resource, by that of its node in the flow
	logical   map[string]string // the other way round
	save      func() string
	looking   *semaphore.Weighted // one look into the dead-letter queues: a second one would not see what the first has received
	surveying sync.Mutex
	surveyors []*operate.Surveyor // of the stacks
	survey    survey
}

// A Config says what to show.
type Config struct {
	Clients operate.Clients
	// Command names the stack in advice.
	Command operate.CommandLine
	// Names are those of the stacks.
	Names []string
	// Outboxes are the stacks that have an outbox. Where there are none, NoOutbox says why.
	Outboxes []*operate.Stack
	NoOutbox error
	// Write lets the page change something. Default: it only shows.
	Write bool
	// Save returns the name of the file for copies of messages that are discarded.
	Save func() string
}

// New reads the stacks' templates and returns what shows them.
func New(ctx context.Context, c Config) (*Stacks, error) {
	s := &Stacks{
		clients: c.Clients, stacks: c.Outboxes, noOutbox: c.NoOutbox, save: c.Save, looking: semaphore.NewWeighted(1),
		about:     page.About{Stack: strings.Join(c.Names, ", "), Where: c.Clients.Where, ReadOnly: !c.Write, EventsBySearch: true},
		templates: map[string][]byte{}, physical: map[string]string{}, logical: map[string]string{},
	}
	for _, stack := range c.Outboxes {
		s.surveyors = append(s.surveyors, operate.NewSurveyor(c.Clients, stack, c.Command))
	}
	client := cloudformation.NewFromConfig(c.Clients.Config)
	var templates []flow.Template
	for _, name := range c.Names {
		body, err := read(ctx, client, name)
		if err != nil {
			return nil, fmt.Errorf("read the template of stack %s in %s: %w", name, c.Clients.Where, err)
		}
		s.templates[name] = body
		templates = append(templates, flow.Template{Stack: name, Body: body})
	}
	id, err := flow.IDs(templates...)
	if err != nil {
		return nil, err
	}
	for _, name := range c.Names {
		if err := s.list(ctx, client, name, id); err != nil {
			return nil, fmt.Errorf("list the resources of stack %s in %s: %w", name, c.Clients.Where, err)
		}
	}
	s.graph, err = flow.Read(func(id string) bool { return s.physical[id] != "" }, templates...)
	return s, err
}

// read returns the template of a stack, as JSON.
func read(ctx context.Context, client *cloudformation.Client, stack string) ([]byte, error) {
	out, err := client.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: &stack})
	if err != nil {
		return nil, err
	}
	return template.JSON([]byte(aws.ToString(out.TemplateBody)))
}

// list adds the resources of a stack, by the ids that the flow has for them.
func (s *Stacks) list(ctx context.Context, client *cloudformation.Client, stack string, id func(stack, logicalID string) string) error {
	resources := cloudformation.NewListStackResourcesPaginator(client, &cloudformation.ListStackResourcesInput{StackName: &stack})
	for resources.HasMorePages() {
		some, err := resources.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, r := range some.StackResourceSummaries {
			node, physical := id(stack, aws.ToString(r.LogicalResourceId)), aws.ToString(r.PhysicalResourceId)
			s.physical[node], s.logical[physical] = physical, node
		}
	}
	return nil
}

// About returns what the stacks are.
func (s *Stacks) About() page.About {
	about := s.about
	rows := [][]string{}
	for _, id := range slices.Sorted(maps.Keys(s.physical)) {
		rows = append(rows, []string{id, s.physical[id]})
	}
	about.Facts = []page.FactGroup{{Title: "Resources", Rows: rows}}
	return about
}

// Flow returns how events move through the stacks.
func (s *Stacks) Flow(context.Context) (*flow.Graph, error) { return s.graph, nil }

// Template returns the template of the stack with the name, as JSON.
func (s *Stacks) Template(name string) []byte { return s.templates[name] }

// Follow returns at once: nothing tells of what moves.
func (s *Stacks) Follow(context.Context, func(page.Change)) {}

// outboxes returns the stacks that have an outbox, or why none has.
func (s *Stacks) outboxes() ([]*operate.Stack, error) {
	if len(s.stacks) == 0 {
		return nil, s.noOutbox
	}
	return s.stacks, nil
}
