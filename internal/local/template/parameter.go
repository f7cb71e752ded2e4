package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A parameter is an entry of the section Parameters.
// Source: CloudFormation user guide, parameters-section-structure.
type parameter struct {
	Type                  string       `json:"Type"`
	Description           string       `json:"Description"`
	Default               any          `json:"Default"`
	AllowedValues         []any        `json:"AllowedValues"`
	AllowedPattern        string       `json:"AllowedPattern"`
	ConstraintDescription string       `json:"ConstraintDescription"`
	MinLength             *json.Number `json:"MinLength"`
	MaxLength             *json.Number `json:"MaxLength"`
	MinValue              *json.Number `json:"MinValue"`
	MaxValue              *json.Number `json:"MaxValue"`
	NoEcho                Bool         `json:"NoEcho"`
}

// assetParameter begins the names of the parameters by which the CDK's legacy synthesizer tells a stack where the CLI has
// uploaded its assets. They have no default, and nothing is uploaded here. Source: aws-cdk, legacy-stack-synthesizer.
const assetParameter = "AssetParameters"

// storeType matches the types whose value is the name of a parameter in the SSM Parameter Store, and captures the type of
// what is read there.
// Source: CloudFormation user guide, cloudformation-supplied-parameter-types.
var storeType = regexp.MustCompile(`^AWS::SSM::Parameter::Value<(.+)>$`)

// A stored is the value of a parameter that is read from the SSM Parameter Store.
type stored struct {
	name string
	list bool
}

// value returns what a Ref to the parameter resolves to: a text, a list, or something that is [stored]. given is nil when
// the run was not told a value.
func (p parameter) value(name string, given *string) (any, error) {
	text, err := p.text(name, given)
	if err != nil {
		return nil, err
	}
	kind := p.Type
	inStore := storeType.FindStringSubmatch(p.Type)
	if inStore != nil {
		kind = inStore[1]
	}
	list, err := isList(kind)
	if err != nil {
		return nil, fmt.Errorf("parameter %s: %w", name, err)
	}
	if err := p.check(text, list && inStore == nil); err != nil {
		return nil, p.violated(name, text, err)
	}
	if inStore != nil {
		return stored{name: text, list: list}, nil
	}
	return textOrList(text, list), nil
}

// text returns the value as it is given, or the default.
func (p parameter) text(name string, given *string) (string, error) {
	switch {
	case given != nil:
		return *given, nil
	case p.Default != nil:
		text, err := scalar(p.Default)
		if err != nil {
			return "", fmt.Errorf("default of parameter %s: %w", name, err)
		}
		return text, nil
	case strings.HasPrefix(name, assetParameter):
		return name, nil
	}
	return "", fmt.Errorf("parameter %s must have a value, because it has no default: add --parameter %s=VALUE%s", name, name, p.describe())
}

// describe returns what is known about the values that the parameter takes, in parentheses.
func (p parameter) describe() string {
	facts := []string{p.Type}
	if p.Description != "" {
		facts = append(facts, p.Description)
	}
	if len(p.AllowedValues) > 0 {
		facts = append(facts, "one of "+p.allowed())
	}
	return " (" + strings.Join(facts, "; ") + ")"
}

func (p parameter) allowed() string {
	values, err := scalars(p.AllowedValues)
	if err != nil {
		return shorten(p.AllowedValues)
	}
	return strings.Join(values, ", ")
}

// violated returns the error for a value that breaks rules of the parameter: one for each, and none shows what is not to be
// echoed.
func (p parameter) violated(name, value string, err error) error {
	got := fmt.Sprintf("%q", value)
	if p.NoEcho {
		got = "a value that is not shown (NoEcho)"
	}
	if p.ConstraintDescription != "" {
		got += " (" + p.ConstraintDescription + ")"
	}
	var problems []error
	for _, rule := range each(err) {
		problems = append(problems, fmt.Errorf("parameter %s %w, got %s", name, rule, got))
	}
	return errors.Join(problems...)
}

// isList reports whether values of the type are lists of texts, separated by commas.
func isList(kind string) (bool, error) {
	switch {
	case kind == "String", kind == "Number", kind == "AWS::SSM::Parameter::Name":
		return false, nil
	case kind == "CommaDelimitedList", strings.HasPrefix(kind, "List<") && strings.HasSuffix(kind, ">"):
		return true, nil
	case strings.HasPrefix(kind, "AWS::") && !strings.Contains(kind, "<"): // an id or a name of something on AWS
		return false, nil
	}
	return false, fmt.Errorf("the type must be one of CloudFormation's, got %q", kind)
}

// check returns what the value breaks. Rules about values apply to each element of a list.
func (p parameter) check(text string, list bool) error {
	elements := []string{text}
	if list {
		elements = splitText(text)
	}
	allowed, err := scalars(p.AllowedValues)
	if err != nil && p.AllowedValues != nil {
		return errors.New("must have AllowedValues that are scalars")
	}
	pattern, err := p.pattern()
	if err != nil {
		return err
	}
	var problems []error
	for _, element := range elements {
		if len(allowed) > 0 && !slices.Contains(allowed, element) {
			problems = append(problems, fmt.Errorf("must be one of %s", strings.Join(allowed, ", ")))
		}
		if pattern != nil && !pattern.MatchString(element) {
			problems = append(problems, fmt.Errorf("must match %s", p.AllowedPattern))
		}
		if p.Type == "Number" || p.Type == "List<Number>" {
			problems = append(problems, p.checkNumber(element))
		}
	}
	if p.Type == "String" {
		problems = append(problems, p.checkLength(len([]rune(text))))
	}
	return errors.Join(problems...)
}

// pattern compiles AllowedPattern, which must match the whole value. CloudFormation's patterns are Java's: what Go does not
// have, such as a look-ahead, is refused.
func (p parameter) pattern() (*regexp.Regexp, error) {
	if p.AllowedPattern == "" {
		return nil, nil
	}
	compiled, err := regexp.Compile(`^(?:` + p.AllowedPattern + `)$`)
	if err != nil {
		return nil, fmt.Errorf("must have an AllowedPattern that Go's regexp takes (%w)", err)
	}
	return compiled, nil
}

func (p parameter) checkNumber(text string) error {
	value, err := json.Number(text).Float64()
	if err != nil {
		return errors.New("must be a number")
	}
	return errors.Join(
		limit(p.MinValue, "must be at least", func(least float64) bool { return value >= least }),
		limit(p.MaxValue, "must be at most", func(most float64) bool { return value <= most }),
	)
}

func (p parameter) checkLength(length int) error {
	return errors.Join(
		limit(p.MinLength, "must have a length of at least", func(least float64) bool { return float64(length) >= least }),
		limit(p.MaxLength, "must have a length of at most", func(most float64) bool { return float64(length) <= most }),
	)
}

// limit returns an error when a rule has a limit that does not hold.
func limit(to *json.Number, rule string, holds func(float64) bool) error {
	if to == nil {
		return nil
	}
	if number, err := to.Float64(); err != nil || !holds(number) {
		return fmt.Errorf("%s %s", rule, *to)
	}
	return nil
}

func textOrList(text string, list bool) any {
	if !list {
		return text
	}
	var elements []any
	for _, element := range splitText(text) {
		elements = append(elements, element)
	}
	return elements
}

// splitText returns the elements of a list that is written as a text. Spaces around them do not count.
func splitText(text string) []string {
	elements := strings.Split(text, ",")
	for i := range elements {
		elements[i] = strings.TrimSpace(elements[i])
	}
	return elements
}
