package operate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// foundEvents are the events that an id stands for.
type foundEvents struct {
	events   []item // by version
	siblings []item // all events of their aggregate
	more     bool   // the aggregate has older ones that are left out
}

// maxEvents is how many events of an aggregate are looked at.
const maxEvents = 1000

// sampled is how many items of the outbox table are read to learn the types of its aggregates. They fit one page.
const sampled = 200

// find returns the events that the id stands for. Keys lead to most: an aggregate's is "Type#id", and where events are
// numbered, "<aggregate>-<n>", to theirs too. To others only reading the table does.
func (t Tracer) find(ctx context.Context, id string) (*foundEvents, error) {
	if strings.Contains(id, "#") {
		if found, err := t.aggregate(ctx, id); err != nil || found != nil {
			return found, err
		}
	}
	types, err := t.aggregateTypes(ctx)
	if err != nil {
		return nil, err
	}
	for _, kind := range types {
		if found, err := t.aggregate(ctx, record.PartitionKey(kind, id)); err != nil || found != nil {
			return found, err
		}
		if found, err := t.numbered(ctx, kind, id); err != nil || found != nil {
			return found, err
		}
	}
	return t.scan(ctx, id)
}

// aggregate returns the events of the aggregate with the partition key, nil where it has none.
func (t Tracer) aggregate(ctx context.Context, key string) (*foundEvents, error) {
	if len(key) > maxKey {
		return nil, nil
	}
	found := &foundEvents{}
	pages := dynamodb.NewQueryPaginator(t.Clients.DynamoDB, &dynamodb.QueryInput{
		TableName: &t.Outbox.Table, KeyConditionExpression: aws.String("#pk = :pk"), FilterExpression: aws.String("#type = :event AND #source = :source"),
		ExpressionAttributeNames:  map[string]string{"#pk": record.AttrPK, "#type": record.AttrRecordType, "#source": record.AttrSource},
		ExpressionAttributeValues: item{":pk": text(key), ":event": text(record.RecordTypeEvent), ":source": text(t.Outbox.Source)},
		ConsistentRead:            aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the events of %s: %w", key, err)
		}
		found.events = append(found.events, page.Items...)
	}
	if len(found.events) == 0 {
		return nil, nil
	}
	byVersion(found.events)
	found.siblings = found.events
	if n := len(found.events); n > maxEvents {
		found.events, found.more = found.events[n-maxEvents:], true
	}
	return found, nil
}

// maxKey is how long a partition key may be, in bytes. Source: DynamoDB developer guide, "Constraints in Amazon DynamoDB".
const maxKey = 2048

func byVersion(events []item) {
	slices.SortFunc(events, func(a, b item) int {
		return cmp.Compare(numberOf(a, record.AttrVersion), numberOf(b, record.AttrVersion))
	})
}

// numbered returns the event whose id is that of its aggregate with a number behind it, nil where there is none.
func (t Tracer) numbered(ctx context.Context, kind, id string) (*foundEvents, error) {
	last := strings.LastIndex(id, "-")
	if last < 1 {
		return nil, nil
	}
	if _, err := strconv.ParseUint(id[last+1:], 10, 63); err != nil {
		return nil, nil
	}
	all, err := t.aggregate(ctx, record.PartitionKey(kind, id[:last]))
	if err != nil || all == nil {
		return nil, err
	}
	return all.only(id), nil
}

// only returns the one event with the id, nil where it is not among them.
func (f *foundEvents) only(id string) *foundEvents {
	for _, it := range f.siblings {
		if textOf(it, record.AttrID) == id {
			return &foundEvents{events: []item{it}, siblings: f.siblings}
		}
	}
	return nil
}

