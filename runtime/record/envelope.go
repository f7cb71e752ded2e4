package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// DetailFields are the fields of an envelope's detail, in the order in which the pipe writes them. Each is
// the item's attribute of the same name.
var DetailFields = []string{
	AttrID, AttrType, AttrAggregateType, AttrAggregateID,
	AttrVersion, AttrOccurredAt, AttrData, AttrTraceparent,
	AttrCorrelationID, AttrCausationID,
}

// DetailObjects are those of DetailFields that the pipe passes on in DynamoDB's own form, {"S": "…"}. They
// may be empty or hold quotes, and only for an object do Pipes' documents say how it is inserted into
// the template. The other fields are strings, so that rules can match them.
// Source: EventBridge user guide, "Amazon EventBridge Pipes input transformation".
var DetailObjects = []string{AttrData, AttrTraceparent, AttrCausationID}

// An Envelope is an event on its way: what a pipe puts on the bus, reduced to what this module reads.
// Marshaled to JSON it is the body of the message in which a rule delivers the event to a queue.
type Envelope struct {
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Detail     json.RawMessage `json:"detail"`
}

// Encode returns the envelope that the pipe makes of an outbox item. It does not judge the item, as the
// pipe does not: the error names each attribute that is missing or is neither a string nor a number.
func Encode(item map[string]types.AttributeValue) (Envelope, error) {
	var problems []error
	scalar := func(name string) string {
		switch v := item[name].(type) {
		case *types.AttributeValueMemberS:
			return v.Value
		case *types.AttributeValueMemberN:
			return v.Value
		case nil:
			problems = append(problems, fmt.Errorf("attribute %s is missing", name))
		default:
			problems = append(problems, fmt.Errorf("attribute %s must be a string or a number, got %T", name, v))
		}
		return ""
	}
	detail := map[string]any{}
	for _, name := range DetailFields {
		value := scalar(name)
		if slices.Contains(DetailObjects, name) {
			detail[name] = map[string]string{"S": value}
		} else {
			detail[name] = value
		}
	}
	source := scalar(AttrSource)
	if err := errors.Join(problems...); err != nil {
		return Envelope{}, fmt.Errorf("encode outbox item: %w", err)
	}
	raw, err := json.Marshal(detail)
	if err != nil {
		return Envelope{}, fmt.Errorf("encode outbox item: %w", err)
	}
	return Envelope{DetailType: detail[AttrType].(string), Source: source, Detail: raw}, nil
}
