package dynamotest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
)

// An order and its event, committed by the outbox and by a bare TransactWriteItems with the same items: what
// the outbox adds must be lost in what DynamoDB takes.
func BenchmarkCommit(b *testing.B) {
	db := dynamoDBLocal(b)
	o := outbox.New(db, config)
	event := func(i int) types.Put {
		return types.Put{TableName: aws.String(outboxTable), ConditionExpression: aws.String("attribute_not_exists(pk)"), Item: dynamotest.Item{
			"pk": s(fmt.Sprintf("bare-%d", i)), "sk": s("event#" + uuid.NewString()), "recordType": s("outbox.event"), "id": s(uuid.NewString()),
			"type": s("OrderCreated"), "source": s("orders"), "aggregateType": s("Order"), "aggregateId": s("o"), "version": n("1"),
			"occurredAt": n("1763631000000"), "data": s(`{"orderId":"o"}`), "traceparent": s(""), "correlationId": s(uuid.NewString()),
			"causationId": s(""), "expiresAt": n("1763631000"),
		}}
	}
	bare := func(i int) error {
		order, event := *put(fmt.Sprintf("bare-%d", i), "").Put, event(i)
		_, err := db.TransactWriteItems(b.Context(), &dynamodb.TransactWriteItemsInput{
			ClientRequestToken: aws.String(uuid.NewString()),
			TransactItems:      []types.TransactWriteItem{{Put: &order}, {Put: &event}},
		})
		return err
	}
	commit := func(i int) error {
		tx := o.Begin(b.Context())
		orderID := fmt.Sprintf("outbox-%d", i)
		tx.Put(*put(orderID, "").Put)
		tx.Append(outbox.Event{Type: "OrderCreated", AggregateType: "Order", AggregateID: orderID, Version: 1, Data: map[string]string{"orderId": "o"}})
		return tx.Commit(b.Context())
	}
	// Both in turn, and medians: whatever else the machine does meets both alike.
	var took [2][]time.Duration
	for i := range b.N {
		for j, run := range []func(int) error{bare, commit} {
			start := time.Now()
			if err := run(i + b.N*1000); err != nil {
				b.Fatal(err)
			}
			took[j] = append(took[j], time.Since(start))
		}
	}
	median := func(d []time.Duration) float64 {
		slices.Sort(d)
		return float64(d[len(d)/2].Microseconds())
	}
	b.ReportMetric(median(took[0]), "bare-µs")
	b.ReportMetric(median(took[1]), "outbox-µs")
	b.ReportMetric(100*(median(took[1])/median(took[0])-1), "overhead-%")
}
