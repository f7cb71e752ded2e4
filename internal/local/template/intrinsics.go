package template

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// unsupported holds the intrinsics that need something which the local run does not have, and what to do instead.
var unsupported = map[string]string{
	"Fn::GetAZs": "there are no availability zones locally",
	"Fn::Cidr":   "there are no networks locally",
	"Fn::Transform": "macros run in AWS only: deploy the template once, and include in the CDK app (cloudformation-include) what " +
		"`aws cloudformation get-template --template-stage Processed` returns",
	"Fn::ForEach": "loops are not expanded locally: write a loop in the CDK app, which synthesizes each resource",
}

// samTransform makes a template one of the Serverless Application Model.
const samTransform = "AWS::Serverless-2016-10-31"

// whySAM returns how such a template runs here.
const whySAM = "the local run does not support it: run `sam build`, translate .aws-sam/build/template.yaml to CloudFormation as docs/local.md shows, and name the result with --template"

// intrinsic returns the name and the argument of {"Fn::Name": argument} or {"Ref": argument}.
// Source: CloudFormation template reference, intrinsic-function-reference.
func intrinsic(object map[string]any) (name string, argument any, ok bool) {
	if len(object) == 1 {
		for name, argument := range object {
			if name == "Ref" || strings.HasPrefix(name, "Fn::") {
				return name, argument, true
			}
		}
	}
	return "", nil, false
}

// resolve replaces the intrinsics in a value from which [evaluator.prune] has removed Fn::If and AWS::NoValue.
func (e *evaluator) resolve(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if name, argument, ok := intrinsic(v); ok {
			value, err := e.call(name, argument)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			return value, nil
		}
		resolved := make(map[string]any, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) { // the first error is always the same
			value, err := e.resolve(v[name])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			resolved[name] = value
		}
		return resolved, nil
	case []any:
		resolved := make([]any, len(v))
		for i, element := range v {
			value, err := e.resolve(element)
			if err != nil {
				return nil, err
			}
			resolved[i] = value
		}
		return resolved, nil
	default:
		return v, nil
	}
}

func (e *evaluator) call(name string, argument any) (any, error) {
	switch name {
	case "Fn::Sub":
		return e.sub(argument)
	case "Fn::GetStackOutput":
		found, err := e.stackOutput(argument)
		if err != nil {
			return nil, err
		}
		return found.resolve()
	}
	argument, err := e.resolve(argument)
	if err != nil {
		return nil, err
	}
	switch name {
	case "Ref":
		return e.ref(argument)
	case "Fn::GetAtt":
		return e.getAtt(argument)
	case "Fn::ImportValue":
		found, err := e.imported(argument)
		if err != nil {
			return nil, err
		}
		return found.resolve()
	case "Fn::Join":
		return join(argument)
	case "Fn::Split":
		return split(argument)
	case "Fn::Select":
		return selectElement(argument)
	case "Fn::FindInMap":
		return e.findInMap(argument)
	case "Fn::Base64":
		text, err := scalar(argument)
		return base64.StdEncoding.EncodeToString([]byte(text)), err
	case "Fn::Length":
		list, ok := argument.([]any)
		if !ok {
			return nil, errors.New("the argument must be a list")
		}
		return json.Number(strconv.Itoa(len(list))), nil
	case "Fn::ToJsonString":
		return toJSON(argument)
	default:
		return nil, errors.New(whyUnsupported(name))
	}
}

// forEach begins the key of a loop: Fn::ForEach::<name>.
// Source: CloudFormation template reference, intrinsic-function-reference-foreach.
const forEach = "Fn::ForEach::"

// whyUnsupported returns why an intrinsic cannot be used, and what to do.
func whyUnsupported(name string) string {
	switch name {
	case "Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not":
		return "it is allowed in Conditions only"
	}
	if strings.HasPrefix(name, forEach) {
		name = "Fn::ForEach"
	}
	if why, ok := unsupported[name]; ok {
		return "the local run does not support it: " + why
	}
	return "the local run does not know it"
}

func (e *evaluator) ref(argument any) (any, error) {
	name, ok := argument.(string)
	if !ok {
		return nil, errors.New("the argument must be the name of a resource or parameter")
	}
	if value, ok := e.pseudoParameter(name); ok {
		return value, nil
	}
	if _, ok := e.parameters[name]; ok {
		return e.parameter(name)
	}
	return e.lookup(name, "")
}

func (e *evaluator) getAtt(argument any) (any, error) {
	id, attribute, err := target(argument)
	if err != nil {
		return nil, err
	}
	return e.lookup(id, attribute)
}

// target parses both forms of Fn::GetAtt: ["Id", "Outputs.Name"] and "Id.Outputs.Name".
func target(argument any) (id, attribute string, err error) {
	switch v := argument.(type) {
	case string:
		if id, attribute, ok := strings.Cut(v, "."); ok {
			return id, attribute, nil
		}
	case []any:
		if len(v) == 2 {
			id, isID := v[0].(string)
			attribute, isAttribute := v[1].(string)
			if isID && isAttribute {
				return id, attribute, nil
			}
		}
	}
	return "", "", errors.New(`the argument must be [logical id, attribute] or "id.attribute"`)
}

var variable = regexp.MustCompile(`\$\{([^}]*)\}`)

// substitute replaces the ${names} of an Fn::Sub; ${!name} becomes ${name}.
func substitute(text string, value func(name string) (string, error)) (string, error) {
	var problems []error
	replaced := variable.ReplaceAllStringFunc(text, func(found string) string {
		name := found[2 : len(found)-1]
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			return "${" + literal + "}"
		}
		v, err := value(name)
		if err != nil {
			problems = append(problems, fmt.Errorf("${%s}: %w", name, err))
		}
		return v
	})
	return replaced, errors.Join(problems...)
}

// subForms parses both forms of Fn::Sub: "text" and ["text", {"name": value}].
func subForms(argument any) (text string, variables map[string]any, err error) {
	if text, ok := argument.(string); ok {
		return text, nil, nil
	}
	if list, ok := argument.([]any); ok && len(list) == 2 {
		text, isText := list[0].(string)
		variables, isMap := list[1].(map[string]any)
		if isText && isMap {
			return text, variables, nil
		}
	}
	return "", nil, errors.New("the argument must be a string, or a list of a string and an object of variables")
}

func (e *evaluator) sub(argument any) (any, error) {
	text, variables, err := subForms(argument)
	if err != nil {
		return nil, err
	}
	return substitute(text, func(name string) (string, error) {
		var value any
		var err error
		if own, ok := variables[name]; ok {
			value, err = e.resolve(own)
		} else if id, attribute, dotted := strings.Cut(name, "."); dotted {
			value, err = e.lookup(id, attribute)
		} else {
			value, err = e.ref(name)
		}
		if err != nil {
			return "", err
		}
		return scalar(value)
	})
}

func (e *evaluator) findInMap(argument any) (any, error) {
	keys, err := scalars(argument)
	if err != nil || len(keys) != 3 {
		return nil, errors.New("the argument must be [map, first key, second key]")
	}
	value, ok := e.template.Mappings[keys[0]][keys[1]][keys[2]]
	if !ok {
		return nil, fmt.Errorf("the map %s of Mappings has no value for %s, %s", keys[0], keys[1], keys[2])
	}
	return value, nil
}
