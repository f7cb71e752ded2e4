package eventbus

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/jsontext"
)

// Limits of PutEvents.
const (
	// maxEntries limits the entries of one call. Source: EventBridge API reference, PutEvents.
	maxEntries = 10
	// maxRequest limits the bytes of all entries of one call. AWS raised it to 1 MB in January 2026, while several
	// of its pages still say 256 KB; the local run uses the lower limit, which holds everywhere.
	// Source: EventBridge user guide, eb-putevent-size.
	maxRequest = 256 << 10
	// maxDetailType limits the detail type, in characters. Source: EventBridge API reference, PutEventsRequestEntry.
	maxDetailType = 128
)

// An entry is one event of a PutEvents request.
type entry struct {
	Time         *float64 // epoch seconds
	Source       string
	Resources    []string
	DetailType   string
	Detail       string
	EventBusName string
}

// size returns the entry's size in bytes as EventBridge computes it. Source: EventBridge user guide, eb-putevent-size.
func (e entry) size() int {
	size := len(e.Source) + len(e.DetailType) + len(e.Detail)
	if e.Time != nil {
		size += 14
	}
	for _, r := range e.Resources {
		size += len(r)
	}
	return size
}

// A result is the answer to one entry.
type result struct {
	EventId      string `json:",omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

// refusal returns, in EventBridge's words, why an entry is refused, and whether it is.
func (e entry) refusal() (result, bool) {
	missing := func(parameter string) (result, bool) {
		return result{ErrorCode: "InvalidArgument", ErrorMessage: "Parameter " + parameter + " is not valid. Reason: " + parameter + " is a required argument."}, true
	}
	switch {
	case e.Source == "":
		return missing("Source")
	case e.DetailType == "":
		return missing("DetailType")
	case e.Detail == "":
		return missing("Detail")
	case utf8.RuneCountInString(e.DetailType) > maxDetailType:
		return result{ErrorCode: "InvalidArgument", ErrorMessage: "Parameter DetailType is not valid. Reason: DetailType has more than 128 characters."}, true
	case strings.HasPrefix(e.Source, "aws."):
		return result{ErrorCode: "NotAuthorizedForSourceException", ErrorMessage: "Not authorized for the source."}, true
	case !isObject(e.Detail):
		return result{ErrorCode: "MalformedDetail", ErrorMessage: "Detail is malformed."}, true
	}
	return result{}, false
}

func isObject(text string) bool {
	return strings.HasPrefix(strings.TrimSpace(text), "{") && json.Valid([]byte(text))
}

// An event is what targets receive. Source: EventBridge user guide, eb-events-structure.
type event struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

// event returns the event of an entry that was not refused.
func (e entry) event(region string, now time.Time) (made event, encoded json.RawMessage) {
	if e.Time != nil {
		seconds, fraction := math.Modf(*e.Time)
		now = time.Unix(int64(seconds), int64(fraction*1e9))
	}
	made = event{
		Version: "0", ID: uuid.NewString(), DetailType: e.DetailType, Source: e.Source, Account: cloud.Account,
		Time: now.UTC().Format(time.RFC3339), Region: region,
		Resources: append([]string{}, e.Resources...), Detail: json.RawMessage(e.Detail),
	}
	return made, escapeForSQS(encode(made))
}

// encode returns value as JSON and leaves <, > and & as they are. Its callers pass only strings, times and valid
// JSON, which always encode.
func encode(value any) []byte {
	return []byte(jsontext.Compact(value))
}

// escapeForSQS escapes the two characters that JSON allows unescaped and SQS refuses in a message.
func escapeForSQS(text []byte) []byte {
	text = bytes.ReplaceAll(text, []byte("\uFFFE"), []byte(`\ufffe`))
	return bytes.ReplaceAll(text, []byte("\uFFFF"), []byte(`\uffff`))
}
