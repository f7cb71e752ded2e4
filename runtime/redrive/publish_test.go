package redrive_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// TestPipePutsAgainWhatTheBusDidNotTake: PutEvents accepts and refuses its entries one by one.
func TestPipePutsAgainWhatTheBusDidNotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, b, s := newQueues(), &bus{busy: 2}, &stream{}
		var want []string
		for n := range 15 { // more than one call
			want = append(want, fmt.Sprint("e-", n))
			s.records = append(s.records, recordOf(itemOf(t, want[n]), n+1, streamtypes.OperationTypeInsert))
		}
		q.add("dlq", messageOf(1, 15), nil)
		if report := redrivePipe(t, q, b, s, nil); report.Redriven != 1 || !report.Done() {
			t.Errorf("report is %+v, want the message redriven", report)
		}
		if got := slices.Sorted(slices.Values(b.ids())); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("on the bus: %v, want each once", got)
		}
	})
}

// TestPipeRefusedEventDoesNotHoldUpOthers: those that can be published are, before the message is kept.
func TestPipeRefusedEventDoesNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, b, s := newQueues(), &bus{refuse: "e-0"}, &stream{}
		for n := range 12 {
			s.records = append(s.records, recordOf(itemOf(t, fmt.Sprint("e-", n)), n+1, streamtypes.OperationTypeInsert))
		}
		q.add("dlq", messageOf(1, 12), nil)
		report := redrivePipe(t, q, b, s, nil)
		if len(report.Kept) != 1 || !strings.Contains(report.Kept[0].Err.Error(), "1 of 1") || len(b.events) != 11 {
			t.Errorf("report is %+v, on the bus are %d, want the message kept and 11 on the bus", report, len(b.events))
		}
	})
}

// TestPipeSplitsLargeEvents: ten of them do not fit in one call.
func TestPipeSplitsLargeEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, b, s := newQueues(), &bus{}, &stream{}
		for n := range 10 {
			item := itemOf(t, fmt.Sprint("e-", n))
			item[record.AttrData] = &types.AttributeValueMemberS{Value: `"` + strings.Repeat("x", 100*1024) + `"`}
			s.records = append(s.records, recordOf(item, n+1, streamtypes.OperationTypeInsert))
		}
		q.add("dlq", messageOf(1, 10), nil)
		if report := redrivePipe(t, q, b, s, nil); report.Redriven != 1 || len(b.events) != 10 || b.calls != 5 {
			t.Errorf("report is %+v, on the bus are %d after %d calls, want 10 after 5", report, len(b.events), b.calls)
		}
	})
}

func TestPipePublishesWhatThePipeWould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, b := newQueues(), &bus{}
		q.add("dlq", messageOf(1, 1), nil)
		s := &stream{records: []streamtypes.Record{recordOf(itemOf(t, "a"), 1, streamtypes.OperationTypeInsert)}}
		redrivePipe(t, q, b, s, nil)
		if len(b.events) != 1 {
			t.Fatalf("on the bus: %v", b.events)
		}
		got := b.events[0]
		if got.Version != 1 || !got.OccurredAt.Equal(written) || string(got.Data) != `{"note":"it's \"urgent\""}` || got.CorrelationID != "a" {
			t.Errorf("the event is %+v", got)
		}
	})
}
