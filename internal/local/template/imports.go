package template

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

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
	given, _ := e.given()
	for _, g := range given {
		if g.export == name {
			return true
		}
	}
	return false
}

// stackOutput returns an output of another stack, which must then be deployed before.
// Source: CloudFormation template reference, intrinsic-function-reference-getstackoutput.
func (e *evaluator) stackOutput(argument any) (link, error) {
	object, ok := argument.(map[string]any)
	if !ok {
		return link{}, errors.New("the argument must be an object with StackName and OutputName")
	}
	texts := map[string]string{}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(object)) {
		text, err := e.constant(object[name])
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
		texts[name] = text
	}
	if region := texts["Region"]; region != "" && region != e.env.Region {
		problems = append(problems, fmt.Errorf("Region must be %s, the only one of the run, got %q", e.env.Region, region))
	}
	if role := texts["RoleArn"]; role != "" {
		problems = append(problems, fmt.Errorf("RoleArn must be empty, because the run has one account, got %q", role))
	}
	if err := errors.Join(problems...); err != nil {
		return link{}, err
	}
	found, ok := e.links.outputs[stackOutput{texts["StackName"], texts["OutputName"]}]
	if !ok {
		return link{}, e.noOutput(texts["StackName"], texts["OutputName"])
	}
	e.needs[found.from.stack] = true
	return found, nil
}

// noOutput returns what to do about an output that no stack of the run has.
func (e *evaluator) noOutput(stack, output string) error {
	if e.stack.assembly != nil {
		for _, other := range e.stack.assembly.stacks {
			if other.Name == stack && !e.links.stacks[other] {
				return fmt.Errorf("stack %s is not in the run: add --stack %s", stack, other.DisplayName)
			}
		}
	}
	return fmt.Errorf("StackName and OutputName must be an output of a stack of the run, got %s of %s", output, stack)
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
