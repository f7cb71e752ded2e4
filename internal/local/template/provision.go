package template

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// Provision deploys the stack alone: see [Deploy].
func (s *Stack) Provision(ctx context.Context, env Environment, provisions map[string]Provision) (*Deployment, error) {
	deployments, err := Deploy(ctx, env, []*Stack{s}, provisions)
	if err != nil {
		return nil, err
	}
	return deployments[0], nil
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
	id         string // in the template
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

// check plans the whole template, or returns everything that is wrong with it.
func (p *plan) check(provisions map[string]Provision) error {
	transforms := p.transforms()
	if slices.Contains(transforms, samTransform) {
		return fmt.Errorf("transform %s: %s", samTransform, whySAM) // the rest is in a language of its own
	}
	byID := map[string]planned{}
	problems := []error{checkTransforms(transforms)}
	for _, id := range p.template.Resources.names {
		active, err := p.isActive(id)
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("%s: %w", id, err))
		case active:
			err = p.add(id, provisions, byID)
			problems = append(problems, err)
		}
	}
	for _, name := range p.template.Outputs.names {
		problems = append(problems, p.addOutput(name))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	return p.sort(byID)
}

func (s *Stack) evaluator(env Environment, all *links) *evaluator {
	return &evaluator{
		stack: s, template: &s.template, env: env, links: all, needs: map[*Stack]bool{}, parameters: map[string]any{},
		conditions: map[string]bool{}, skipped: map[string]Resource{}, created: map[string]Attributes{},
	}
}

// readParameters gives the parameters of the template their values. One with a wrong value has an empty one, so that what
// refers to it is checked too.
func (e *evaluator) readParameters(given settings) error {
	var problems []error
	for _, name := range e.template.Parameters.names {
		value, err := e.template.Parameters.byName[name].value(name, given.of(e.stack, name))
		if err != nil {
			problems = append(problems, err)
			value = ""
		}
		e.parameters[name] = value
	}
	return errors.Join(problems...)
}

// transforms returns the names of the template's macros.
func (p *plan) transforms() []string {
	list, ok := p.template.Transform.([]any)
	if !ok && p.template.Transform != nil {
		list = []any{p.template.Transform}
	}
	var names []string
	for _, transform := range list {
		if call, ok := transform.(map[string]any); ok {
			transform = call["Name"]
		}
		names = append(names, fmt.Sprint(transform))
	}
	return names
}

// checkTransforms accepts only the transform that adds intrinsics, which this package supports in part.
func checkTransforms(names []string) error {
	var problems []error
	for _, name := range names {
		if name != "AWS::LanguageExtensions" {
			problems = append(problems, fmt.Errorf("transform %s: %s", name, whyUnsupported("Fn::Transform")))
		}
	}
	return errors.Join(problems...)
}

func (p *plan) add(id string, provisions map[string]Provision, byID map[string]planned) error {
	d := p.template.Resources.byName[id]
	if !logicalID.MatchString(id) {
		return fmt.Errorf("a logical id must be letters and digits, got %q", id)
	}
	r := p.stack.resource(id, d)
	name := p.links.readableName(p.stack, r)
	r.LogicalID = p.links.logicalID(p.stack, id)
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
	byID[id] = planned{Resource: r, id: id, name: name, properties: properties, needs: needs}
	return nil
}

func (p *plan) addOutput(name string) error {
	o := p.template.Outputs.byName[name]
	holds, err := p.holds(o.Condition)
	if err != nil {
		return fmt.Errorf("output %s: %w", name, err)
	}
	if !holds {
		return nil
	}
	value, _, err := p.prune(o.Value)
	if err != nil {
		return fmt.Errorf("output %s: %w", name, err)
	}
	if _, err := p.references(value); err != nil {
		return prefixErrors("output "+name, err)
	}
	planned := plannedOutput{Output{Name: name, Description: o.Description}, value}
	if o.Export != nil {
		planned.Export, _ = p.constant(o.Export.Name) // of an error the links tell
	}
	p.outputs = append(p.outputs, planned)
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

// sort orders the resources so that each comes after those it needs, and otherwise as in the template.
func (p *plan) sort(byID map[string]planned) error {
	var ids []string
	for _, id := range p.template.Resources.names {
		if _, ok := byID[id]; ok {
			ids = append(ids, id)
		}
	}
	order, circle := inOrder(ids, func(id string) []string { return byID[id].needs })
	if circle != nil {
		return fmt.Errorf("the resources refer to each other in a circle: %s", cycleText(circle))
	}
	for _, id := range order {
		p.resources = append(p.resources, byID[id])
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
