package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithytime "github.com/aws/smithy-go/time"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

const (
	// maxKeys is the most keys of one request. Source: DynamoDB API reference, BatchGetItem.
	maxKeys = 100
	// requestsAtOnce is how many requests are in flight. Each may bring 16 MB, though markers have less than 1 KB.
	requestsAtOnce = 4
	// attempts is how often the keys of a request are asked for: DynamoDB returns those that it had no capacity for.
	attempts = 8
	// firstPause is the pause before the second attempt; it doubles.
	firstPause = 50 * time.Millisecond
)

// receiptFields are the attributes of inbox items that verdicts need: not what the consumer may have stored besides.
var receiptFields = []string{
	record.AttrPK, record.AttrSource, record.AttrAggregateType, record.AttrAggregateID, record.AttrVersion,
	record.AttrHandledAt, record.AttrLeaseUntil, record.AttrEventID, record.AttrGaps, record.AttrJoinedAt,
}

// place is where an item is: a table and the value of its partition key.
type itemPlace struct{ table, pk string }

// batches reads items by their keys, a hundred a request, each key once.
type batches struct {
	tables     BatchReader
	consistent bool

	wanted []itemPlace
	known  map[itemPlace]Item // nil where it is wanted and not there

	mu sync.Mutex
}

// want asks for an item.
func (b *batches) want(table, pk string) {
	if b.known == nil {
		b.known = map[itemPlace]Item{}
	}
	at := itemPlace{table, pk}
	if _, ok := b.known[at]; !ok {
		b.known[at] = nil
		b.wanted = append(b.wanted, at)
	}
}

// item returns an item that was read, nil where there is none.
func (b *batches) item(table, pk string) Item { return b.known[itemPlace{table, pk}] }

// read reads all items that are wanted.
func (b *batches) read(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(requestsAtOnce)
	for first := 0; first < len(b.wanted); first += maxKeys {
		some := b.wanted[first:min(first+maxKeys, len(b.wanted))]
		all.Go(func() error { return b.readSome(ctx, some) })
	}
	return all.Wait()
}

// readSome reads the items of one request, and asks again for those that it did not get.
func (b *batches) readSome(ctx context.Context, some []itemPlace) error {
	request := b.request(some)
	for attempt, wait := 1, firstPause; ; attempt, wait = attempt+1, 2*wait {
		out, err := b.tables.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: request})
		if err != nil {
			return fmt.Errorf("read the inbox: %w", err)
		}
		b.keep(out.Responses)
		request = out.UnprocessedKeys
		switch {
		case len(request) == 0:
			return nil
		case attempt == attempts:
			return errors.New("read the inbox: DynamoDB has no capacity for all keys of a request")
		}
		if err := smithytime.SleepWithContext(ctx, wait); err != nil {
			return err
		}
	}
}

func (b *batches) request(some []itemPlace) map[string]types.KeysAndAttributes {
	names := map[string]string{}
	projection := ""
	for _, name := range receiptFields {
		names["#"+name] = name
		projection += ", #" + name
	}
	projection = projection[2:]
	keys := map[string][]map[string]types.AttributeValue{}
	for _, at := range some {
		keys[at.table] = append(keys[at.table], Item{record.AttrPK: text(at.pk)})
	}
	request := map[string]types.KeysAndAttributes{}
	for table, keys := range keys {
		request[table] = types.KeysAndAttributes{
			Keys: keys, ProjectionExpression: &projection, ExpressionAttributeNames: names, ConsistentRead: aws.Bool(b.consistent),
		}
	}
	return request
}

func (b *batches) keep(responses map[string][]map[string]types.AttributeValue) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for table, items := range responses {
		for _, item := range items {
			b.known[itemPlace{table, scalar(item, record.AttrPK)}] = item
		}
	}
}
