package eventsource

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/messages"
	"github.com/outboxkit/transactional-outbox/internal/local/streams"
)

// divideByResponse divides a batch by the function's response into messages that are handled and messages that failed,
// and returns the reason of the failures. A response that cannot be read fails the whole batch.
func divideByResponse(response []byte, batch []types.Message) (done, failed []types.Message, reason string) {
	ids, err := messages.FailedItems(response, messageIDs(batch))
	if err != nil {
		return nil, batch, err.Error()
	}
	for _, m := range batch {
		if ids[aws.ToString(m.MessageId)] {
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
	failed, err := messages.FailedItems(response, numbers)
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

func messageIDs(batch []types.Message) []string {
	var ids []string
	for _, m := range batch {
		ids = append(ids, aws.ToString(m.MessageId))
	}
	return ids
}
