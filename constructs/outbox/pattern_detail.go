package outbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// What a text can match of version and occurredAt, which the pipe passes on as texts of whole numbers from 1.
var (
	wholeNumber      = regexp.MustCompile(`^[1-9][0-9]*$`)
	wholeNumberParts = map[string]*regexp.Regexp{
		"prefix":             regexp.MustCompile(`^([1-9][0-9]*)?$`),
		"suffix":             regexp.MustCompile(`^[0-9]*$`),
		"equals-ignore-case": wholeNumber,
		"wildcard":           regexp.MustCompile(`^[1-9*][0-9*]*$`),
	}
)

// envelopeShown is the detail of an event, for whoever has written a pattern that cannot match one.
const envelopeShown = `the detail of an event looks like {"id": "…", "type": "OrderCreated", "aggregateType": "Order", "aggregateId": "o-1", ` +
	`"version": "1", "occurredAt": "1793611801123", "data": {"S": "{…}"}, "traceparent": {"S": "…"}, "correlationId": "…", "causationId": {"S": "…"}}`

// A detailCheck goes through a pattern for what could never match an event.
type detailCheck struct {
	found *problems
	only  map[string]allowed // by field
	wrong bool               // and the envelope is to be shown
}

// allowed are the only values of a field that reach the consumer, or nil for any, and the property that lists them.
type allowed struct {
	property string
	values   any
}

func (d *detailCheck) add(format string, args ...any) {
	d.wrong = true
	d.found.add(format, args...)
}

func (d *detailCheck) fields(path string, fields map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		at := path + "." + name
		switch {
		case fields[name] == deployTime{}:
		case name == "$or":
			d.either(at, fields[name])
		case !slices.Contains(record.DetailFields, name):
			d.add("%s must be a field of the envelope, which has no %s", at, name)
		case slices.Contains(record.DetailObjects, name):
			d.attribute(at, fields[name])
		default:
			d.values(at, name, fields[name])
		}
	}
}

// either checks alternatives. Source: EventBridge user guide, eb-create-pattern-operators.
func (d *detailCheck) either(at string, value any) {
	alternatives, ok := value.([]any)
	if !ok || len(alternatives) < 2 {
		d.add("%s must be a list of two or more patterns, got %s", at, shown(value))
		return
	}
	for i, alternative := range alternatives {
		at := fmt.Sprintf("%s[%d]", at, i)
		if fields, ok := alternative.(map[string]any); ok && len(fields) > 0 {
			d.fields(at, fields)
		} else {
			d.add("%s must be a pattern of one or more fields, got %s", at, shown(alternative))
		}
	}
}

// attribute checks a pattern on a field that arrives as {"S": "…"}.
func (d *detailCheck) attribute(at string, value any) {
	fields, ok := value.(map[string]any)
	if inner, has := fields["S"]; ok && has && len(fields) == 1 {
		d.values(at+".S", "", inner)
		return
	}
	d.add(`%s must be a pattern on the text in its S, like {"S": [{"prefix": "…"}]}, got %s`, at, shown(value))
}

// values checks the list of what a text of the envelope may be.
func (d *detailCheck) values(at, name string, value any) {
	list, ok := value.([]any)
	switch {
	case !ok:
		d.add("%s must be a list of texts or comparisons, got %s", at, shown(value))
	case len(list) == 0:
		d.add("%s must list at least one text or comparison, got none", at)
	}
	for i, element := range list {
		at := fmt.Sprintf("%s[%d]", at, i)
		switch element := element.(type) {
		case deployTime:
		case string:
			d.operand(at, name, "", element)
		case map[string]any:
			d.comparison(at, name, element)
		default:
			d.add("%s must be a text or a comparison, because every value of the envelope is a text, got %s", at, shown(element))
		}
	}
	if only, ok := d.only[name].values.([]any); ok && !overlap(only, list) {
		d.add("%s must allow one of %s, which are values of the same field, got %s", at, d.only[name].property, shown(value))
	}
}

