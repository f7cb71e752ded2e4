package messages

import (
	"encoding/json"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/jsontext"
)

// MaxPayload limits the bytes with which a function is invoked.
// Source: Lambda developer guide, gettingstarted-limits, "Invocation payload".
const MaxPayload = 6 << 20

// envelope is room for what stands around the records in a payload.
const envelope = 64

// A Batch holds messages that are handled together.
type Batch struct {
	Messages []types.Message
	Records  []json.RawMessage // the messages as a function receives them
}

// eventSource is what a record says of its source.
const eventSource = "aws:sqs"

// A record is a message as a function receives it.
// Source: Lambda developer guide, with-sqs, "Example Amazon SQS event".
type record struct {
	MessageID              string               `json:"messageId"`
	ReceiptHandle          string               `json:"receiptHandle"`
	Body                   string               `json:"body"`
	Attributes             map[string]string    `json:"attributes"`
	MessageAttributes      map[string]attribute `json:"messageAttributes"`
	MD5OfMessageAttributes string               `json:"md5OfMessageAttributes,omitempty"`
	MD5OfBody              string               `json:"md5OfBody"`
	EventSource            string               `json:"eventSource"`
	EventSourceARN         string               `json:"eventSourceARN"`
	AWSRegion              string               `json:"awsRegion"`
}

type attribute struct {
	StringValue      *string  `json:"stringValue,omitempty"`
	BinaryValue      []byte   `json:"binaryValue,omitempty"`
	StringListValues []string `json:"stringListValues"`
	BinaryListValues [][]byte `json:"binaryListValues"`
	DataType         string   `json:"dataType"`
}

// split divides a batch, in its order, into as few as the size of a payload allows. A single message never exceeds it: SQS
// accepts at most 1 MiB, which the encoding in JSON can at most double.
func (b Batch) split() []Batch {
	var batches []Batch
	length := MaxPayload // of the last batch; the first record needs a new one
	for i, record := range b.Records {
		if length += len(record) + len(","); length > MaxPayload {
			batches = append(batches, Batch{})
			length = envelope + len(record)
		}
		batches[len(batches)-1].add(b.Messages[i], record)
	}
	return batches
}

func (b *Batch) add(m types.Message, record json.RawMessage) {
	b.Messages, b.Records = append(b.Messages, m), append(b.Records, record)
}

func encode(m types.Message, sourceARN, region string) json.RawMessage {
	r := record{
		MessageID: aws.ToString(m.MessageId), ReceiptHandle: aws.ToString(m.ReceiptHandle), Body: aws.ToString(m.Body), Attributes: m.Attributes,
		MessageAttributes: map[string]attribute{}, MD5OfMessageAttributes: aws.ToString(m.MD5OfMessageAttributes), MD5OfBody: aws.ToString(m.MD5OfBody),
		EventSource: eventSource, EventSourceARN: sourceARN, AWSRegion: region,
	}
	for name, a := range m.MessageAttributes {
		r.MessageAttributes[name] = attribute{
			StringValue: a.StringValue, BinaryValue: a.BinaryValue,
			StringListValues: []string{}, BinaryListValues: [][]byte{}, DataType: aws.ToString(a.DataType),
		}
	}
	return json.RawMessage(jsontext.Compact(r))
}

// size returns the approximate size of the messages in bytes.
func size(messages []types.Message) int {
	total := 0
	for _, m := range messages {
		total += len(aws.ToString(m.Body))
	}
	return total
}

// ParseBody returns a record with the value of its body, where that is the text of a JSON object or array, and every other
// value as it is. Filters and input templates see records so.
// Source: Lambda developer guide, with-sqs-filtering, "Properly filtering Amazon SQS messages"; EventBridge user guide,
// eb-pipes-input-transformation, "Implicit body data parsing".
func ParseBody(record any) any {
	fields, _ := record.(map[string]any)
	body, ok := fields["body"].(string)
	if !ok || fields["eventSource"] != eventSource || strings.IndexAny(strings.TrimSpace(body), "{[") != 0 {
		return record
	}
	value, err := jsontext.Decode([]byte(body))
	if err != nil {
		return record
	}
	parsed := maps.Clone(fields)
	parsed["body"] = value
	return parsed
}

// EventIDs returns the ids of the events among the messages, see [hop.EventID].
func EventIDs(messages []types.Message) []string {
	var ids []string
	for _, m := range messages {
		if id := hop.EventID([]byte(aws.ToString(m.Body))); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}
