package smoke

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithytime "github.com/aws/smithy-go/time"

	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

var orderedGapCheck = Check{
	Number: 10, Title: "an ordered consumer waits for a gap",
	Does: "commits versions 1, 3 and then 2 of one order for the consumer of histories; its history, and what the consumer remembers of it, are removed at the end",
	Open: "how often SQS gives a message that came too early, of the 40 times that its queue allows",

	Minutes: 4, Dollars: 0.001, Reference: true, run: orderedGap,
}

// statuses are those of the versions in an order's history.
var statuses = []string{1: "CREATED", 2: "CONFIRMED", 3: "SHIPPED"}

func orderedGap(ctx context.Context, j *job) error {
	c, err := operate.FindConsumer(j.Outbox.Consumers, historian)
	if err != nil || !c.Ordered || c.InboxTable == "" {
		return skip("the stack has no ordered consumer %s", historian)
	}
	order, began := j.key("gap"), time.Now()
	for _, version := range []int64{1, 3} {
		if err := j.version(ctx, order, version); err != nil {
			return err
		}
		if version == 1 {
			if err := j.awaitPosition(ctx, c, order, 1); err != nil {
				return err
			}
		}
	}
	if err := j.waits(ctx, c); err != nil {
		return err
	}
	// Handled ahead of its turn, it would have moved the position.
	if at, err := j.position(ctx, c, order); err != nil {
		return err
	} else if at != 1 {
		j.fail("the position is %d while version 2 is missing, want 1", at)
	}
	closed := time.Now()
	if err := j.version(ctx, order, 2); err != nil {
		return err
	}
	if err := j.awaitPosition(ctx, c, order, 3); err != nil {
		return err
	}
	j.see("3 handled %s after 2 was committed", time.Since(closed).Round(100*time.Millisecond))
	if err := j.historyOf(ctx, order); err != nil {
		return err
	}
	return j.receives(ctx, c, began)
}

// waitingLooks is how many times in a row version 3 must be in the queue, visible or not, to count as waiting there.
const waitingLooks = 5

// waits waits until a message stays in the consumer's queue.
func (j *job) waits(ctx context.Context, c *operate.Consumer) error {
	looks := 0
	return j.await(ctx, "version 3 waits in the queue of "+c.Label(), func() (bool, error) {
		n, err := j.depth(ctx, c)
		if looks++; n == 0 {
			looks = 0
		}
		return looks >= waitingLooks, err
	})
}

// version commits one version of an order, of a type that only the consumer of histories takes.
func (j *job) version(ctx context.Context, order string, version int64) error {
	_, err := j.write(ctx, false, outbox.Event{
		Type: "OrderUpdated", AggregateType: "Order", AggregateID: order, Version: version,
		Data: map[string]any{"orderId": order, "status": statuses[version]},
	})
	return err
}

// position returns the version up to which the consumer has handled an order, 0 for none.
func (j *job) position(ctx context.Context, c *operate.Consumer, order string) (int64, error) {
	it, err := j.item(ctx, c.InboxTable, map[string]dbtypes.AttributeValue{
		record.AttrPK: &dbtypes.AttributeValueMemberS{Value: record.PositionKey(c.Name, j.Outbox.Source, "Order", order)},
	})
	if err != nil || it == nil {
		return 0, err
	}
	return strconv.ParseInt(numberOf(it, record.AttrVersion), 10, 64)
}

func (j *job) awaitPosition(ctx context.Context, c *operate.Consumer, order string, version int64) error {
	return j.await(ctx, fmt.Sprintf("consumer %s has handled version %d", c.Label(), version), func() (bool, error) {
		at, err := j.position(ctx, c, order)
		return at >= version, err
	})
}

// historyOf checks that the history has each version once, with its status.
func (j *job) historyOf(ctx context.Context, order string) error {
	items, err := j.beside(ctx, j.reference.orders, "id", order)
	if err != nil {
		return err
	}
	var history []string
	for _, it := range items {
		if strings.HasPrefix(textOf(it, "entity"), "history#") {
			history = append(history, numberOf(it, "version")+" "+textOf(it, "status"))
		}
	}
	expect(&j.findings, "the history", strings.Join(history, ", "), "1 CREATED, 2 CONFIRMED, 3 SHIPPED")
	return nil
}

const (
	metricsWithin = 4 * time.Minute // until CloudWatch has a queue's datapoints
	metricsPeriod = 60
)

// receives notes how many messages the queue gave out since then, by CloudWatch, which has no such metric in the local run.
// Source: SQS developer guide, sqs-available-cloudwatch-metrics.
func (j *job) receives(ctx context.Context, c *operate.Consumer, since time.Time) error {
	within := min(metricsWithin, j.Wait)
	for until := time.Now().Add(within); ; {
		sum, found, err := j.sum(ctx, "AWS/SQS", "NumberOfMessagesReceived", "QueueName", path.Base(c.Queue), since)
		if err != nil {
			return err
		}
		if found && sum >= 3 {
			j.see("the queue gave out %.0f messages for 3 events", sum)
			return nil
		}
		if j.isLocal() || time.Now().After(until) {
			j.differ("how often version 3 was received is not known: CloudWatch has no datapoint")
			return nil
		}
		if err := smithytime.SleepWithContext(ctx, 10*time.Second); err != nil {
			return err
		}
	}
}

func (r *Runner) sum(ctx context.Context, namespace, name, dimension, value string, since time.Time) (sum float64, found bool, err error) {
	out, err := r.Clients.Alarms.GetMetricData(ctx, &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(since.Truncate(time.Minute)), EndTime: aws.Time(time.Now().Add(time.Minute)),
		MetricDataQueries: []cwtypes.MetricDataQuery{{Id: aws.String("q"), MetricStat: &cwtypes.MetricStat{
			Metric: &cwtypes.Metric{Namespace: &namespace, MetricName: &name, Dimensions: []cwtypes.Dimension{{Name: &dimension, Value: &value}}},
			Period: aws.Int32(metricsPeriod), Stat: aws.String("Sum"),
		}}},
	})
	if err != nil {
		return 0, false, fmt.Errorf("read metric %s: %w", name, err)
	}
	for _, result := range out.MetricDataResults {
		for _, v := range result.Values {
			sum, found = sum+v, true
		}
	}
	return sum, found, nil
}

// isLocal reports whether the stack runs on this machine.
func (r *Runner) isLocal() bool {
	return strings.HasPrefix(aws.ToString(r.Clients.Config.BaseEndpoint), "http://127.0.0.1:")
}
