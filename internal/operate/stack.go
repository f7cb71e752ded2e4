package operate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"github.com/outboxkit/transactional-outbox/internal/description"
)

// A Stack is what a deployed stack and the stacks nested in it have of outboxes.
type Stack struct {
	Name     string
	Outboxes []*Outbox
	// Consumers are those of all its outboxes, and of those that it imports.
	Consumers []*Consumer
	// Alarms are the names of its alarms.
	Alarms []string
	// Gone are the names of descriptions that somebody has deleted: what they described is not known.
	Gone []string

	whole *Stack // of which this one has only some outboxes; nil: it has all
}

// An Outbox is an outbox of a stack.
type Outbox struct {
	description.Outbox
	// Consumers are those that the stack has added to it, and those of other apps that its audit was told of.
	Consumers []*Consumer
}

// A Consumer is a consumer of a stack.
type Consumer struct {
	description.Consumer
	// Outbox is the one whose events it receives, nil for an imported one, which another stack has.
	Outbox *Outbox
}

// Label returns how messages and flags call the consumer: the id of its construct.
func (c *Consumer) Label() string { return cmp.Or(c.ID, c.Name) }

// fullName returns what no other consumer is called: the inbox's name for it, or where it has no inbox what that would be.
func (c *Consumer) fullName() string {
	if c.Name == "" && c.Outbox != nil {
		return c.Outbox.Path + "/" + c.ID
	}
	return cmp.Or(c.Name, c.ID)
}

// Discover finds what the stack has of outboxes, by the parameters that the construct leaves. Without a name it takes the
// only stack that there is, as in a local run.
func Discover(ctx context.Context, c Clients, name string) (*Stack, error) {
	if name == "" {
		only, err := onlyStack(ctx, c)
		if err != nil {
			return nil, err
		}
		name = only
	}
	found, err := resourcesOf(ctx, c, name)
	if err != nil {
		return nil, err
	}
	stack := &Stack{Name: name, Alarms: found.alarms}
	if len(found.parameters) == 0 {
		return nil, undescribed(name, found)
	}
	values, gone, err := parameters(ctx, c, found.parameters)
	if err != nil {
		return nil, err
	}
	if stack.Gone = gone; len(values) == 0 {
		return nil, errors.New(stack.gone())
	}
	return stack, stack.describe(values)
}

// undescribed returns why a stack has no descriptions.
func undescribed(name string, found *resources) error {
	if found.pipes > 0 {
		return fmt.Errorf("stack %s has a pipe and no description of an outbox, so it was deployed before there were any: deploy it with this version", name)
	}
	return fmt.Errorf("stack %s has no outbox, and no consumer of one", name)
}

// gone says which descriptions are gone.
func (s *Stack) gone() string {
	return fmt.Sprintf("the stack's parameter %s is gone: what it describes is not known here, nor to the auditor", strings.Join(s.Gone, ", "))
}

// Warning returns what must be said of the stack before anything is, "" for nothing.
func (s *Stack) Warning() string {
	if len(s.Gone) == 0 {
		return ""
	}
	return s.gone() + "; `outbox status` says what to do"
}

// onlyStack returns the name of the one stack that there is.
func onlyStack(ctx context.Context, c Clients) (string, error) {
	out, err := c.CloudFormation.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{})
	if err != nil {
		return "", fmt.Errorf("list the stacks of %s: %w", c.Where, err)
	}
	var names []string
	for _, s := range out.Stacks {
		if s.RootId == nil { // a nested one belongs to another
			names = append(names, aws.ToString(s.StackName))
		}
	}
	if len(names) != 1 {
		return "", fmt.Errorf("%s has %d stacks, say --stack: %s", c.Where, len(names), strings.Join(names, ", "))
	}
	return names[0], nil
}

// resources are those of a stack's that the command uses.
type resources struct {
	parameters []string // names of descriptions
	alarms     []string // names
	pipes      int
}

// resourcesOf lists the resources of the stack and of those nested in it.
func resourcesOf(ctx context.Context, c Clients, name string) (*resources, error) {
	found := &resources{}
	for waiting := []string{name}; len(waiting) > 0; waiting = waiting[1:] {
		pages := cloudformation.NewListStackResourcesPaginator(c.CloudFormation, &cloudformation.ListStackResourcesInput{StackName: &waiting[0]})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, stackError(c, waiting[0], err)
			}
			for _, r := range page.StackResourceSummaries {
				id := aws.ToString(r.PhysicalResourceId) // none while it is being made
				switch kind := aws.ToString(r.ResourceType); {
				case id == "" || r.ResourceStatus == cftypes.ResourceStatusDeleteComplete: // listed for a while yet
				case kind == "AWS::CloudFormation::Stack":
					waiting = append(waiting, id)
				case kind == "AWS::SSM::Parameter" && strings.HasPrefix(id, description.Prefix):
					found.parameters = append(found.parameters, id)
				case kind == "AWS::CloudWatch::Alarm" || kind == "AWS::CloudWatch::CompositeAlarm":
					found.alarms = append(found.alarms, id)
				case kind == "AWS::Pipes::Pipe":
					found.pipes++
				}
			}
		}
	}
	return found, nil
}

