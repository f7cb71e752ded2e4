package messages

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// FailedItems returns the identifiers of the messages or records that failed.
//
// No response, null, {}, and a list that is missing, null or empty mean that none failed. It is an error when the
// response is not a JSON object, or an item has no itemIdentifier that is one of the batch.
// Source: Lambda developer guide, services-sqs-errorhandling, "Success and failure conditions", and the same heading of
// services-ddb-batchfailurereporting.
func FailedItems(response []byte, batch []string) (map[string]bool, error) {
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
