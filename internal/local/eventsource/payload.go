package eventsource

import (
	"bytes"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// maxPayload limits the bytes with which a function is invoked.
// Source: Lambda developer guide, gettingstarted-limits, "Invocation payload".
const maxPayload = 6 << 20

// payload is the event of one invocation.
type payload struct {
	messages []types.Message
	records  [][]byte // the messages as the function receives them
}

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

const (
	prologue = `{"Records":[`
	epilogue = `]}`
)

// split divides the messages, in their order, into as few payloads as the size limit allows. A single message never
// exceeds the limit: SQS accepts at most 1 MiB, which the encoding in JSON can at most double.
func split(messages []types.Message, sourceARN, region string) []payload {
	var payloads []payload
	length := maxPayload // of the last payload; the first record needs a new one
	for _, m := range messages {
		encoded := encode(m, sourceARN, region)
		if length += len(encoded) + len(","); length > maxPayload {
			payloads = append(payloads, payload{})
			length = len(prologue) + len(encoded) + len(epilogue)
		}
		last := &payloads[len(payloads)-1]
		last.messages = append(last.messages, m)
		last.records = append(last.records, encoded)
	}
	return payloads
}

func (p payload) encode() []byte {
	event := []byte(prologue)
	event = append(event, bytes.Join(p.records, []byte(","))...)
	return append(event, epilogue...)
}

func encode(m types.Message, sourceARN, region string) []byte {
	r := record{
		MessageID: deref(m.MessageId), ReceiptHandle: deref(m.ReceiptHandle), Body: deref(m.Body), Attributes: m.Attributes,
		MessageAttributes: map[string]attribute{}, MD5OfMessageAttributes: deref(m.MD5OfMessageAttributes), MD5OfBody: deref(m.MD5OfBody),
		EventSource: "aws:sqs", EventSourceARN: sourceARN, AWSRegion: region,
	}
	for name, a := range m.MessageAttributes {
		r.MessageAttributes[name] = attribute{
			StringValue: a.StringValue, BinaryValue: a.BinaryValue,
			StringListValues: []string{}, BinaryListValues: [][]byte{}, DataType: deref(a.DataType),
		}
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(r) // strings, bytes and maps of them always encode
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))
}

// size returns the approximate size of the messages in bytes.
func size(messages []types.Message) int {
	total := 0
	for _, m := range messages {
		total += len(deref(m.Body))
	}
	return total
}

// eventIDs returns the ids of the events among the messages.
func eventIDs(messages []types.Message) []string {
	var ids []string
	for _, m := range messages {
		if id := hop.EventID([]byte(deref(m.Body))); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