// stackError returns why a stack cannot be read. CloudFormation has no error of its own for one that is not there.
// Source: CloudFormation API reference, ListStackResources and Common Error Types (ValidationError).
func stackError(c Clients, name string, err error) error {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "ValidationError" && strings.Contains(api.ErrorMessage(), "does not exist") {
		return fmt.Errorf("there is no stack %q in %s", name, c.Where)
	}
	return fmt.Errorf("read stack %s in %s: %w", name, c.Where, err)
}

// maxParameters is how many parameters one request reads. Source: Systems Manager API reference, GetParameters.
const maxParameters = 10

// parameters reads values by name, and returns the names of those that are gone.
func parameters(ctx context.Context, c Clients, names []string) (values map[string]string, gone []string, err error) {
	values = map[string]string{}
	for some := range slices.Chunk(names, maxParameters) {
		out, err := c.SSM.GetParameters(ctx, &ssm.GetParametersInput{Names: some})
		if err != nil {
			return nil, nil, fmt.Errorf("read the descriptions of the stack: %w", err)
		}
		gone = append(gone, out.InvalidParameters...)
		for _, p := range out.Parameters {
			values[aws.ToString(p.Name)] = aws.ToString(p.Value)
		}
	}
	return values, gone, nil
}

// describe fills in the outboxes and consumers from the parameters' values by name.
func (s *Stack) describe(values map[string]string) error {
	outboxes := map[string]*Outbox{} // by the part of the name that stands for an outbox
	consumers := map[string][]*Consumer{}
	var problems []error
	for name, value := range values {
		var err error
		if of, isOutbox := strings.CutSuffix(name, "/outbox"); isOutbox {
			o := &Outbox{}
			err = description.Decode(value, &o.Outbox)
			outboxes[of] = o
		} else if of, _, isConsumer := strings.Cut(name, "/consumer/"); isConsumer {
			consumer := &Consumer{}
			err = description.Decode(value, &consumer.Consumer)
			consumers[of] = append(consumers[of], consumer)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("parameter %s: %w", name, err))
		}
	}
	if len(problems) > 0 {
		slices.SortFunc(problems, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
		return problems[0] // the others are of the same deployment
	}
	for of, some := range consumers {
		for _, consumer := range some {
			consumer.Outbox = outboxes[of]
		}
		if o := outboxes[of]; o != nil {
			o.Consumers = byLabel(some)
		}
		s.Consumers = append(s.Consumers, some...)
	}
	s.Consumers = byLabel(s.Consumers)
	for _, o := range outboxes {
		s.Outboxes = append(s.Outboxes, o)
	}
	slices.SortFunc(s.Outboxes, func(a, b *Outbox) int { return cmp.Compare(a.Path, b.Path) })
	return nil
}

func byLabel(consumers []*Consumer) []*Consumer {
	slices.SortFunc(consumers, func(a, b *Consumer) int {
		return cmp.Or(cmp.Compare(a.Label(), b.Label()), cmp.Compare(a.Name, b.Name))
	})
	return consumers
}

// Outbox returns the outbox with the name, which may be its whole path or the end of it, or the only one of the stack for
// an empty name.
func (s *Stack) Outbox(name string) (*Outbox, error) {
	var paths []string
	var found []*Outbox
	for _, o := range s.Outboxes {
		paths = append(paths, o.Path)
		if name == "" || o.Path == name || strings.HasSuffix(o.Path, "/"+name) {
			found = append(found, o)
		}
	}
	switch {
	case len(s.Outboxes) == 0 && len(s.Gone) > 0:
		return nil, errors.New(s.gone())
	case len(s.Outboxes) == 0:
		return nil, fmt.Errorf("stack %s has consumers of an outbox of another stack: say that --stack", s.Name)
	case len(found) == 1:
		return found[0], nil
	case name == "":
		return nil, fmt.Errorf("stack %s has %d outboxes, say --outbox, one of %s", s.Name, len(paths), strings.Join(paths, ", "))
	case len(found) == 0:
		return nil, fmt.Errorf("--outbox must be one of %s, got %q", strings.Join(paths, ", "), name)
	default:
		return nil, fmt.Errorf("--outbox %s could be several, say one of %s", name, strings.Join(paths, ", "))
	}
}

// Only returns the stack as if it had no other outbox than the one with the name. It still knows whose else the queues are.
func (s *Stack) Only(name string) (*Stack, error) {
	o, err := s.Outbox(name)
	if err != nil {
		return nil, err
	}
	return &Stack{Name: s.Name, Outboxes: []*Outbox{o}, Consumers: o.Consumers, Alarms: s.Alarms, Gone: s.Gone, whole: s.all()}, nil
}

// all returns the stack with all its outboxes.
func (s *Stack) all() *Stack { return cmp.Or(s.whole, s) }

// FindConsumer returns that one of the consumers with the name: the id of its construct, or its name in the inbox.
func FindConsumer(consumers []*Consumer, name string) (*Consumer, error) {
	var labels []string
	var found []*Consumer
	for _, c := range consumers {
		labels = append(labels, c.Label())
		if c.ID == name || c.fullName() == name {
			found = append(found, c)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("--consumer must be one of %s, got %q", strings.Join(labels, ", "), name)
	}
	var names []string
	for _, c := range found {
		names = append(names, c.fullName())
	}
	return nil, fmt.Errorf("--consumer %s could be several, say one of %s", name, strings.Join(names, ", "))
}
