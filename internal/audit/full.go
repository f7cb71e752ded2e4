package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A Full audit looks for the effects of all events in the outbox table, whatever the auditor knows. It needs memory for one
// page of the table, however long that is.
type Full struct {
	Tables    TableReader
	Table     string // name of the outbox table
	Source    string // of the outbox: other events in the table are not its
	Consumers Consumers
	Place     Place
	// From and To limit it to events written at From or later, and before To. Default, for the zero time: no limit.
	// Events younger than the time that effects take must be left out, or they count as missing.
	From, To time.Time
}

// An Estimate is what a full audit will read, at most, and cost.
type Estimate struct {
	Items     int64 // of the table, by DynamoDB's count, which is up to six hours old
	Bytes     int64
	ReadUnits float64
	USD       float64 // on demand, in us-east-1
}

// usdPerReadUnit is the price on demand in us-east-1. Source: aws.amazon.com/dynamodb/pricing/on-demand.
const usdPerReadUnit = 0.125 / 1e6

// Estimate returns what Run will read: the outbox table at half a read unit for each 4 KB, and for each event and consumer
// half a read unit, or for an ordered one 1.5.
func (f Full) Estimate(ctx context.Context) (Estimate, error) {
	out, err := f.Tables.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &f.Table})
	if err != nil {
		return Estimate{}, fmt.Errorf("describe table %s: %w", f.Table, err)
	}
	e := Estimate{Items: aws.ToInt64(out.Table.ItemCount), Bytes: aws.ToInt64(out.Table.TableSizeBytes)}
	e.ReadUnits = float64(e.Bytes) / 4096 / 2
	for _, c := range f.Consumers {
		e.ReadUnits += float64(e.Items) / 2
		if c.Ordered {
			e.ReadUnits += float64(e.Items)
		}
	}
	e.USD = e.ReadUnits * usdPerReadUnit
	return e, nil
}

// Counts are what a full audit found.
type Counts struct {
	Committed int // events of the outbox in the time
	Outside   int // events of the outbox before or after it
	Unread    int // items that are marked as events and cannot be read as one
	Consumers []ConsumerCounts
}

// ConsumerCounts are what a full audit found of one consumer.
type ConsumerCounts struct {
	Consumer  *Consumer
	Matched   int // events that are the consumer's
	Confirmed int
	Missing   int
}

// Missing returns how many effects are missing in all.
func (c Counts) Missing() int {
	n := 0
	for _, consumer := range c.Consumers {
		n += consumer.Missing
	}
	return n
}

// Run reads the outbox table page by page and calls missing for each effect that is not confirmed, with the verdict. It ends
// with the first error, missing's included; the counts are then those up to there.
func (f Full) Run(ctx context.Context, missing func(Effect, Verdict) error) (Counts, error) {
	counts := Counts{Consumers: make([]ConsumerCounts, len(f.Consumers))}
	for i, c := range f.Consumers {
		counts.Consumers[i].Consumer = c
	}
	pages := dynamodb.NewScanPaginator(f.Tables, &dynamodb.ScanInput{
		TableName:                &f.Table,
		FilterExpression:         aws.String("#type = :event AND #source = :source"),
		ExpressionAttributeNames: map[string]string{"#type": record.AttrRecordType, "#source": record.AttrSource},
		ExpressionAttributeValues: Item{
			":event": text(record.RecordTypeEvent), ":source": text(f.Source),
		},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return counts, fmt.Errorf("read table %s: %w", f.Table, err)
		}
		if err := f.look(ctx, page.Items, &counts, missing); err != nil {
			return counts, err
		}
	}
	return counts, nil
}

// look looks for the effects of a page of events.
func (f Full) look(ctx context.Context, items []Item, counts *Counts, missing func(Effect, Verdict) error) error {
	var effects []Effect
	for _, item := range items {
		event, err := EventOf(item)
		if err != nil {
			counts.Unread++
			continue
		}
		if event.WrittenAt.Before(f.From) || !f.To.IsZero() && !event.WrittenAt.Before(f.To) {
			counts.Outside++
			continue
		}
		consumers, err := f.Consumers.Match(f.Place, item, event.WrittenAt)
		if err != nil {
			counts.Unread++
			continue
		}
		counts.Committed++
		for _, c := range consumers {
			effects = append(effects, Effect{Event: event, Consumer: c})
		}
	}
	verdicts, err := Confirm(ctx, f.Tables, effects)
	if err != nil {
		return err
	}
	passed := map[eventKey]bool{}
	for i, v := range verdicts {
		if v.Confirmed {
			passed[keyOf(effects[i].Event)] = true
		}
	}
	for i, v := range verdicts {
		effects[i].Passed = passed[keyOf(effects[i].Event)]
		c := counts.of(effects[i].Consumer)
		c.Matched++
		if v.Confirmed {
			c.Confirmed++
			continue
		}
		c.Missing++
		if err := missing(effects[i], v); err != nil {
			return err
		}
	}
	return nil
}

func (c *Counts) of(consumer *Consumer) *ConsumerCounts {
	for i := range c.Consumers {
		if c.Consumers[i].Consumer == consumer {
			return &c.Consumers[i]
		}
	}
	return nil // unreachable: effects are of these consumers only
}
