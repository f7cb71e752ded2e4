package template

import (
	"errors"
	"fmt"
)

// links hold what the stacks of a run give one another by names, and which of their own names are not unique.
type links struct {
	exports map[string]link // by the name of the export
	store   map[string]link // by the name of the parameter in the SSM Parameter Store
	ids     map[string]int  // how many stacks have a logical id
	names   map[string]int  // how many stacks have a readable name
}

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
	l := &links{exports: map[string]link{}, store: map[string]link{}, ids: map[string]int{}, names: map[string]int{}}
	for _, s := range stacks {
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
	exports, err := e.exports()
	problems := []error{err}
	for _, export := range exports {
		if other, taken := l.exports[export.name]; taken {
			problems = append(problems, fmt.Errorf("output %s: an export must have a name of its own, got %q, which stack %s has too", export.output, export.name, other.from.stack.DisplayName))
			continue
		}
		l.exports[export.name] = link{e, export.value}
	}
	l.addStored(e)
	return errors.Join(problems...)
}

// An export is an output that other stacks may import.
type export struct {
	name, output string
	value        any
}

// exports returns what a stack exports. The names depend on no resource.
// Source: CloudFormation template reference, intrinsic-function-reference-importvalue.
func (e *evaluator) exports() ([]export, error) {
	var all []export
	var problems []error
	for _, name := range e.template.Outputs.names {
		o := e.template.Outputs.byName[name]
		if o.Export == nil {
			continue
		}
		holds, err := e.holds(o.Condition)
		if err != nil || !holds {
			continue // of an error the plan tells
		}
		value, _, err := e.prune(o.Value)
		if err != nil {
			continue // likewise
		}
		exported, err := e.constant(o.Export.Name)
		if err != nil {
			problems = append(problems, fmt.Errorf("output %s: Export.Name: %w", name, err))
			continue
		}
		all = append(all, export{exported, name, value})
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

// imported returns the export of another stack, which must then be deployed before.
func (e *evaluator) imported(argument any) (link, error) {
	argument, err := e.resolve(argument)
	if err != nil {
		return link{}, err
	}
	name, err := scalar(argument)
	if err != nil {
		return link{}, err
	}
	found, ok := e.links.exports[name]
	if !ok {
		return link{}, e.notExported(name)
	}
	e.needs[found.from.stack] = true
	return found, nil
}

// notExported returns what to do about an export that no stack of the run has.
func (e *evaluator) notExported(name string) error {
	if e.stack.assembly != nil {
		for _, other := range e.stack.assembly.stacks {
			if other.hasExport(name, e.env) {
				return fmt.Errorf("no stack of the run exports %q: add --stack %s, which does", name, other.DisplayName)
			}
		}
	}
	return fmt.Errorf("no stack of the run exports %q: add the stack that does, or a value with --stand-in export=%s=VALUE", name, name)
}

// hasExport reports whether a stack that is not in the run has an export.
func (s *Stack) hasExport(name string, env Environment) bool {
	if _, err := s.load(); err != nil {
		return false
	}
	e := s.evaluator(env, newLinks(nil))
	_ = e.readParameters(nil) // a value that is missing matters when the stack is in the run
	exports, _ := e.exports()
	for _, one := range exports {
		if one.name == name {
			return true
		}
	}
	return false
}

// parameter returns the value of a parameter of the template.
func (e *evaluator) parameter(name string) (any, error) {
	value := e.parameters[name]
	inStore, ok := value.(stored)
	if !ok {
		return value, nil
	}
	found, err := e.fromStore(name, inStore)
	if err != nil {
		return nil, err
	}
	value, err = found.resolve()
	if err != nil {
		return nil, fmt.Errorf("parameter %s: %w", name, err)
	}
	text, err := scalar(value)
	return textOrList(text, inStore.list), err
}

// fromStore returns what a parameter is read from: a parameter of the SSM Parameter Store that another stack of the run
// makes, and that must then be deployed before.
func (e *evaluator) fromStore(parameter string, value stored) (link, error) {
	found, ok := e.links.store[value.name]
	if !ok {
		return link{}, fmt.Errorf("parameter %s must be the name of an SSM parameter that a stack of the run makes, got %q: add the stack that does, or a value with --stand-in ssm=%s=VALUE",
			parameter, value.name, value.name)
	}
	e.needs[found.from.stack] = true
	return found, nil
}
