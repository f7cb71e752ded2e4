package template

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// references returns the resources that a pruned value refers to, and an error for everything that is wrong with its
// intrinsics, before any resource is created.
func (e *evaluator) references(v any) ([]string, error) {
	w := walker{evaluator: e}
	w.visit(v, nil)
	return w.ids, errors.Join(w.problems...)
}

type walker struct {
	*evaluator
	ids      []string
	problems []error
}

// visit visits a value and everything in it. at is its place in the template.
func (w *walker) visit(v any, at []string) {
	switch v := v.(type) {
	case map[string]any:
		if name, argument, ok := intrinsic(v); ok {
			w.call(name, argument, append(at, name))
			return
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if strings.HasPrefix(name, "Fn::") { // a loop or macro beside other members
				w.problem(append(at, name), errors.New(whyUnsupported(name)))
				continue
			}
			w.visit(v[name], append(at, name))
		}
	case []any:
		for _, element := range v {
			w.visit(element, at)
		}
	case string:
		if strings.Contains(v, "{{resolve:") {
			w.problem(at, fmt.Errorf("dynamic reference %s: the local run does not support it: secrets and parameters exist only in AWS", v))
		}
	}
}

func (w *walker) call(name string, argument any, at []string) {
	switch name {
	case "Ref":
		w.name(argument, at)
	case "Fn::GetAtt":
		id, _, err := target(argument)
		if err != nil {
			w.problem(at, err)
			return
		}
		w.resource(id, at)
	case "Fn::ImportValue":
		if _, err := w.imported(argument); err != nil {
			w.problem(at, err)
		}
	case "Fn::GetStackOutput":
		if _, err := w.stackOutput(argument); err != nil {
			for _, err := range each(err) {
				w.problem(at, err)
			}
		}
	case "Fn::Sub":
		w.sub(argument, at)
	case "Fn::Join", "Fn::Split", "Fn::Select", "Fn::FindInMap", "Fn::Base64", "Fn::Length", "Fn::ToJsonString":
		w.visit(argument, at)
	default:
		w.problem(at, errors.New(whyUnsupported(name)))
	}
}

func (w *walker) sub(argument any, at []string) {
	text, variables, err := subForms(argument)
	if err != nil {
		w.problem(at, err)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		w.visit(variables[name], at)
	}
	_, _ = substitute(text, func(name string) (string, error) {
		if _, own := variables[name]; own {
			return "", nil
		}
		if id, _, dotted := strings.Cut(name, "."); dotted {
			w.resource(id, at)
		} else {
			w.name(name, at)
		}
		return "", nil
	})
	w.visit(text, at)
}

// name checks the argument of a Ref: the name of a resource, a parameter or a pseudo-parameter.
func (w *walker) name(argument any, at []string) {
	name, _ := argument.(string)
	if _, ok := w.pseudoParameter(name); ok {
		return
	}
	if value, ok := w.parameters[name]; ok {
		if inStore, ok := value.(stored); ok {
			if _, err := w.fromStore(name, inStore); err != nil {
				w.problem(at, err)
			}
		}
		return
	}
	w.resource(name, at)
}

func (w *walker) resource(id string, at []string) {
	isActive, err := w.isActive(id)
	switch {
	case err != nil:
		w.problem(at, err)
	case !isActive:
		w.problem(at, fmt.Errorf("the condition of %s excludes it from the stack", id))
	default:
		w.ids = append(w.ids, id)
	}
}

func (w *walker) problem(at []string, err error) {
	w.problems = append(w.problems, fmt.Errorf("%s: %w", strings.Join(at, "."), err))
}

// isActive reports whether the resource is part of the stack: its condition, if it has one, holds.
func (e *evaluator) isActive(id string) (bool, error) {
	d, ok := e.template.Resources.byName[id]
	if !ok {
		return false, fmt.Errorf("there is no resource or parameter %q in the template", id)
	}
	return e.holds(d.Condition)
}
