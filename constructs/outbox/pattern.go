package outbox

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// maxPattern is the longest event pattern of a rule, in characters.
// Source: EventBridge user guide, eb-quota.
const maxPattern = 2048

// resolved returns the event pattern as the template has it: CDK's matchers opened, and what is known only at deployment
// as a deployTime.
func (c *consumerConfig) resolved() (pattern map[string]any, err error) {
	text, err := json.Marshal(c.pattern())
	if err != nil {
		return nil, err
	}
	// The types that a pattern is written in are many, those of JSON few.
	if err := json.Unmarshal(text, &pattern); err != nil {
		return nil, err
	}
	var opened any
	resolve(c.at.stack, pattern, &opened)
	return plain(opened).(map[string]any), nil
}

// A deployTime stands for a text in a pattern that is known only when the stack is deployed.
type deployTime struct{}

// plain returns a resolved value with each intrinsic function as a deployTime.
func plain(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			if len(v) == 1 && name == "$jsii.map" { // how jsii wraps a map
				return plain(inner)
			}
			if len(v) == 1 && (name == "Ref" || strings.HasPrefix(name, "Fn::")) {
				return deployTime{}
			}
			v[name] = plain(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = plain(inner)
		}
	}
	return value
}

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
	found.notHeartbeats("Sources", c.Sources, c.flow.source)
	found.keyParts("AggregateTypes", c.AggregateTypes, record.MaxAggregateType)
	pattern, err := c.resolved()
	if err != nil {
		found.add("Detail must be an event pattern: %w", err)
		return
	}
	if n := len(shown(pattern)); n > maxPattern {
		found.add("EventTypes, Sources, AggregateTypes and Detail must make a pattern of at most %d characters, got %d", maxPattern, n)
	}
	if c.Detail == nil {
		return
	}
	detail := &detailCheck{found: found, only: map[string]allowed{record.AttrType: {"EventTypes", pattern["detail-type"]}}}
	fields, _ := pattern["detail"].(map[string]any)
	if len(*c.Detail) == 0 || fields == nil {
		detail.add("Detail must name at least one field, got none")
	}
	if c.AggregateTypes != nil {
		if _, both := (*c.Detail)[record.AttrAggregateType]; both {
			found.add("Detail must not have %s together with AggregateTypes, which sets it", record.AttrAggregateType)
		}
		detail.only[record.AttrAggregateType] = allowed{"AggregateTypes", fields[record.AttrAggregateType]}
		delete(fields, record.AttrAggregateType)
	}
	detail.fields("Detail", fields)
	if detail.wrong {
		found.add("%s", envelopeShown)
	}
}

// notHeartbeats checks that no source is that of the outbox's heartbeats, which say only that events arrive.
func (f *problems) notHeartbeats(name string, sources *[]*string, own *string) {
	for i, source := range *sources {
		if source != nil && *source == record.HeartbeatSource(*own) {
			f.add("%s[%d] must not be the source of the outbox's heartbeats, got %q", name, i, *source)
		}
	}
}
