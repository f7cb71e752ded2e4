package topics

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a message. Source: SNS API reference, Publish; SNS developer guide, sns-message-attributes.
const (
	// maxMessage limits the bytes of the body and of the names, types and values of the attributes, and also those of all
	// messages of a batch.
	maxMessage = 256 << 10
	// maxSubject limits the characters of a subject.
	maxSubject = 100
)

// The types of attributes. Source: SNS developer guide, sns-message-attributes, "Message attribute data types".
const (
	typeString = "String"
	typeArray  = "String.Array"
	typeNumber = "Number"
	typeBinary = "Binary"
)

// A Message is what a publisher sends to a topic.
type Message struct {
	Body       string
	Subject    string               `json:",omitempty"`
	Attributes map[string]Attribute `json:",omitempty"`
	// Structured means that the body is a JSON object with a text for each protocol, and one for the others as "default".
	Structured bool `json:",omitempty"`
	// Group and Deduplication are the ids of a FIFO topic's message. A standard topic passes the group on to its queues.
	Group         string `json:",omitempty"`
	Deduplication string `json:",omitempty"`
}

// An Attribute is a message attribute as notifications have it.
type Attribute struct {
	Type  string
	Value string // of a Binary: in base64
}

// attributeName is the syntax of an attribute's name, and groupID that of a group or deduplication id.
// Source: SNS developer guide, sns-message-attributes; SNS API reference, Publish.
var (
	attributeName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	groupID       = regexp.MustCompile("^[A-Za-z0-9!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]{1,128}$")
)

// size returns the bytes of a message as SNS counts them.
func (m Message) size() int {
	size := len(m.Body)
	for name, a := range m.Attributes {
		size += len(name) + len(a.Type) + len(a.Value)
	}
	return size
}

// validate returns why SNS refuses the message for a topic, or nil.
func (m Message) validate(t *Topic) *Error {
	switch {
	case m.Body == "":
		return invalid("Empty message")
	case !utf8.ValidString(m.Body):
		return invalid("Message Reason: must be UTF-8")
	case m.size() > maxMessage:
		return invalid("Message too long")
	case utf8.RuneCountInString(m.Subject) > maxSubject || strings.ContainsFunc(m.Subject, unicode.IsControl):
		return invalid("Subject")
	}
	if m.Structured {
		if _, ok := m.texts()["default"]; !ok {
			return invalid("Message Structure - JSON message body failed to parse, or it has no text for the key default")
		}
	}
	for name, a := range m.Attributes {
		if err := a.validate(name); err != nil {
			return err
		}
	}
	return m.validateIDs(t)
}

func (m Message) validateIDs(t *Topic) *Error {
	switch {
	case m.Group != "" && !groupID.MatchString(m.Group):
		return invalid("MessageGroupId Reason: must be 1 to 128 letters, digits and punctuation, got %q", m.Group)
	case m.Deduplication != "" && !groupID.MatchString(m.Deduplication):
		return invalid("MessageDeduplicationId Reason: must be 1 to 128 letters, digits and punctuation, got %q", m.Deduplication)
	case !t.FIFO && m.Deduplication != "":
		return invalid("MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type")
	case t.FIFO && m.Group == "":
		return invalid("The MessageGroupId parameter is required for FIFO topics")
	case t.FIFO && m.Deduplication == "" && !t.ContentBasedDeduplication:
		return invalid("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	}
	return nil
}

func (a Attribute) validate(name string) *Error {
	kind, _, _ := strings.Cut(a.Type, ".")
	switch {
	case !attributeName.MatchString(name) || len(name) > 256:
		return invalid("MessageAttributes Reason: the name %q must be 1 to 256 letters, digits, dots, dashes and underscores", name)
	case kind != typeString && kind != typeNumber && kind != typeBinary:
		return invalid("MessageAttributes Reason: The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
	case a.Value == "":
		return invalid("MessageAttributes Reason: The message attribute '%s' must contain non-empty message attribute value for message attribute type '%s'.", name, a.Type)
	case kind == typeNumber && !isNumber(a.Value):
		return invalid("MessageAttributes Reason: Could not cast message attribute '%s' value to number.", name)
	case a.Type == typeArray && !isArray(a.Value):
		return invalid("MessageAttributes Reason: The message attribute '%s' must be a JSON array of strings, numbers, booleans and null.", name)
	case kind == typeBinary && !isBase64(a.Value):
		return invalid("MessageAttributes Reason: The message attribute '%s' must be base64.", name)
	}
	return nil
}

func isNumber(text string) bool {
	var number json.Number
	return json.Unmarshal([]byte(text), &number) == nil && !strings.HasPrefix(text, `"`)
}

func isArray(text string) bool {
	var list []any
	return json.Unmarshal([]byte(text), &list) == nil && list != nil
}

func isBase64(text string) bool {
	_, err := base64.StdEncoding.DecodeString(text)
	return err == nil
}

// texts returns the texts of a structured message, by protocol, or nil when the body is no such object.
func (m Message) texts() map[string]string {
	var fields map[string]any
	if json.Unmarshal([]byte(m.Body), &fields) != nil {
		return nil
	}
	texts := map[string]string{}
	for protocol, value := range fields {
		if text, ok := value.(string); ok {
			texts[protocol] = text
		}
	}
	return texts
}

// forProtocol returns the message as subscriptions of a protocol get it. Attributes are sent only with a message that is not
// structured. Source: SNS developer guide, sns-message-attributes, and sns-send-custom-platform-specific-payloads-mobile-devices.
func (m Message) forProtocol(protocol string) Message {
	if !m.Structured {
		return m
	}
	texts := m.texts()
	m.Body, m.Attributes = texts["default"], nil
	if own, ok := texts[protocol]; ok {
		m.Body = own
	}
	return m
}

// encode returns value as JSON and leaves <, > and & as they are. Its callers pass only texts, numbers and valid JSON, which
// always encode.
func encode(value any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
