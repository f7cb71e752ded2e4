package pipes

import (
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/streams"
)

// TestHeartbeatHops checks that a batch is one of heartbeats only when all of its events are.
func TestHeartbeatHops(t *testing.T) {
	for _, tt := range []struct {
		sources []string
		want    bool
	}{
		{[]string{"orders.heartbeat", "orders.heartbeat"}, true},
		{[]string{"orders.heartbeat", "orders"}, false},
		{[]string{"orders"}, false},
		{[]string{""}, false},
	} {
		var items []*item
		for _, source := range tt.sources {
			items = append(items, &item{Record: streams.Record{Source: source}})
		}
		var got hop.Hop
		d := &delivery{Pipe: &Pipe{Sink: func(h hop.Hop) { got = h }}}
		d.reportItems(items, hop.Hop{Outcome: hop.OK})
		if got.Heartbeat != tt.want || got.Count != len(tt.sources) {
			t.Errorf("%v: %+v, want Heartbeat %v", tt.sources, got, tt.want)
		}
	}
}
