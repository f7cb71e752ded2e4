package audit

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// endless is an outbox table of many events that exist only while they are read, and an inbox that has handled all but each
// thousandth of them.
type endless struct {
	events int
	item   Item
	peak   uint64
}

const aPage = 1000 // 1 MB of events of 1 KB

func (e *endless) Scan(_ context.Context, in *dynamodb.ScanInput, _ ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	first := 0
	if in.ExclusiveStartKey != nil {
		first, _ = strconv.Atoi(scalar(in.ExclusiveStartKey, record.AttrPK))
	}
	out := &dynamodb.ScanOutput{}
	for i := first; i < min(first+aPage, e.events); i++ {
		item := Item{}
		for name, value := range e.item {
			item[name] = value
		}
		item[record.AttrID] = text(strconv.Itoa(i))
		item[record.AttrData] = text(fmt.Sprintf(`{"n":%d,"text":%q}`, i, strings.Repeat("x", 700)))
		out.Items = append(out.Items, item)
	}
	if first+aPage < e.events {
		out.LastEvaluatedKey = Item{record.AttrPK: text(strconv.Itoa(first + aPage))}
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	e.peak = max(e.peak, m.HeapAlloc)
	return out, nil
}

func (e *endless) BatchGetItem(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	for table, request := range in.RequestItems {
		for _, key := range request.Keys {
			pk := scalar(key, record.AttrPK)
			if id := pk[strings.LastIndex(pk, "#")+1:]; !strings.HasSuffix(id, "000") {
				out.Responses[table] = append(out.Responses[table], Item{
					record.AttrPK: key[record.AttrPK], record.AttrSource: e.item[record.AttrSource], record.AttrVersion: e.item[record.AttrVersion],
					record.AttrAggregateType: e.item[record.AttrAggregateType], record.AttrAggregateID: e.item[record.AttrAggregateID],
				})
			}
		}
	}
	return out, nil
}

func (e *endless) DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error) {
	return nil, nil
}

// TestFullAuditNeedsTheMemoryOfAPage: ten times as many events need no more memory.
func TestFullAuditNeedsTheMemoryOfAPage(t *testing.T) {
	heap := map[int]uint64{}
	for _, events := range []int{10_000, 100_000} {
		table := &endless{events: events, item: outboxItem(t, "e", "OrderCreated", 1)}
		full := Full{Tables: table, Table: "outbox", Source: "orders", Consumers: Consumers{consumerOf(t, "all", "inbox", `{"source": ["orders"]}`, false)}}
		runtime.GC()
		began, missing := time.Now(), 0
		counts, err := full.Run(t.Context(), func(Effect, Verdict) error { missing++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		// Event 0 has an id without three zeros at its end.
		if want := events/1000 - 1; counts.Committed != events || counts.Missing() != want || missing != want {
			t.Errorf("of %d events %d were read and %d are missing, want %d", events, counts.Committed, missing, want)
		}
		heap[events] = table.peak
		t.Logf("%d events in %s, without the time of AWS's answers; the heap has %.1f MB at most", events, time.Since(began).Round(time.Millisecond), float64(table.peak)/1e6)
	}
	if heap[100_000] > heap[10_000]+5e6 {
		t.Errorf("the heap grew from %d to %d bytes with the number of events", heap[10_000], heap[100_000])
	}
}
