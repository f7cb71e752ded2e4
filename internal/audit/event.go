package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// An Event is what the audit keeps of a committed event: what finds its effects, and the event itself in the outbox table.
type Event struct {
	ID            string
	Source        string
	Type          string
	AggregateType string
	AggregateID   string
	Version       int64
	WrittenAt     time.Time // in milliseconds
	// SequenceNumber is that of its record in the stream. It is empty where the event was read from the table.
	SequenceNumber string
}

// EventOf returns the event in an item of the outbox table. Its error says why the item is none.
func EventOf(item Item) (Event, error) {
	version, err := strconv.ParseInt(scalar(item, record.AttrVersion), 10, 64)
	if err != nil {
		return Event{}, fmt.Errorf("%s must be a whole number, got %q", record.AttrVersion, scalar(item, record.AttrVersion))
	}
	e := Event{
		ID: scalar(item, record.AttrID), Source: scalar(item, record.AttrSource), Type: scalar(item, record.AttrType),
		AggregateType: scalar(item, record.AttrAggregateType), AggregateID: scalar(item, record.AttrAggregateID),
		Version: version, WrittenAt: record.WrittenAt(item),
	}
	for name, value := range map[string]string{
		record.AttrID: e.ID, record.AttrSource: e.Source, record.AttrType: e.Type,
		record.AttrAggregateType: e.AggregateType, record.AttrAggregateID: e.AggregateID,
	} {
		if value == "" {
			return Event{}, fmt.Errorf("%s must not be empty", name)
		}
	}
	return e, nil
}

// key returns the key of the event's item in the outbox table.
func (e Event) key() Item {
	return Item{
		record.AttrPK: text(record.PartitionKey(e.AggregateType, e.AggregateID)),
		record.AttrSK: text(record.SortKey(e.ID)),
	}
}

// A Place is where an outbox is deployed. Patterns may name it.
type Place struct{ Account, Region string }

// Message returns the body of the message in which a rule puts the event, an item of the outbox table, into a queue: the
// event that the pipe gives to the bus, at that time.
// Source: EventBridge user guide, eb-events-structure.
func (p Place) Message(item Item, at time.Time) (string, error) {
	envelope, err := record.Encode(item)
	if err != nil {
		return "", err
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	err = encoder.Encode(struct {
		Version string `json:"version"`
		ID      string `json:"id"`
		record.Envelope
		Account   string   `json:"account"`
		Time      string   `json:"time"`
		Region    string   `json:"region"`
		Resources []string `json:"resources"`
	}{
		Version: "0", ID: uuid.NewString(), Envelope: envelope,
		Account: p.Account, Time: at.UTC().Format(time.RFC3339), Region: p.Region, Resources: []string{},
	})
	if err != nil {
		return "", fmt.Errorf("encode the message: %w", err)
	}
	return TextForSQS(bytes.TrimSpace(body.Bytes())), nil
}

// TextForSQS returns JSON as the body of a message: with the two characters escaped that JSON allows unescaped and SQS refuses.
// Source: SQS API reference, SendMessage.
func TextForSQS(json []byte) string { return forSQS.Replace(string(json)) }

var forSQS = strings.NewReplacer("\uFFFE", `\ufffe`, "\uFFFF", `\uffff`)

// scalar returns the text of a string or number attribute, and nothing for any other.
func scalar(item Item, name string) string {
	switch v := item[name].(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}

// whole returns a number attribute, 0 where there is none.
func whole(item Item, name string) int64 {
	n, _ := strconv.ParseInt(scalar(item, name), 10, 64)
	return n
}

// timeOf returns the time in an attribute of epoch milliseconds, the zero time where there is none.
func timeOf(item Item, name string) time.Time {
	ms, err := strconv.ParseInt(scalar(item, name), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}
