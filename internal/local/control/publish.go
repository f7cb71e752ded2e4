package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/outboxkit/transactional-outbox/internal/local/control/wire"
	"github.com/outboxkit/transactional-outbox/internal/local/topics"
)

type (
	publishRequest struct {
		TopicArn, TargetArn, PhoneNumber string
		topicMessage
	}
	topicMessage struct {
		Message, Subject, MessageStructure     string
		MessageGroupId, MessageDeduplicationId string
		MessageAttributes                      map[string]topicAttribute
	}
	topicAttribute  struct{ DataType, StringValue, BinaryValue string }
	publishResponse struct{ MessageId, SequenceNumber string }
)

func (m topicMessage) message() (topics.Message, error) {
	if m.MessageStructure != "" && m.MessageStructure != "json" {
		return topics.Message{}, invalidTopicCall("MessageStructure must be json or empty, got %q", m.MessageStructure)
	}
	message := topics.Message{
		Body: m.Message, Subject: m.Subject, Structured: m.MessageStructure == "json", Group: m.MessageGroupId, Deduplication: m.MessageDeduplicationId,
		Attributes: map[string]topics.Attribute{},
	}
	for name, a := range m.MessageAttributes {
		message.Attributes[name] = topics.Attribute{Type: a.DataType, Value: a.StringValue + a.BinaryValue}
	}
	return message, nil
}

func (a topicAPI) publish(_ context.Context, request publishRequest) (publishResponse, error) {
	if request.PhoneNumber != "" {
		return publishResponse{}, invalidTopicCall("PhoneNumber must be empty, because the local run sends nothing to people")
	}
	message, err := request.message()
	if err != nil {
		return publishResponse{}, err
	}
	results, err := a.topics.Publish(cmp.Or(request.TopicArn, request.TargetArn), []topics.Message{message})
	if err != nil {
		return publishResponse{}, topicError(err)
	}
	if refused := results[0].Err; refused != nil {
		return publishResponse{}, topicError(refused)
	}
	return publishResponse{results[0].MessageID, results[0].SequenceNumber}, nil
}

type (
	publishBatchRequest struct {
		TopicArn                   string
		PublishBatchRequestEntries []publishBatchEntry
	}
	publishBatchEntry struct {
		Id string
		topicMessage
	}
	publishBatchResponse struct {
		Successful []publishBatchResult
		Failed     []publishBatchFailure
	}
	publishBatchResult  struct{ Id, MessageId, SequenceNumber string }
	publishBatchFailure struct {
		Id, Code, Message string
		SenderFault       bool
	}
)

// Limits of a batch. Source: SNS API reference, PublishBatch.
const (
	maxBatchEntries = 10
	maxBatchSize    = 256 << 10 // bytes of all messages
)

var batchID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

func (a topicAPI) publishBatch(_ context.Context, request publishBatchRequest) (publishBatchResponse, error) {
	entries := request.PublishBatchRequestEntries
	if err := checkBatch(entries); err != nil {
		return publishBatchResponse{}, err
	}
	messages := make([]topics.Message, len(entries))
	for i, e := range entries {
		var err error
		if messages[i], err = e.message(); err != nil {
			return publishBatchResponse{}, err
		}
	}
	results, err := a.topics.Publish(request.TopicArn, messages)
	if err != nil {
		return publishBatchResponse{}, topicError(err)
	}
	response := publishBatchResponse{Successful: []publishBatchResult{}, Failed: []publishBatchFailure{}}
	for i, r := range results {
		if r.Err != nil {
			response.Failed = append(response.Failed, publishBatchFailure{entries[i].Id, r.Err.Code, r.Err.Message, true})
			continue
		}
		response.Successful = append(response.Successful, publishBatchResult{entries[i].Id, r.MessageID, r.SequenceNumber})
	}
	return response, nil
}

// checkBatch returns why SNS refuses a batch as a whole, or nil.
func checkBatch(entries []publishBatchEntry) error {
	refuse := func(code, message string) error {
		return &wire.Error{Status: http.StatusBadRequest, Code: code, Message: message}
	}
	if len(entries) == 0 {
		return refuse("EmptyBatchRequest", "The batch request doesn't contain any entries.")
	}
	if len(entries) > maxBatchEntries {
		return refuse("TooManyEntriesInBatchRequest", fmt.Sprintf("The batch request contains more entries than permissible: %d, %d are allowed.", len(entries), maxBatchEntries))
	}
	seen, size := map[string]bool{}, 0
	for _, e := range entries {
		if !batchID.MatchString(e.Id) {
			return refuse("InvalidBatchEntryId", fmt.Sprintf("The Id of a batch entry must be 1 to 80 letters, digits, dashes and underscores, got %q.", e.Id))
		}
		if seen[e.Id] {
			return refuse("BatchEntryIdsNotDistinct", fmt.Sprintf("Two or more batch entries in the request have the same Id, %q.", e.Id))
		}
		seen[e.Id] = true
		size += len(e.Message)
	}
	if size > maxBatchSize {
		return refuse("BatchRequestTooLong", fmt.Sprintf("The length of all the batch messages put together is more than the limit: %d bytes, %d are allowed.", size, maxBatchSize))
	}
	return nil
}

// topicError returns the error of a call in the form of the endpoint.
func topicError(err error) error {
	var refused *topics.Error
	if errors.As(err, &refused) {
		return &wire.Error{Status: refused.Status, Code: refused.Code, Message: refused.Message}
	}
	return err
}

func invalidTopicCall(format string, args ...any) error {
	return &wire.Error{Status: http.StatusBadRequest, Code: "InvalidParameter", Message: "Invalid parameter: " + fmt.Sprintf(format, args...)}
}
