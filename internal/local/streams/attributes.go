package streams

import (
	"encoding/base64"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// image returns an item in DynamoDB's JSON, where numbers are strings.
// Source: DynamoDB API reference, AttributeValue.
func image(attributes map[string]types.AttributeValue) map[string]any {
	out := make(map[string]any, len(attributes))
	for name, value := range attributes {
		out[name] = attribute(value)
	}
	return out
}

func attribute(value types.AttributeValue) map[string]any {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return map[string]any{"S": v.Value}
	case *types.AttributeValueMemberN:
		return map[string]any{"N": v.Value}
	case *types.AttributeValueMemberBOOL:
		return map[string]any{"BOOL": v.Value}
	case *types.AttributeValueMemberNULL:
		return map[string]any{"NULL": v.Value}
	case *types.AttributeValueMemberB:
		return map[string]any{"B": base64.StdEncoding.EncodeToString(v.Value)}
	case *types.AttributeValueMemberM:
		return map[string]any{"M": image(v.Value)}
	case *types.AttributeValueMemberL:
		return map[string]any{"L": list(v.Value, func(e types.AttributeValue) any { return attribute(e) })}
	case *types.AttributeValueMemberSS:
		return map[string]any{"SS": list(v.Value, func(e string) any { return e })}
	case *types.AttributeValueMemberNS:
		return map[string]any{"NS": list(v.Value, func(e string) any { return e })}
	case *types.AttributeValueMemberBS:
		return map[string]any{"BS": list(v.Value, func(e []byte) any { return base64.StdEncoding.EncodeToString(e) })}
	}
	panic(fmt.Sprintf("DynamoDB has no attribute of type %T", value))
}

func list[E any](elements []E, convert func(E) any) []any {
	out := make([]any, len(elements))
	for i, element := range elements {
		out[i] = convert(element)
	}
	return out
}
