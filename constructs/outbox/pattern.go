package outbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// maxPattern is the longest event pattern of a rule, in characters.
// Source: EventBridge user guide, eb-quota.
const maxPattern = 2048

// wholeNumber is how the pipe passes a number of an item on: as text.
var wholeNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

// envelopeShown is the detail of an event, for whoever has written a pattern that cannot match one.
const envelopeShown = `the detail of an event looks like {"id": "…", "type": "OrderCreated", "aggregateType": "Order", "aggregateId": "o-1", ` +
	`"version": "1", "occurredAt": "1793611801123", "data": {"S": "{…}"}, "traceparent": {"S": "…"}, "correlationId": "…", "causationId": {"S": "…"}}`

// pattern returns the event pattern of the consumer's rule.
func (c *consumerConfig) pattern() map[string]any {
	pattern := map[string]any{"source": c.Sources}
	if c.EventTypes != nil {
		pattern["detail-type"] = c.EventTypes
	}
	detail := map[string]any{}
	if c.Detail != nil {
		maps.Copy(detail, *c.Detail)
	}
	if c.AggregateTypes != nil {
		detail[record.AttrAggregateType] = c.AggregateTypes
	}
	if len(detail) > 0 {
		pattern["detail"] = detail
	}
	return pattern
}

// checkPattern finds what EventBridge would refuse, and what could never match an event.
func (c *consumerConfig) checkPattern(found *problems) {
	found.texts("EventTypes", c.EventTypes, record.MaxDetailType)
	found.keyParts("Sources", c.Sources, record.MaxSource)
	found.keyParts("AggregateTypes", c.AggregateTypes, record.MaxAggregateType)
	text, err := json.Marshal(c.pattern())
	if err != nil {
		found.add("Detail must be an event pattern: %w", err)
		return
	}
	if len(text) > maxPattern {
		found.add("EventTypes, Sources, AggregateTypes and Detail must make a pattern of at most %d characters, got %d", maxPattern, len(text))
	}
	if c.Detail == nil {
		return
	}
	if _, both := (*c.Detail)[record.AttrAggregateType]; both && c.AggregateTypes != nil {
		found.add("Detail must not have %s together with AggregateTypes, which sets it", record.AttrAggregateType)
	}
	detail := &detailCheck{found: found}
	detail.check(*c.Detail)
}

// A detailCheck goes through a pattern for what could never match an event.
type detailCheck struct {
	found *problems
	wrong bool // and the envelope is to be shown
}

func (d *detailCheck) check(detail map[string]any) {
	text, err := json.Marshal(detail)
	if err != nil {
		return // checkPattern has said so
	}
	// The types that a pattern is written in are many, those of JSON few.
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		d.add("Detail must be an object: %w", err)
		return
	}
	if len(fields) == 0 {
		d.add("Detail must name at least one field, got none")
	}
	d.fields("Detail", fields)
	if d.wrong {
		d.found.add("%s", envelopeShown)
	}
}

func (d *detailCheck) add(format string, args ...any) {
	d.wrong = true
	d.found.add(format, args...)
}

func (d *detailCheck) fields(path string, fields map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		at := path + "." + name
		switch {
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
		case string:
			if numeric := name == record.AttrVersion || name == record.AttrOccurredAt; numeric && !wholeNumber.MatchString(element) && !isToken(element) {
				d.add("%s must be the text of a whole number, got %q", at, element)
			}
		case map[string]any:
			d.comparison(at, element)
		default:
			d.add("%s must be a text or a comparison, because every value of the envelope is a text, got %s", at, shown(element))
		}
	}
}

// comparison checks one of EventBridge's operators.
// Source: EventBridge user guide, eb-create-pattern-operators.
func (d *detailCheck) comparison(at string, comparison map[string]any) {
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
			d.operand(at, operand)
		case "equals-ignore-case", "wildcard", "cidr":
			d.operand(at, operand)
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
		d.operand(at, operand)
		return
	}
	if len(list) == 0 {
		d.add("%s must list at least one text, got none", at)
	}
	for i, value := range list {
		d.operand(fmt.Sprintf("%s[%d]", at, i), value)
	}
}

// operand checks the text that an operator compares with.
func (d *detailCheck) operand(at string, value any) {
	text, ok := value.(string)
	switch {
	case !ok:
		d.add("%s must be a text, because every value of the envelope is one, got %s", at, shown(value))
	case strings.Contains(at, ".wildcard") && strings.Contains(text, "**"):
		d.add("%s must not have two wildcards side by side, which EventBridge refuses, got %q", at, text)
	}
}

// isToken reports whether a text in a pattern stands for a value that is only known at deployment.
func isToken(text string) bool { return strings.Contains(text, "{Token[") }

func shown(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}
