package template

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// settings holds the values that a run was given for parameters, by stack and parameter.
type settings map[*Stack]map[string]string

// readSettings reads "Name=value", which is for each stack that has the parameter, and "Stack:Name=value", as the CDK's CLI
// does.
func readSettings(texts []string, stacks []*Stack) (settings, error) {
	given := settings{}
	for _, s := range stacks {
		given[s] = map[string]string{}
	}
	var problems []error
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			problems = append(problems, fmt.Errorf("--parameter must be NAME=VALUE or STACK:NAME=VALUE, got %q", text))
			continue
		}
		of, name, qualified := cutStack(name)
		known := false
		for _, s := range stacks {
			if qualified && !s.is(of) {
				continue
			}
			if _, has := s.template.Parameters.byName[name]; has {
				given[s][name], known = value, true
			}
		}
		if !known {
			problems = append(problems, fmt.Errorf("--parameter must name one of %s, got %q", parametersOf(stacks), strings.TrimSuffix(text, "="+value)))
		}
	}
	return given, errors.Join(problems...)
}

// cutStack splits "Stack:Name". A parameter's name has no colon.
func cutStack(text string) (stack, name string, qualified bool) {
	if at := strings.LastIndex(text, ":"); at >= 0 {
		return text[:at], text[at+1:], true
	}
	return "", text, false
}

// parametersOf returns the names of the parameters that the stacks have.
func parametersOf(stacks []*Stack) string {
	var names []string
	for _, s := range stacks {
		for _, name := range s.template.Parameters.names {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if names == nil {
		return "the stack's parameters (it has none)"
	}
	return strings.Join(names, ", ")
}

// of returns the value of a parameter, or nil.
func (g settings) of(s *Stack, name string) *string {
	if value, ok := g[s][name]; ok {
		return &value
	}
	return nil
}
