package iam

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A condition is one key of one operator in a statement.
type condition struct {
	key      string
	values   oneOrMore
	operator operator
	set      string // forAll, forAny or empty
	ifExists bool
	null     bool
}

// The prefixes of operators for keys with more than one value.
// Source: IAM user guide, reference_policies_condition-single-vs-multi-valued-context-keys.
const (
	forAll = "ForAllValues:"
	forAny = "ForAnyValue:"
)

// HasCondition reports whether the statement has a condition about the key. Names of keys are not case-sensitive.
func (s *Statement) HasCondition(key string) bool {
	return slices.ContainsFunc(s.conditions, func(c condition) bool { return strings.EqualFold(c.key, key) })
}

// An operator compares a value of the policy with one of the request.
type operator struct {
	match func(policy, request string) bool
	// check returns an error for a value that a policy cannot have.
	check func(policy string) error
	// negated is set for operators that hold when no value of the policy matches.
	negated bool
	// wildcards is set where * and ? in the policy's value are wildcards; variables where it may have policy variables.
	wildcards, variables bool
}

func compileConditions(given map[string]map[string]oneOrMore) ([]condition, error) {
	var conditions []condition
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(given)) {
		for _, key := range slices.Sorted(maps.Keys(given[name])) {
			c, err := compileCondition(name, key, given[name][key])
			if err != nil {
				problems = append(problems, err)
			}
			conditions = append(conditions, c)
		}
	}
	return conditions, errors.Join(problems...)
}

func compileCondition(name, key string, values oneOrMore) (condition, error) {
	c := condition{key: key, values: values}
	if name == "Null" {
		c.null = true
		for _, value := range values {
			if err := checkBool(value); err != nil {
				return c, fmt.Errorf("condition Null of %s: %w", key, err)
			}
		}
		return c, nil
	}
	base := name
	for _, set := range []string{forAll, forAny} {
		if rest, ok := strings.CutPrefix(base, set); ok {
			base, c.set = rest, set
		}
	}
	base, c.ifExists = strings.CutSuffix(base, "IfExists")
	var known bool
	if c.operator, known = operators[base]; !known {
		return c, fmt.Errorf("condition operator %q is not known, the operators are Null, %s, each also with ForAllValues: or ForAnyValue: before it and IfExists after it",
			name, strings.Join(slices.Sorted(maps.Keys(operators)), ", "))
	}
	for _, value := range values {
		if c.operator.check == nil || strings.Contains(value, "${") {
			continue
		}
		if err := c.operator.check(value); err != nil {
			return c, fmt.Errorf("condition %s of %s: %w", name, key, err)
		}
	}
	return c, nil
}

// holds reports whether the condition holds for a request.
func (c *condition) holds(context Context, variables bool) bool {
	values := context.values(c.key)
	if c.null {
		return slices.ContainsFunc(c.values, func(want string) bool { return strings.EqualFold(want, "true") == isNull(values) })
	}
	if isNull(values) {
		switch {
		case c.ifExists:
			return true
		case c.set != "":
			// All of no values match, and none of them does.
			return c.set == forAll
		}
		// A key that the request does not have matches nothing, which is what a negated operator asks for.
		// (IAM user guide, reference_policies_elements_condition_operators)
		return c.operator.negated
	}
	matches := func(value string) bool { return c.matches(value, context, variables) != c.operator.negated }
	if c.set == forAll || c.set == "" && c.operator.negated {
		return !slices.ContainsFunc(values, func(value string) bool { return !matches(value) })
	}
	return slices.ContainsFunc(values, matches)
}

// matches reports whether a value of the request matches one of the policy's.
func (c *condition) matches(value string, context Context, variables bool) bool {
	return slices.ContainsFunc(c.values, func(want string) bool {
		if variables && c.operator.variables {
			var ok bool
			if want, ok = expand(want, context, c.operator.wildcards); !ok {
				return false
			}
		}
		return c.operator.match(want, value)
	})
}

// isNull reports whether a key is missing or its values are a null data set, such as an empty string.
func isNull(values []string) bool {
	return !slices.ContainsFunc(values, func(value string) bool { return value != "" })
}
