package operate

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/queues"
)

// BenchmarkRedrive redrives 10,000 messages from the dead-letter queue of a consumer to its queue, in the local run's SQS:
// as they come, and in the order of the versions of 1,000 aggregates. "looked-s" is the time of the plan, which looks at all.
func BenchmarkRedrive(b *testing.B) {
	here := cloud.New("eu-west-1")
	service, err := queues.Start(b.Context(), queues.Config{Cloud: here, Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer service.Close()
	client := here.SQS()
	for name, consumer := range map[string]string{"as_they_come": "Ship", "in_order": "History"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := watched()
				c, err := FindConsumer(s.Consumers, consumer)
				if err != nil {
					b.Fatal(err)
				}
				s.Consumers, s.Outboxes = []*Consumer{c}, nil
				c.RuleDeadLetterQueue = ""
				for _, url := range []*string{&c.Queue, &c.DeadLetterQueue} {
					out, err := client.CreateQueue(b.Context(), &sqs.CreateQueueInput{QueueName: aws.String(fmt.Sprintf("%s-%d", queueName(*url), time.Now().UnixNano()))})
					if err != nil {
						b.Fatal(err)
					}
					*url = *out.QueueUrl
				}
				fillWith(b, client, c.DeadLetterQueue, 10_000)
				list, err := timedLook(b, client, s)
				if err != nil || list != 10_000 {
					b.Fatalf("looked at %d: %v", list, err)
				}
				d := NewDialog(strings.NewReader(""), io.Discard, true, false)
				b.StartTimer()
				results, err := DeadLetterRedrive{}.Run(b.Context(), Clients{SQS: client}, s, d)
				if err != nil || len(results) != 1 || results[0].Done != 10_000 {
					b.Fatalf("%+v: %v", results, err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "redriven-s")
		})
	}
}

func timedLook(b *testing.B, client SQS, s *Stack) (int, error) {
	began := time.Now()
	list, err := ListDeadLetters(b.Context(), Clients{SQS: client}, s, DeadLetterFilter{}, 10_000)
	if err != nil {
		return 0, err
	}
	b.ReportMetric(time.Since(began).Seconds(), "looked-s")
	return len(list.Messages), nil
}

func fillWith(b *testing.B, client *sqs.Client, url string, n int) {
	b.Helper()
	for at := 0; at < n; at += batchSize {
		in := &sqs.SendMessageBatchInput{QueueUrl: &url}
		for i := at; i < at+batchSize; i++ {
			in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i - at)), MessageBody: aws.String(body(fmt.Sprint("o-", i%1000), 10-i/1000)),
			})
		}
		if _, err := client.SendMessageBatch(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}
