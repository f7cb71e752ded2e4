// Package deployed shows on a page what can be known of a deployed stack from outside: by the requests that the command's
// subcommands make. It works on AWS, and on the local run through the same API.
package deployed

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"

	"github.com/outboxkit/transactional-outbox/internal/flow"
	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/internal/page"
)

// A Stack is a [page.Backend] for a deployed stack.
type Stack struct {
	clients   operate.Clients
	stack     *operate.Stack // nil: it has no outbox
	noOutbox  error          // why not
	about     page.About
	template  []byte
	graph     *flow.Graph
	physical  map[string]string // id of a resource, by its logical id
	logical   map[string]string // the other way round
	saveCopy  func() string     // names the file for copies of what is discarded
	surveying sync.Mutex
	surveyor  *operate.Surveyor
	survey    survey
}

// A Config says what to show.
type Config struct {
	Clients operate.Clients
	// Command names the stack in advice.
	Command operate.CommandLine
	// Stack is the name of the stack.
	Stack string
	// Outboxes is what the stack has of outboxes, nil where that is not known, which NoOutbox explains.
	Outboxes *operate.Stack
	NoOutbox error
	// Write lets the page change something. Default: it only shows.
	Write bool
	// Save returns the name of the file for copies of messages that are discarded.
	Save func() string
}

// New reads the stack's template and returns what shows it.
func New(ctx context.Context, c Config) (*Stack, error) {
	s := &Stack{
		clients: c.Clients, stack: c.Outboxes, noOutbox: c.NoOutbox, saveCopy: c.Save,
		about:    page.About{Stack: c.Stack, Where: c.Clients.Where, ReadOnly: !c.Write, EventsBySearch: true},
		physical: map[string]string{}, logical: map[string]string{},
	}
	if s.stack != nil {
		s.surveyor = operate.NewSurveyor(c.Clients, c.Outboxes, c.Command)
	}
	client := cloudformation.NewFromConfig(c.Clients.Config)
	resources := cloudformation.NewListStackResourcesPaginator(client, &cloudformation.ListStackResourcesInput{StackName: &c.Stack})
	for resources.HasMorePages() {
		some, err := resources.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the resources of stack %s in %s: %w", c.Stack, c.Clients.Where, err)
		}
		for _, r := range some.StackResourceSummaries {
			id, physical := aws.ToString(r.LogicalResourceId), aws.ToString(r.PhysicalResourceId)
			s.physical[id], s.logical[physical] = physical, id
		}
	}
	template, err := client.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: &c.Stack})
	if err != nil {
		return nil, fmt.Errorf("read the template of stack %s in %s: %w", c.Stack, c.Clients.Where, err)
	}
	s.template = []byte(aws.ToString(template.TemplateBody))
	s.graph, err = flow.Read(s.template, func(id string) bool { _, ok := s.physical[id]; return ok })
	return s, err
}

// About returns what the stack is.
func (s *Stack) About() page.About {
	about := s.about
	rows := [][]string{}
	for _, id := range slices.Sorted(maps.Keys(s.physical)) {
		rows = append(rows, []string{id, s.physical[id]})
	}
	about.Facts = []page.FactGroup{{Title: "Resources", Rows: rows}}
	return about
}

// Flow returns how events move through the stack.
func (s *Stack) Flow(context.Context) (*flow.Graph, error) { return s.graph, nil }

// Template returns the stack's template.
func (s *Stack) Template() []byte { return s.template }

// Follow returns at once: nothing tells of what moves.
func (s *Stack) Follow(context.Context, func(page.Change)) {}

// outboxes returns what the stack has of outboxes, or why it has none.
func (s *Stack) outboxes() (*operate.Stack, error) {
	if s.stack == nil {
		return nil, s.noOutbox
	}
	return s.stack, nil
}
