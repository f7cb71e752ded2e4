package redrive_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

// bus keeps what was put on it.
type bus struct {
	events []record.Event
	refuse string // an event's id
	busy   int    // how many calls accept only their first entry
	calls  int
}

func (b *bus) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	b.calls++
	size := 0
	for _, e := range in.Entries {
		size += len(*e.Source) + len(*e.DetailType) + len(*e.Detail)
	}
	if len(in.Entries) > 10 || size > 256*1024 {
		return nil, fmt.Errorf("the call has %d entries of %d bytes", len(in.Entries), size)
	}
	b.busy--
	out := &eventbridge.PutEventsOutput{}
	for i, e := range in.Entries {
		body := fmt.Appendf(nil, `{"detail-type":%q,"source":%q,"detail":%s}`, *e.DetailType, *e.Source, *e.Detail)
		event, err := record.Decode(body)
		if err != nil {
			return nil, err
		}
		if event.ID == b.refuse || (b.busy >= 0 && i > 0) {
			out.FailedEntryCount++
			out.Entries = append(out.Entries, bustypes.PutEventsResultEntry{ErrorCode: aws.String("InternalFailure")})
			continue
		}
		b.events = append(b.events, event)
		out.Entries = append(out.Entries, bustypes.PutEventsResultEntry{EventId: aws.String("e")})
	}
	return out, nil
}

func (b *bus) ids() []string {
	var ids []string
	for _, e := range b.events {
		ids = append(ids, e.ID)
	}
	return ids
}

// stream is one shard, read two records at a time.
type stream struct {
	records []streamtypes.Record
	lost    error // what it answers to who asks for a place
	expire  int   // the read after which the iterator has expired, once
	endless bool  // the shard is still open
	reads   int
}

func (s *stream) GetShardIterator(_ context.Context, in *dynamodbstreams.GetShardIteratorInput, _ ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetShardIteratorOutput, error) {
	if s.lost != nil {
		return nil, s.lost
	}
	at := slices.IndexFunc(s.records, func(r streamtypes.Record) bool { return *r.Dynamodb.SequenceNumber == *in.SequenceNumber })
	if in.ShardIteratorType == streamtypes.ShardIteratorTypeAfterSequenceNumber {
		at++
	}
	return &dynamodbstreams.GetShardIteratorOutput{ShardIterator: aws.String(fmt.Sprint(at))}, nil
}

func (s *stream) GetRecords(_ context.Context, in *dynamodbstreams.GetRecordsInput, _ ...func(*dynamodbstreams.Options)) (*dynamodbstreams.GetRecordsOutput, error) {
	if s.reads++; s.expire > 0 && s.reads == s.expire+1 {
		return nil, &streamtypes.ExpiredIteratorException{}
	}
	var at int
	if _, err := fmt.Sscan(*in.ShardIterator, &at); err != nil {
		return nil, err
	}
	end := min(at+2, len(s.records))
	out := &dynamodbstreams.GetRecordsOutput{Records: s.records[at:end]}
	if end < len(s.records) || s.endless {
		out.NextShardIterator = aws.String(fmt.Sprint(end))
	}
	return out, nil
}

// table answers a scan with all its items: the filter is DynamoDB's.
type table []redrive.Item

func (t table) Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	return &dynamodb.ScanOutput{Items: slices.Clone(t)}, nil
}

func millis(t time.Time) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: fmt.Sprint(t.UnixMilli())}
}

