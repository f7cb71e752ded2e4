package topics

import (
	"encoding/base64"
	"net/url"
	"time"
)

// A published is a message that a topic has accepted.
type published struct {
	Message
	ID       string
	Sequence string `json:",omitempty"` // of a FIFO topic
	At       time.Time
}

// notification is what a subscription without raw delivery receives. A FIFO topic's has a sequence number, and nothing of
// signatures.
// Source: SNS developer guide, sns-message-and-json-formats and fifo-topic-message-delivery; sns-sqs-as-subscriber has the
// form of the timestamp.
type notification struct {
	Type              string
	MessageID         string `json:"MessageId"`
	SequenceNumber    string `json:",omitempty"`
	TopicARN          string `json:"TopicArn"`
	Subject           string `json:",omitempty"`
	Message           string
	Timestamp         string
	SignatureVersion  string `json:",omitempty"`
	Signature         string `json:",omitempty"`
	SigningCertURL    string `json:",omitempty"`
	UnsubscribeURL    string
	MessageAttributes map[string]Attribute `json:",omitempty"`
}

const timestampForm = "2006-01-02T15:04:05.000Z"

// unsigned stands where the signature would be: what checks it must not find one that is valid by accident.
var unsigned = base64.StdEncoding.EncodeToString([]byte("the local run signs nothing"))

// notification returns the envelope of a message for a subscription. Its URLs lead to endpoint.
func (p published) notification(sub *Subscription, endpoint string) notification {
	m := p.forProtocol(sub.Protocol)
	n := notification{
		Type: "Notification", MessageID: p.ID, SequenceNumber: p.Sequence, TopicARN: sub.TopicARN, Subject: m.Subject, Message: m.Body,
		Timestamp:         p.At.UTC().Format(timestampForm),
		UnsubscribeURL:    endpoint + "/?Action=Unsubscribe&SubscriptionArn=" + url.QueryEscape(sub.ARN),
		MessageAttributes: m.Attributes,
	}
	if p.Sequence == "" {
		n.SignatureVersion, n.Signature, n.SigningCertURL = "1", unsigned, endpoint+"/SimpleNotificationService.pem"
	}
	return n
}

// A functionEvent is what a function is invoked with: one record.
// Source: Lambda developer guide, with-sns. The names of the two URLs differ from a notification's, a missing subject is
// null, and the attributes are never missing.
type functionEvent struct{ Records []functionRecord }

type functionRecord struct {
	EventSource          string
	EventVersion         string
	EventSubscriptionArn string
	Sns                  functionMessage
}

type functionMessage struct {
	Type              string
	MessageID         string `json:"MessageId"`
	TopicARN          string `json:"TopicArn"`
	Subject           *string
	Message           string
	Timestamp         string
	SignatureVersion  string
	Signature         string
	SigningCertURL    string `json:"SigningCertUrl"`
	UnsubscribeURL    string `json:"UnsubscribeUrl"`
	MessageAttributes map[string]Attribute
}

// functionEvent returns the event of a message for a function.
func (p published) functionEvent(sub *Subscription, endpoint string) functionEvent {
	n := p.notification(sub, endpoint)
	m := functionMessage{
		Type: n.Type, MessageID: n.MessageID, TopicARN: n.TopicARN, Message: n.Message, Timestamp: n.Timestamp,
		SignatureVersion: n.SignatureVersion, Signature: n.Signature, SigningCertURL: n.SigningCertURL, UnsubscribeURL: n.UnsubscribeURL,
		MessageAttributes: n.MessageAttributes,
	}
	if n.Subject != "" {
		m.Subject = &n.Subject
	}
	if m.MessageAttributes == nil {
		m.MessageAttributes = map[string]Attribute{}
	}
	return functionEvent{[]functionRecord{{"aws:sns", "1.0", sub.ARN, m}}}
}
