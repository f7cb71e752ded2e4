package audit_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/audit/audittest"
	"github.com/outboxkit/transactional-outbox/internal/description"
)

// Effects of two inbox tables, more than a request has keys, some asked for twice, and DynamoDB that leaves keys for another
// time: each gets the verdict that it has alone.
func TestConfirmAsksForEachKeyUntilItIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tables := audittest.NewTables(&audittest.Calls{})
		tables.Unprocessed = 40
		text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
		number := func(n int) types.AttributeValue { return &types.AttributeValueMemberN{Value: fmt.Sprint(n)} }
		one := &audit.Consumer{Consumer: description.Consumer{Name: "one", InboxTable: "first"}}
		two := &audit.Consumer{Consumer: description.Consumer{Name: "two", InboxTable: "second", Ordered: true}}
		var effects []audit.Effect
		for i := range 250 {
			e := audit.Event{ID: fmt.Sprint("e", i), Source: "orders", AggregateType: "Order", AggregateID: fmt.Sprint("o", i%25), Version: int64(i/25 + 1)}
			effects = append(effects, audit.Effect{Event: e, Consumer: one}, audit.Effect{Event: e, Consumer: two}, audit.Effect{Event: e, Consumer: one})
			if i%2 == 0 {
				tables.Put("first", audittest.Item{
					"pk": text("event#one#orders#" + e.ID), "source": text("orders"), "aggregateType": text("Order"), "aggregateId": text(e.AggregateID), "version": number(int(e.Version)),
				})
			}
			tables.Put("second", audittest.Item{"pk": text("position#two#orders#Order#" + e.AggregateID), "version": number(5), "eventId": text(fmt.Sprint("e", 100+i%25))})
		}
		verdicts, err := audit.Confirm(t.Context(), tables, effects)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range verdicts {
			want := (i/3)%2 == 0
			if effects[i].Consumer == two {
				want = effects[i].Event.Version <= 5
			}
			if v.Confirmed != want {
				t.Fatalf("effect %d (%+v) is confirmed %t: %s", i, effects[i].Event, v.Confirmed, v.Reason)
			}
		}
	})
}
