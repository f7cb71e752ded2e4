package localrun

import (
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// Envelope is the message in which a consumer's queue gets the event of an outbox item: what pipe, bus and
// rule make of it. Sent to a queue, it is that event once more.
func Envelope(item map[string]types.AttributeValue) (string, error) {
	detail := map[string]string{}
	for _, field := range record.DetailFields {
		detail[field] = scalar(item[field])
	}
	raw, err := json.Marshal(map[string]any{
		"version": "0", "id": "again", "time": "2026-11-02T09:30:01Z", "resources": []string{},
		"detail-type": scalar(item[record.AttrType]), "source": scalar(item[record.AttrSource]), "detail": detail,
	})
	if err != nil {
		return "", fmt.Errorf("envelope: %w", err)
	}
	return string(raw), nil
}

// scalar is a string or a number, which a pipe passes on as a string too.
func scalar(value types.AttributeValue) string {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}
