package template

import (
	"errors"
	"fmt"
)

// links hold what the stacks of a run give one another by names, and which of their own names are not unique.
type links struct {
	exports map[string]link // by the name of the export
	outputs map[stackOutput]link
	store   map[string]link // by the name of the parameter in the SSM Parameter Store
	stacks  map[*Stack]bool
	ids     map[string]int // how many stacks have a logical id
	names   map[string]int // how many stacks have a readable name
}

// A stackOutput names an output of a stack.
type stackOutput struct{ stack, output string }

// A link is a value that a stack gives to others. It can be resolved when the resources that it refers to are there.
type link struct {
	from  *evaluator
	value any
}

func (l link) resolve() (any, error) {
	value, err := l.from.resolve(l.value)
	if err != nil {
		return nil, fmt.Errorf("stack %s, which has it: %w", l.from.stack.DisplayName, err)
	}
	return value, nil
}

func newLinks(stacks []*Stack) *links {
	l := &links{exports: map[string]link{}, outputs: map[stackOutput]link{}, store: map[string]link{}, stacks: map[*Stack]bool{}, ids: map[string]int{}, names: map[string]int{}}
	for _, s := range stacks {
		l.stacks[s] = true
		for _, id := range s.template.Resources.names {
			l.ids[id]++
			l.names[s.readableName(s.resource(id, s.template.Resources.byName[id]))]++
		}
	}
	return l
}

// logicalID returns the name for [Resource].
func (l *links) logicalID(s *Stack, id string) string {
	if l.ids[id] > 1 {
		return s.Name + "/" + id
	}
	return id
}

// readableName returns the name for [Deployed].
func (l *links) readableName(s *Stack, r Resource) string {
	name := s.readableName(r)
	if l.names[name] > 1 {
		return s.DisplayName + "/" + name
	}
	return name
}

// add makes known what a stack gives to others.
func (l *links) add(e *evaluator) error {
	given, err := e.given()
	problems := []error{err}
	for _, g := range given {
		l.outputs[stackOutput{e.stack.Name, g.output}] = g.link
		if g.export == "" {
			continue
		}
		if other, taken := l.exports[g.export]; taken {
			problems = append(problems, fmt.Errorf("output %s: an export must have a name of its own, got %q, which stack %s has too", g.output, g.export, other.from.stack.DisplayName))
			continue
		}
		l.exports[g.export] = g.link
	}
	l.addStored(e)
	return errors.Join(problems...)
}

// A given is an output that other stacks may use.
type given struct {
	link
	output string
	export string // the name of the export, or empty
}

// given returns the outputs of a stack. The names of exports depend on no resource. An output that cannot be planned is
// left to the plan, which says why.
// Source: CloudFormation template reference, intrinsic-function-reference-importvalue.
func (e *evaluator) given() ([]given, error) {
	var all []given
	var problems []error
	for _, name := range e.template.Outputs.names {
		o := e.template.Outputs.byName[name]
		if holds, err := e.holds(o.Condition); err != nil || !holds {
			continue
		}
		value, _, err := e.prune(o.Value)
		if err != nil {
			continue
		}
		g := given{link: link{e, value}, output: name}
		if o.Export != nil {
			if g.export, err = e.constant(o.Export.Name); err != nil {
				problems = append(problems, fmt.Errorf("output %s: Export.Name: %w", name, err))
				continue
			}
		}
		all = append(all, g)
	}
	return all, errors.Join(problems...)
}

// constant resolves a text that depends on no resource.
func (e *evaluator) constant(v any) (string, error) {
	v, _, err := e.prune(v)
	if err == nil {
		v, err = e.resolve(v)
	}
	if err != nil {
		return "", err
	}
	return scalar(v)
}

// addStored makes known which parameters a stack puts into the SSM Parameter Store. One whose name depends on a resource
// cannot be the value of a parameter elsewhere.
func (l *links) addStored(e *evaluator) {
	for _, id := range e.template.Resources.names {
		d := e.template.Resources.byName[id]
		if active, err := e.isActive(id); d.Type != "AWS::SSM::Parameter" || err != nil || !active {
			continue
		}
		properties, _, err := e.prune(d.Properties)
		object, ok := properties.(map[string]any)
		if err != nil || !ok {
			continue
		}
		if name, err := e.constant(object["Name"]); err == nil {
			l.store[name] = link{e, object["Value"]}
		}
	}
}
