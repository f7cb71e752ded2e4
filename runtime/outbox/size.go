package outbox

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// itemSize returns the size of an item in bytes as DynamoDB counts it: names and values, without what storage
// adds for billing.
// Source: DynamoDB developer guide, "DynamoDB item sizes and formats".
func itemSize(item map[string]types.AttributeValue) int {
	n := 0
	for name, value := range item {
		n += len(name) + valueSize(value)
	}
	return n
}

func valueSize(value types.AttributeValue) int {
	const container = 3 // a list or a map counts this much, and 1 more for each element
	n := 0
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return numberSize(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberBOOL, *types.AttributeValueMemberNULL:
		return 1
	case *types.AttributeValueMemberSS:
		for _, s := range v.Value {
			n += len(s)
		}
	case *types.AttributeValueMemberNS:
		for _, s := range v.Value {
			n += numberSize(s)
		}
	case *types.AttributeValueMemberBS:
		for _, b := range v.Value {
			n += len(b)
		}
	case *types.AttributeValueMemberL:
		n = container
		for _, element := range v.Value {
			n += 1 + valueSize(element)
		}
	case *types.AttributeValueMemberM:
		n = container + len(v.Value) + itemSize(v.Value)
	}
	return n
}

// numberSize returns a byte for every two significant digits and one more; AWS calls it approximate.
func numberSize(number string) int {
	mantissa, _, _ := strings.Cut(strings.ToLower(number), "e")
	digits := strings.Trim(strings.ReplaceAll(strings.TrimLeft(mantissa, "+-"), ".", ""), "0")
	return (len(digits)+1)/2 + 1
}

// frameSize is what surrounds an envelope's detail on its way into a queue: version, id, account, time,
// region and resources, and the names of all fields.
const frameSize = 1 << 10

// checkEnvelope reports an event that would not fit through the bus and the queues. The pipe passes the
// data on as a JSON string, so every quote in it takes a backslash.
func checkEnvelope(e record.Event) error {
	n := frameSize + 2*quotedSize(e.Type) + quotedSize(e.Source) + quotedSize(string(e.Data))
	for _, s := range []string{e.ID, e.AggregateType, e.AggregateID, e.Traceparent, e.CorrelationID, e.CausationID} {
		n += quotedSize(s)
	}
	n += len(strconv.FormatInt(e.Version, 10)) + len(strconv.FormatInt(e.OccurredAt.UnixMilli(), 10))
	if n > MaxEnvelopeSize {
		return fmt.Errorf("%w: event %s of %s %q has up to %d bytes in its envelope (%d of data), at most %d are allowed",
			ErrTooLarge, e.Type, e.AggregateType, e.AggregateID, n, len(e.Data), MaxEnvelopeSize)
	}
	return nil
}

// quotedSize returns the length of s as a JSON string.
func quotedSize(s string) int {
	n := len(s) + len(`""`)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			n += len(`\`)
		case c < ' ':
			n += len(`\u000`)
		}
	}
	return n
}
