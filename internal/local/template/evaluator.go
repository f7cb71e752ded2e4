package template

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// An evaluator resolves the names in one template.
type evaluator struct {
	stack      *Stack
	template   *document
	env        Environment
	links      *links
	needs      map[*Stack]bool // those whose exports or parameters the template uses
	parameters map[string]any
	conditions map[string]bool // those already evaluated
	evaluating []string        // conditions that are being evaluated
	skipped    map[string]Resource
	created    map[string]Attributes
}

// pseudoParameter returns the value of a pseudo-parameter. AWS::NoValue is not among them: see [evaluator.prune].
// Source: CloudFormation template reference, pseudo-parameter-reference.
func (e *evaluator) pseudoParameter(name string) (any, bool) {
	switch name {
	case "AWS::AccountId":
		return e.env.Account, true
	case "AWS::Region":
		return e.env.Region, true
	case "AWS::Partition":
		return "aws", true
	case "AWS::URLSuffix":
		return "amazonaws.com", true
	case "AWS::StackName":
		return e.stack.Name, true
	case "AWS::StackId":
		return e.arn("cloudformation", "stack/"+e.stack.Name+"/"+digest(e.stack.Name)), true
	case "AWS::NotificationARNs":
		return []any{}, true
	}
	return nil, false
}

func (e *evaluator) arn(service, resource string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, e.env.Region, e.env.Account, resource)
}

// digest returns eight hexadecimal digits of a hash of the text.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// lookup returns the value of an attribute of a resource; the attribute "" stands for its Ref.
func (e *evaluator) lookup(id, attribute string) (any, error) {
	if r, ok := e.skipped[id]; ok {
		return e.placeholder(r, attribute), nil
	}
	attributes, ok := e.created[id]
	if !ok {
		return nil, fmt.Errorf("there is no resource or parameter %s here", id)
	}
	if attribute == "" {
		return attributes.Ref, nil
	}
	value, ok := attributes.GetAtt[attribute]
	if !ok {
		return nil, fmt.Errorf("%s (%s) has no attribute %s in the local run, it has: %s", id,
			e.template.Resources.byName[id].Type, attribute, strings.Join(slices.Sorted(maps.Keys(attributes.GetAtt)), ", "))
	}
	return value, nil
}

// condition returns the value of a condition of the template.
func (e *evaluator) condition(name string) (bool, error) {
	if value, ok := e.conditions[name]; ok {
		return value, nil
	}
	expression, ok := e.template.Conditions[name]
	if !ok {
		return false, fmt.Errorf("there is no condition %s", name)
	}
	if start := slices.Index(e.evaluating, name); start >= 0 {
		return false, fmt.Errorf("the conditions refer to each other in a circle: %s", cycleText(e.evaluating[start:]))
	}
	e.evaluating = append(e.evaluating, name)
	value, err := e.conditionFunction(expression)
	e.evaluating = e.evaluating[:len(e.evaluating)-1]
	if err != nil {
		return false, fmt.Errorf("condition %s: %w", name, err)
	}
	e.conditions[name] = value
	return value, nil
}

// holds returns the value of a condition, which is true without a name.
func (e *evaluator) holds(name string) (bool, error) {
	if name == "" {
		return true, nil
	}
	return e.condition(name)
}

func cycleText(names []string) string {
	return strings.Join(append(slices.Clone(names), names[0]), " → ")
}

// conditionFunction returns the value of a condition function.
func (e *evaluator) conditionFunction(expression any) (bool, error) {
	object, _ := expression.(map[string]any)
	if name, ok := object["Condition"].(string); ok && len(object) == 1 {
		return e.condition(name)
	}
	name, argument, ok := intrinsic(object)
	if !ok {
		return false, errors.New("the value must be a condition function")
	}
	operands, ok := argument.([]any)
	if !ok {
		return false, fmt.Errorf("%s: the argument must be a list", name)
	}
	switch {
	case name == "Fn::Equals" && len(operands) == 2:
		return e.equal(operands[0], operands[1])
	case name == "Fn::Not" && len(operands) == 1:
		value, err := e.conditionFunction(operands[0])
		return !value, err
	case name == "Fn::And" && len(operands) > 0:
		return e.allAre(operands, true)
	case name == "Fn::Or" && len(operands) > 0:
		return e.allAre(operands, false)
	case name == "Fn::Equals", name == "Fn::Not", name == "Fn::And", name == "Fn::Or":
		return false, fmt.Errorf("%s: unexpected number of operands: %d", name, len(operands))
	}
	return false, fmt.Errorf("%s: %s", name, whyUnsupported(name))
}

func (e *evaluator) equal(a, b any) (bool, error) {
	left, err := e.operand(a)
	if err != nil {
		return false, fmt.Errorf("Fn::Equals: %w", err)
	}
	right, err := e.operand(b)
	if err != nil {
		return false, fmt.Errorf("Fn::Equals: %w", err)
	}
	return left == right, nil
}

// operand returns a value as text, so that 1 and "1" are equal.
func (e *evaluator) operand(v any) (string, error) {
	v, err := e.resolve(v)
	if err != nil {
		return "", err
	}
	if text, err := scalar(v); err == nil {
		return text, nil
	}
	raw, err := json.Marshal(v)
	return string(raw), err
}

// allAre evaluates Fn::And, with and set, or Fn::Or: it returns the first operand that differs from and, or else and.
func (e *evaluator) allAre(operands []any, and bool) (bool, error) {
	for _, operand := range operands {
		value, err := e.conditionFunction(operand)
		if err != nil || value != and {
			return value, err
		}
	}
	return and, nil
}

// prune replaces every Fn::If by its chosen branch and removes every AWS::NoValue. kept is false when nothing is left
// of the value.
func (e *evaluator) prune(v any) (pruned any, kept bool, err error) {
	switch v := v.(type) {
	case map[string]any:
		name, argument, ok := intrinsic(v)
		switch {
		case ok && name == "Ref" && argument == "AWS::NoValue":
			return nil, false, nil
		case ok && name == "Fn::If":
			return e.chooseBranch(argument)
		}
		object := make(map[string]any, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) { // the first error is always the same
			value, kept, err := e.prune(v[name])
			if err != nil {
				return nil, false, fmt.Errorf("%s: %w", name, err)
			}
			if kept {
				object[name] = value
			}
		}
		return object, true, nil
	case []any:
		list := make([]any, 0, len(v))
		for _, element := range v {
			value, kept, err := e.prune(element)
			if err != nil {
				return nil, false, err
			}
			if kept {
				list = append(list, value)
			}
		}
		return list, true, nil
	default:
		return v, v != nil, nil
	}
}

func (e *evaluator) chooseBranch(argument any) (any, bool, error) {
	parts, ok := argument.([]any)
	if !ok || len(parts) != 3 {
		return nil, false, errors.New("Fn::If: the argument must be [condition, value if true, value if false]")
	}
	name, _ := parts[0].(string)
	holds, err := e.condition(name)
	if err != nil {
		return nil, false, fmt.Errorf("Fn::If: %w", err)
	}
	if holds {
		return e.prune(parts[1])
	}
	return e.prune(parts[2])
}