// comparison checks one of EventBridge's operators.
// Source: EventBridge user guide, eb-create-pattern-operators.
func (d *detailCheck) comparison(at, name string, comparison map[string]any) {
	if len(comparison) != 1 {
		d.add("%s must have one operator, got %s", at, shown(comparison))
		return
	}
	for operator, operand := range comparison {
		at := at + "." + operator
		switch operator {
		case "exists":
			if operand != true {
				d.add("%s must be true, because every field is always there, got %s", at, shown(operand))
			}
		case "prefix", "suffix":
			if ignoring, ok := operand.(map[string]any); ok && len(ignoring) == 1 && ignoring["equals-ignore-case"] != nil {
				operand = ignoring["equals-ignore-case"]
			}
			d.operand(at, name, operator, operand)
		case "equals-ignore-case", "wildcard", "cidr":
			d.operand(at, name, operator, operand)
		case "anything-but":
			d.anythingBut(at, operand)
		case "numeric":
			d.add("%s must not be used, because numbers are texts in the envelope", at)
		default:
			d.add("%s must be prefix, suffix, equals-ignore-case, wildcard, cidr, anything-but or exists", at)
		}
	}
}

// anythingBut checks the one operator that takes lists and some of the other operators.
func (d *detailCheck) anythingBut(at string, operand any) {
	if inner, ok := operand.(map[string]any); ok {
		for operator, value := range inner {
			if len(inner) != 1 || !slices.Contains([]string{"prefix", "suffix", "equals-ignore-case", "wildcard"}, operator) {
				d.add("%s must be a text, a list of texts, or one of prefix, suffix, equals-ignore-case and wildcard, got %s", at, shown(operand))
				return
			}
			at, operand = at+"."+operator, value
		}
	}
	list, ok := operand.([]any)
	if !ok {
		d.operand(at, "", "", operand)
		return
	}
	if len(list) == 0 {
		d.add("%s must list at least one text, got none", at)
	}
	for i, value := range list {
		d.operand(fmt.Sprintf("%s[%d]", at, i), "", "", value)
	}
}

// operand checks the text that a field, if there is one, is compared with: by the operator, or as a whole.
func (d *detailCheck) operand(at, name, operator string, value any) {
	text, ok := value.(string)
	number := name == record.AttrVersion || name == record.AttrOccurredAt
	switch {
	case value == deployTime{}:
	case !ok:
		d.add("%s must be a text, because every value of the envelope is one, got %s", at, shown(value))
	case strings.Contains(at, ".wildcard") && strings.Contains(text, "**"):
		d.add("%s must not have two wildcards side by side, which EventBridge refuses, got %q", at, text)
	case operator == "cidr" && (number || !isRange(text)):
		d.add("%s must be a range of IP addresses like 10.0.0.0/24 on a field that holds one, got %q", at, text)
	case number && operator == "" && !wholeNumber.MatchString(text):
		d.add("%s must be the text of a whole number, 1 or more, got %q", at, text)
	case number && operator != "cidr" && operator != "" && !wholeNumberParts[operator].MatchString(text):
		d.add("%s must match the text of a whole number, 1 or more, got %q", at, text)
	case name != "" && text == "" && operator != "prefix" && operator != "suffix":
		d.add("%s must not be empty, because %s never is", at, name)
	}
}

func isRange(text string) bool {
	_, err := netip.ParsePrefix(text)
	return err == nil
}

// overlap reports whether an element of a pattern's list may match one of the values.
func overlap(values, list []any) bool {
	return slices.ContainsFunc(values, func(value any) bool {
		text, known := value.(string)
		return !known || slices.ContainsFunc(list, func(element any) bool { return mayMatch(element, text) })
	})
}

// mayMatch reports whether an element of a pattern's list may match the text. It is true where it cannot tell.
func mayMatch(element any, text string) bool {
	comparison, _ := element.(map[string]any)
	if prefix, ok := comparison["prefix"].(string); ok {
		return strings.HasPrefix(text, prefix)
	}
	if suffix, ok := comparison["suffix"].(string); ok {
		return strings.HasSuffix(text, suffix)
	}
	if same, ok := comparison["equals-ignore-case"].(string); ok {
		return strings.EqualFold(text, same)
	}
	switch not := comparison["anything-but"].(type) {
	case string:
		return text != not
	case []any:
		return !slices.Contains(not, any(text))
	}
	exact, ok := element.(string)
	return !ok || exact == text
}

func shown(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}