var written = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func itemOf(t *testing.T, id string) redrive.Item {
	t.Helper()
	item, err := record.Event{
		ID: id, Type: "OrderCreated", Source: "orders", AggregateType: "Order", AggregateID: id, Version: 1,
		OccurredAt: written, Data: json.RawMessage(`{"note":"it's \"urgent\""}`),
	}.Item(written.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return item
}

// recordOf is the stream's record of a change of the item.
func recordOf(item redrive.Item, n int, change streamtypes.OperationType) streamtypes.Record {
	image := map[string]streamtypes.AttributeValue{}
	for name, value := range item {
		switch v := value.(type) {
		case *types.AttributeValueMemberS:
			image[name] = &streamtypes.AttributeValueMemberS{Value: v.Value}
		case *types.AttributeValueMemberN:
			image[name] = &streamtypes.AttributeValueMemberN{Value: v.Value}
		}
	}
	return streamtypes.Record{EventName: change, Dynamodb: &streamtypes.StreamRecord{SequenceNumber: aws.String(fmt.Sprint(n)), NewImage: image}}
}

// messageOf is a pipe's dead-letter message of records n to m.
func messageOf(n, m int) string {
	return fmt.Sprintf(`{"context":{"condition":"RetryAttemptsExhausted"},"DDBStreamBatchInfo":{"shardId":"s","startSequenceNumber":"%d","endSequenceNumber":"%d",
		"approximateArrivalOfFirstRecord":%q,"approximateArrivalOfLastRecord":%q,"batchSize":%d,"streamArn":"arn"}}`,
		n, m, written.Format(time.RFC3339), written.Format(time.RFC3339), m-n+1)
}

func TestPipe(t *testing.T) {
	counter := redrive.Item{"pk": &types.AttributeValueMemberS{Value: "Order#o"}, "sk": &types.AttributeValueMemberS{Value: "version"}}
	late := itemOf(t, "much-later")
	late[record.AttrOccurredAt] = millis(written.Add(time.Hour))
	// An event may tell of what happened long before it was written.
	old, oldToo := itemOf(t, "old"), itemOf(t, "another")
	old[record.AttrOccurredAt], old[record.AttrWrittenAt] = millis(written.AddDate(-1, 0, 0)), millis(written.Add(time.Minute))
	oldToo[record.AttrWrittenAt] = millis(written.Add(time.Hour))
	broken := itemOf(t, "broken")
	delete(broken, record.AttrType)
	foreign := itemOf(t, "foreign")
	foreign[record.AttrSource] = &types.AttributeValueMemberS{Value: "invoices"}
	beat := itemOf(t, "beat")
	beat[record.AttrSource] = &types.AttributeValueMemberS{Value: "orders.heartbeat"}
	insert := streamtypes.OperationTypeInsert
	for name, tc := range map[string]struct {
		stream  stream
		table   table
		message string
		refuse  string
		want    []string
		kept    string
	}{
		"what was given up, and nothing before or after it": {
			stream: stream{records: []streamtypes.Record{
				recordOf(itemOf(t, "a"), 8, insert), recordOf(itemOf(t, "b"), 9, insert), recordOf(itemOf(t, "c"), 10, insert),
				recordOf(itemOf(t, "d"), 11, insert), recordOf(itemOf(t, "e"), 100, insert),
			}},
			message: messageOf(9, 11), want: []string{"b", "c", "d"},
		},
		"only new outbox items": {
			stream: stream{records: []streamtypes.Record{
				recordOf(itemOf(t, "a"), 1, insert), recordOf(itemOf(t, "a"), 2, streamtypes.OperationTypeModify),
				recordOf(counter, 3, insert), recordOf(nil, 4, streamtypes.OperationTypeRemove), recordOf(itemOf(t, "b"), 5, insert),
			}},
			message: messageOf(1, 5), want: []string{"a", "b"},
		},
		"from the table when the stream no longer has them": {
			stream: stream{lost: &streamtypes.TrimmedDataAccessException{}}, table: table{itemOf(t, "a"), itemOf(t, "b"), late},
			message: messageOf(1, 2), want: []string{"a", "b"},
		},
		"from the table by the time of the write": {
			stream: stream{lost: &streamtypes.TrimmedDataAccessException{}}, table: table{old, oldToo}, message: messageOf(1, 1), want: []string{"old"},
		},
		"from the table when the shard or the stream is gone": {
			stream: stream{lost: &streamtypes.ResourceNotFoundException{}}, table: table{itemOf(t, "a"), late},
			message: messageOf(1, 1), want: []string{"a"},
		},
		"kept when the table no longer has them either": {
			stream: stream{lost: &streamtypes.TrimmedDataAccessException{}}, table: table{itemOf(t, "a")}, message: messageOf(1, 2), kept: "at least 2",
		},
		"none that the pipe's filter keeps back": {
			stream:  stream{records: []streamtypes.Record{recordOf(itemOf(t, "a"), 1, insert), recordOf(foreign, 2, insert), recordOf(itemOf(t, "b"), 3, insert)}},
			message: messageOf(1, 3), want: []string{"a", "b"},
		},
		"the outbox's heartbeats": {
			stream:  stream{records: []streamtypes.Record{recordOf(beat, 1, insert)}},
			message: messageOf(1, 1), want: []string{"beat"},
		},
		"nor from the table": {
			stream: stream{lost: &streamtypes.TrimmedDataAccessException{}}, table: table{foreign, itemOf(t, "a")}, message: messageOf(1, 2), kept: `has 1 events of source "orders"`,
		},
		"on, when the place in the stream has expired": {
			stream: stream{expire: 1, records: []streamtypes.Record{
				recordOf(itemOf(t, "a"), 1, insert), recordOf(itemOf(t, "b"), 2, insert), recordOf(itemOf(t, "c"), 3, insert), recordOf(itemOf(t, "d"), 4, insert),
			}},
			message: messageOf(1, 4), want: []string{"a", "b", "c", "d"},
		},
		"kept when an open shard does not have the end": {
			stream: stream{endless: true, records: []streamtypes.Record{recordOf(itemOf(t, "a"), 1, insert)}}, message: messageOf(1, 2), kept: "shard ends",
		},
		"kept when the record cannot be an event": {
			stream: stream{records: []streamtypes.Record{recordOf(broken, 1, insert)}}, message: messageOf(1, 1), kept: "attribute type is missing",
		},
		"kept when the bus refuses one": {
			stream: stream{records: []streamtypes.Record{recordOf(itemOf(t, "a"), 1, insert)}}, message: messageOf(1, 1), refuse: "a", kept: "InternalFailure",
		},
		"kept when the end is not in the shard": {
			stream: stream{records: []streamtypes.Record{recordOf(itemOf(t, "a"), 1, insert)}}, message: messageOf(1, 2), kept: "shard ends",
		},
		"kept when the stream has no event of the source": {
			stream: stream{records: []streamtypes.Record{recordOf(foreign, 1, insert), recordOf(counter, 2, insert)}}, message: messageOf(1, 2), kept: `records 1 to 2 of shard s: there is no event of source "orders"`,
		},
		"kept when the table has none": {
			stream: stream{lost: &streamtypes.TrimmedDataAccessException{}}, table: table{foreign}, message: messageOf(1, 0), kept: `no event of source "orders"`,
		},
		"kept when it is no message of a pipe": {message: `{"orderId":"o"}`, kept: "must be a dead-letter message of a pipe"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, b := newQueues(), &bus{refuse: tc.refuse}
				q.add("dlq", tc.message, nil)
				report := redrivePipe(t, q, b, &tc.stream, tc.table)
				if got := b.ids(); !slices.Equal(got, tc.want) {
					t.Errorf("on the bus: %v, want %v", got, tc.want)
				}
				if tc.kept == "" {
					if report.Redriven != 1 || !report.Done() || len(q.bodies("dlq")) != 0 {
						t.Errorf("report is %+v, want the message redriven and deleted", report)
					}
					return
				}
				if len(report.Kept) != 1 || !strings.Contains(report.Kept[0].Err.Error(), tc.kept) || len(q.bodies("dlq")) != 1 {
					t.Errorf("report is %+v, want the message kept because %q", report, tc.kept)
				}
			})
		})
	}
}

// TestPipeNeedsASource: without one it would publish what other outboxes wrote into a shared table.
func TestPipeNeedsASource(t *testing.T) {
	r := redrive.New(redrive.Clients{SQS: newQueues()})
	_, err := r.Pipe(t.Context(), "dlq", redrive.PipeTarget{Bus: "b", OutboxTable: "t"})
	_, eventsErr := r.Events(t.Context(), messageOf(1, 1), redrive.PipeTarget{OutboxTable: "t"})
	for name, err := range map[string]error{"Pipe": err, "Events": eventsErr} {
		if err == nil || !strings.Contains(err.Error(), "Source must be that of the outbox") {
			t.Errorf("%s: got %v, want an error about the source", name, err)
		}
	}
}

func redrivePipe(t *testing.T, q *queues, b *bus, s *stream, items table) redrive.Report {
	t.Helper()
	r := redrive.New(redrive.Clients{SQS: q, EventBridge: b, Streams: s, DynamoDB: items})
	report, err := r.Pipe(t.Context(), "dlq", redrive.PipeTarget{Bus: "b", OutboxTable: "t", Source: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	return report
}
