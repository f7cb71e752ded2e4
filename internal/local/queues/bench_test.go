package queues

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// BenchmarkRoundTrip sends, receives and deletes messages: one in each call, and ten.
func BenchmarkRoundTrip(b *testing.B) {
	for _, size := range []int{1, 10} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			s, err := Start(b.Context(), Config{Cloud: cloud.New("eu-west-1"), Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			out, err := s.client.CreateQueue(b.Context(), &sqs.CreateQueueInput{QueueName: aws.String("Bench")})
			if err != nil {
				b.Fatal(err)
			}
			url := out.QueueUrl
			var messages atomic.Int64
			b.SetParallelism(8)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					messages.Add(int64(roundTrip(b, s.client, url, size)))
				}
			})
			b.ReportMetric(float64(messages.Load())/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// roundTrip returns how many messages it received and deleted.
func roundTrip(b *testing.B, client *sqs.Client, url *string, size int) int {
	var entries []types.SendMessageBatchRequestEntry
	for i := range size {
		entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: aws.String(body)})
	}
	if _, err := client.SendMessageBatch(b.Context(), &sqs.SendMessageBatchInput{QueueUrl: url, Entries: entries}); err != nil {
		b.Error(err)
		return 0
	}
	out, err := client.ReceiveMessage(b.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: int32(size)})
	if err != nil {
		b.Error(err)
		return 0
	}
	if len(out.Messages) == 0 {
		return 0
	}
	var done []types.DeleteMessageBatchRequestEntry
	for i, m := range out.Messages {
		done = append(done, types.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle})
	}
	if _, err := client.DeleteMessageBatch(b.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: done}); err != nil {
		b.Error(err)
	}
	return len(out.Messages)
}

// body is about as long as the event of an order on the bus.
var body = `{"version":"0","id":"8f0c3e0e-6f6e-4b63-b1d2-3a2b6f3c9a11","detail-type":"OrderCreated","detail":"` + strings.Repeat("x", 600) + `"}`
