package template

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// An Environment is the account and region in which the stack pretends to be.
type Environment struct {
	Account string // twelve digits
	Region  string // for example "eu-central-1"
}

// Provision creates every resource of the stack, each after those it refers to and otherwise in the order of the
// template, and resolves the outputs. provisions holds the Provision for each resource type that the local run supports.
//
// It creates nothing when the template has resource types or intrinsics that the local run does not support, or
// references to nothing: the error then lists all of them. The errors of the Provisions are all reported too, each
// prefixed with the logical id and type; a resource that needs one that failed is only named.
func (s *Stack) Provision(ctx context.Context, env Environment, provisions map[string]Provision) (*Deployment, error) {
	p, err := s.plan(env, provisions)
	if err != nil {
		return nil, fmt.Errorf("stack %s: %w", s.Name, err)
	}
	d := &Deployment{Stack: s.Name, Skipped: p.skipped}
	if d.Resources, err = p.createAll(ctx, provisions); err != nil {
		return nil, err
	}
	if d.Outputs, err = p.resolveOutputs(); err != nil {
		return nil, fmt.Errorf("stack %s: %w", s.Name, err)
	}
	d.index = index(d.Resources)
	return d, nil
}

// A plan holds what to create, in order. The properties of its resources are pruned, not resolved.
type plan struct {
	*evaluator
	resources []planned
	outputs   []plannedOutput
	skipped   []Skipped
}

type planned struct {
	Resource
	name       string
	properties any
	needs      []string
}

type plannedOutput struct {
	Output
	value any
}

// logicalID matches the logical ids that CloudFormation accepts.
// Source: CloudFormation user guide, resources-section-structure.
var logicalID = regexp.MustCompile(`^[A-Za-z0-9]{1,255}$`)

// plan checks the whole template.
func (s *Stack) plan(env Environment, provisions map[string]Provision) (*plan, error) {
	p := &plan{evaluator: s.evaluator(env)}
	byID := map[string]planned{}
	problems := []error{p.checkTransform()}
	for _, id := range s.template.Resources.names {
		active, err := p.isActive(id)
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("%s: %w", id, err))
		case active:
			err = p.add(id, provisions, byID)
			problems = append(problems, err)
		}
	}
	for _, name := range s.template.Outputs.names {
		problems = append(problems, p.addOutput(name))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return p, p.sort(byID)
}

func (s *Stack) evaluator(env Environment) *evaluator {
	return &evaluator{
		stack: s, template: &s.template, env: env,
		conditions: map[string]bool{}, skipped: map[string]Resource{}, created: map[string]Attributes{},
	}
}

// checkTransform accepts only the transform that adds intrinsics, which this package supports in part.
func (p *plan) checkTransform() error {
	list, ok := p.template.Transform.([]any)
	if !ok && p.template.Transform != nil {
		list = []any{p.template.Transform}
	}
	var problems []error
	for _, transform := range list {
		name := transform
		if call, ok := transform.(map[string]any); ok {
			name = call["Name"]
		}
		if name != "AWS::LanguageExtensions" {
			problems = append(problems, fmt.Errorf("transform %v: %s", name, whyUnsupported("Fn::Transform")))
		}
	}
	return errors.Join(problems...)
}

func (p *plan) add(id string, provisions map[string]Provision, byID map[string]planned) error {
	d := p.template.Resources.byName[id]
	if !logicalID.MatchString(id) {
		return fmt.Errorf("a logical id must be letters and digits, got %q", id)
	}
	r := Resource{
		LogicalID: id, Type: d.Type, Path: p.stack.path(id, d),
		PhysicalName: physicalName(p.stack.Name, id), Metadata: d.Metadata,
	}
	name := p.stack.readableName(r)
	if provisions[d.Type] == nil {
		reason, err := p.skip(d)
		if err != nil {
			return prefixErrors(fmt.Sprintf("%s (%s)", id, d.Type), err)
		}
		p.evaluator.skipped[id] = r
		p.skipped = append(p.skipped, Skipped{LogicalID: id, Type: d.Type, Name: name, Ref: p.placeholder(r, ""), Reason: reason})
		return nil
	}
	properties, _, err := p.prune(d.Properties)
	if err != nil {
		return fmt.Errorf("%s (%s): %w", id, d.Type, err)
	}
	needs, err := p.references(properties)
	if err != nil {
		return prefixErrors(fmt.Sprintf("%s (%s)", id, d.Type), err)
	}
	for _, other := range d.DependsOn {
		active, err := p.isActive(other)
		if err != nil {
			return fmt.Errorf("%s (%s): DependsOn: %w", id, d.Type, err)
		}
		if active {
			needs = append(needs, other)
		}
	}
	byID[id] = planned{Resource: r, name: name, properties: properties, needs: needs}
	return nil
}

func (p *plan) addOutput(name string) error {
	o := p.template.Outputs.byName[name]
	if o.Condition != "" {
		holds, err := p.condition(o.Condition)
		if err != nil {
			return fmt.Errorf("output %s: %w", name, err)
		}
		if !holds {
			return nil
		}
	}
	value, _, err := p.prune(o.Value)
	if err != nil {
		return fmt.Errorf("output %s: %w", name, err)
	}
	if _, err := p.references(value); err != nil {
		return prefixErrors("output "+name, err)
	}
	p.outputs = append(p.outputs, plannedOutput{Output{Name: name, Description: o.Description}, value})
	return nil
}

// prefixErrors adds the prefix to each of several joined errors.
func prefixErrors(prefix string, err error) error {
	var all []error
	for _, err := range each(err) {
		all = append(all, fmt.Errorf("%s: %w", prefix, err))
	}
	return errors.Join(all...)
}

// sort orders the resources so that each comes after those it needs: depth first, in the order of the template.
func (p *plan) sort(byID map[string]planned) error {
	done := map[string]bool{}
	var path []string
	var visit func(id string) error
	visit = func(id string) error {
		if start := slices.Index(path, id); start >= 0 {
			return fmt.Errorf("the resources refer to each other in a circle: %s", cycleText(path[start:]))
		}
		r, ok := byID[id]
		if !ok || done[id] {
			return nil
		}
		path = append(path, id)
		for _, other := range r.needs {
			if err := visit(other); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		done[id] = true
		p.resources = append(p.resources, r)
		return nil
	}
	for _, id := range p.template.Resources.names {
		if err := visit(id); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) resolveOutputs() ([]Output, error) {
	var outputs []Output
	for _, o := range p.outputs {
		value, err := p.resolve(o.value)
		if err == nil {
			o.Value, err = scalar(value)
		}
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", o.Name, err)
		}
		outputs = append(outputs, o.Output)
	}
	return outputs, nil
}