// aggregateTypes returns the types of aggregates that consumers' patterns name, and those of some events in the table.
func (t Tracer) aggregateTypes(ctx context.Context) ([]string, error) {
	types := map[string]bool{}
	for _, c := range t.Outbox.Consumers {
		for _, name := range namedTypes(c.Pattern) {
			types[name] = true
		}
	}
	out, err := t.Clients.DynamoDB.Scan(ctx, &dynamodb.ScanInput{
		TableName: &t.Outbox.Table, Limit: aws.Int32(sampled), ProjectionExpression: aws.String(record.AttrAggregateType),
	})
	if err != nil {
		return nil, fmt.Errorf("read some events of table %s: %w", t.Outbox.Table, err)
	}
	for _, it := range out.Items {
		if name := textOf(it, record.AttrAggregateType); name != "" {
			types[name] = true
		}
	}
	return slices.Sorted(maps.Keys(types)), nil
}

// namedTypes returns the types of aggregates that a pattern names to the letter.
func namedTypes(pattern json.RawMessage) (names []string) {
	var p struct {
		Detail struct {
			AggregateType []any `json:"aggregateType"`
		} `json:"detail"`
	}
	if json.Unmarshal(pattern, &p) != nil {
		return nil
	}
	for _, one := range p.Detail.AggregateType {
		if name, ok := one.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// scan reads the outbox table until it meets the id.
func (t Tracer) scan(ctx context.Context, id string) (*foundEvents, error) {
	about, err := t.announce(ctx, id)
	if err != nil {
		return nil, err
	}
	pages := dynamodb.NewScanPaginator(t.Clients.DynamoDB, &dynamodb.ScanInput{
		TableName: &t.Outbox.Table, FilterExpression: aws.String("#type = :event AND #source = :source AND (#id = :id OR #aggregate = :id)"),
		ExpressionAttributeNames: map[string]string{
			"#type": record.AttrRecordType, "#source": record.AttrSource, "#id": record.AttrID, "#aggregate": record.AttrAggregateID,
		},
		ExpressionAttributeValues: item{":event": text(record.RecordTypeEvent), ":source": text(t.Outbox.Source), ":id": text(id)},
	})
	progress, read := t.Dialog.Begin("items read", about), 0
	defer func() { progress.End(read) }()
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read table %s: %w", t.Outbox.Table, err)
		}
		read += int(page.ScannedCount)
		if len(page.Items) > 0 {
			return t.aroundOf(ctx, page.Items[0], id)
		}
		progress.At(read)
		if read >= t.MaximumRead && pages.HasMorePages() {
			return nil, fmt.Errorf("among the first %d items of table %s is no event with the id %q, and none of an aggregate with it: say its key, Type#id, or a higher --read", read, t.Outbox.Table, id)
		}
	}
	return nil, fmt.Errorf("there is no event with the id %q, and none of an aggregate with it, in table %s, which keeps events for %s",
		id, t.Outbox.Table, secondsText(seconds(t.Outbox.EventRetentionSeconds)))
}

// aroundOf returns what was found in a scan: the one event, or all of the aggregate.
func (t Tracer) aroundOf(ctx context.Context, it item, id string) (*foundEvents, error) {
	all, err := t.aggregate(ctx, textOf(it, record.AttrPK))
	switch {
	case err != nil:
		return nil, err
	case all == nil:
		return nil, errors.New("the event has left the outbox table just now")
	case textOf(it, record.AttrAggregateID) == id:
		return all, nil
	}
	if one := all.only(id); one != nil {
		return one, nil
	}
	return nil, errors.New("the event has left the outbox table just now")
}

// announce prints what a scan reads, and returns about how many items that are. DynamoDB's counts are up to six hours old.
// Source: DynamoDB API reference, TableDescription.
func (t Tracer) announce(ctx context.Context, id string) (items int, err error) {
	out, err := t.Clients.DynamoDB.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &t.Outbox.Table})
	if err != nil {
		return 0, fmt.Errorf("describe table %s: %w", t.Outbox.Table, err)
	}
	items = int(aws.ToInt64(out.Table.ItemCount))
	t.Dialog.Say("no key leads to %q: reading table %s, at most %d of about %d items, %s in all",
		id, t.Outbox.Table, t.MaximumRead, items, bytesText(aws.ToInt64(out.Table.TableSizeBytes)))
	return min(items, t.MaximumRead), nil
}
