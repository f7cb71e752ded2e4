package smoke

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

var storedCheck = Check{
	Number: 4, Title: "TTL and time stamps of what is stored",
	Does: "places 1 order, removed at the end; reads it, its event and what a consumer remembers",
	Open: "how API Gateway divides in $context.requestTimeEpoch / 1000: DynamoDB takes whole seconds for a TTL",

	Minutes: 1, Dollars: 0.001, Reference: true, run: stored,
}

// clockSkew is how far this machine's clock may be from AWS's.
const clockSkew = 2 * time.Minute

func stored(ctx context.Context, j *job) error {
	id, err := j.place(ctx, "stored", "its time stamps are read")
	if err != nil {
		return err
	}
	order, err := j.item(ctx, j.reference.orders, orderKey(id))
	if err != nil {
		return err
	}
	j.near("the order's createdAt", numberOf(order, "createdAt"), time.Millisecond, time.Now())
	event, err := j.item(ctx, j.Outbox.Table, eventKey("Order", id, id+"-1"))
	if err != nil {
		return err
	}
	if event == nil {
		j.fail("the event of order %s is not in table %s", id, j.Outbox.Table)
		return nil
	}
	j.near("the event's occurredAt", numberOf(event, record.AttrOccurredAt), time.Millisecond, time.Now())
	j.nearSeconds("the event's expiresAt", numberOf(event, record.AttrExpiresAt), j.Outbox.EventRetentionSeconds)
	if err := j.markers(ctx, id+"-1"); err != nil {
		return err
	}
	for _, table := range []string{j.Outbox.Table, j.inboxTable()} {
		if err := j.ttlOf(ctx, table); err != nil {
			return err
		}
	}
	return nil
}

// near checks that a number is whole, and a time near another one.
func (j *job) near(what, number string, unit time.Duration, want time.Time) {
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		j.fail("%s must be a whole number, got %q", what, number)
		return
	}
	at := time.Unix(0, 0).Add(time.Duration(n) * unit)
	if math.Abs(at.Sub(want).Seconds()) > clockSkew.Seconds() {
		j.fail("%s is %s, want about %s", what, at.UTC().Format(time.RFC3339), want.UTC().Format(time.RFC3339))
		return
	}
	j.see("%s is %s", what, number)
}

// nearSeconds checks a TTL: so many seconds from now.
func (j *job) nearSeconds(what, number, after string) {
	seconds, err := strconv.ParseInt(after, 10, 64)
	if err != nil {
		j.fail("%s: how long it is kept must be a whole number of seconds, got %q", what, after)
		return
	}
	j.near(what, number, time.Second, time.Now().Add(time.Duration(seconds)*time.Second))
}

// markers checks what each consumer remembers of the event, and for how long.
func (j *job) markers(ctx context.Context, event string) error {
	for _, c := range j.Outbox.Consumers {
		if c.Ordered || c.InboxTable == "" || c.ID == "" || c.MemorySeconds == "" {
			continue
		}
		marker, err := j.item(ctx, c.InboxTable, markerKey(c, j.Outbox.Source, event))
		if err != nil {
			return err
		}
		if marker == nil {
			j.fail("consumer %s does not remember event %s", c.Label(), event)
			continue
		}
		j.near(c.Label()+"'s handledAt", numberOf(marker, record.AttrHandledAt), time.Millisecond, time.Now())
		j.nearSeconds(c.Label()+"'s expiresAt", numberOf(marker, record.AttrExpiresAt), c.MemorySeconds)
	}
	return nil
}

func markerKey(c *operate.Consumer, source, event string) map[string]dbtypes.AttributeValue {
	return map[string]dbtypes.AttributeValue{record.AttrPK: &dbtypes.AttributeValueMemberS{Value: record.MarkerKey(c.Name, source, event)}}
}

// ttlOf checks that DynamoDB removes what has expired.
func (j *job) ttlOf(ctx context.Context, table string) error {
	out, err := j.Clients.Tables.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &table})
	if err != nil {
		return fmt.Errorf("read the TTL of table %s: %w", table, err)
	}
	expect(&j.findings, "the TTL of table "+table, out.TimeToLiveDescription.TimeToLiveStatus, dbtypes.TimeToLiveStatusEnabled)
	expect(&j.findings, "the TTL's attribute of table "+table, aws.ToString(out.TimeToLiveDescription.AttributeName), record.AttrExpiresAt)
	return nil
}
