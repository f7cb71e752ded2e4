package eventsource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/streams"
)

// divideByResponse divides a batch by the function's response into messages that are handled and messages that failed,
// and returns the reason of the failures. A response that cannot be read fails the whole batch.
func divideByResponse(response []byte, batch []types.Message) (done, failed []types.Message, reason string) {
	ids, err := failedItems(response, messageIDs(batch))
	if err != nil {
		return nil, batch, err.Error()
	}
	for _, m := range batch {
		if ids[deref(m.MessageId)] {
			failed = append(failed, m)
		} else {
			done = append(done, m)
		}
	}
	return done, failed, "batchItemFailures " + strings.Join(messageIDs(failed), ", ")
}

// firstFailure returns the position of the record with the lowest sequence number that the function's response names,
// or the number of records for none, and the reason. A response that cannot be read fails the whole batch.
// Source: Lambda developer guide, services-ddb-batchfailurereporting.
func firstFailure(response []byte, batch []streams.Record) (at int, reason string) {
	numbers := make([]string, len(batch))
	for i, r := range batch {
		numbers[i] = r.SequenceNumber
	}
	failed, err := failedItems(response, numbers)
	if err != nil {
		return 0, err.Error()
	}
	for i, number := range numbers { // in the order of the stream
		if failed[number] {
			return i, "batchItemFailures " + number
		}
	}
	return len(batch), ""
}

// failedItems returns the identifiers of the messages or records that failed.
//
// No response, null, {}, and a list that is missing, null or empty mean that none failed. It is an error when the
// response is not a JSON object, or an item has no itemIdentifier that is one of the batch.
// Source: Lambda developer guide, services-sqs-errorhandling, "Success and failure conditions", and the same heading of
// services-ddb-batchfailurereporting.
func failedItems(response []byte, batch []string) (map[string]bool, error) {
	if len(bytes.TrimSpace(response)) == 0 {
		return nil, nil
	}
	// Maps, because struct tags would take keys in any case, and Lambda does not.
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(response, &fields); err != nil {
		return nil, fmt.Errorf("the response is not a JSON object: %w", err)
	}
	var items []map[string]json.RawMessage
	if list, there := fields["batchItemFailures"]; there {
		if err := json.Unmarshal(list, &items); err != nil {
			return nil, fmt.Errorf("batchItemFailures is not a list of objects: %w", err)
		}
	}
	known := map[string]bool{}
	for _, id := range batch {
		known[id] = true
	}
	failed := map[string]bool{}
	for _, item := range items {
		var id string
		if err := json.Unmarshal(item["itemIdentifier"], &id); err != nil || id == "" {
			return nil, errors.New("an item of batchItemFailures has no itemIdentifier")
		}
		if !known[id] {
			return nil, fmt.Errorf("itemIdentifier must be one of the batch, got %q", id)
		}
		failed[id] = true
	}
	return failed, nil
}

func messageIDs(messages []types.Message) []string {
	var ids []string
	for _, m := range messages {
		ids = append(ids, deref(m.MessageId))
	}
	return ids
}
