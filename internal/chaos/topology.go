package chaos

import (
	"context"

	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// topology is a stack that can be run, and what is known about it from outside.
type topology struct {
	stack     string
	consumers []check.Consumer
	// queues are the outputs that hold the URLs of the queues that must be empty when nothing moves. In those of
	// ordered consumers events may wait for one that is in a dead-letter queue, until the redrive.
	queues, ordered []string
	// read reads tables and dead-letter queues.
	read func(context.Context, *localrun.Run) (history.State, error)
	// redrive puts all dead-letter messages back on their way. It is nil where there is no way.
	redrive func(context.Context, *localrun.Run) error
	// onlyCreate reports that an order cannot be changed.
	onlyCreate bool
	// joins is a consumer that is not there from the beginning, and change what its deployment changes in the
	// template.
	joins  check.Consumer
	change Change
}

// The names of the production consumers in the reference application, and of the two of this package.
const (
	publisherOne     = "PublisherOne"
	publisherTwo     = "PublisherTwo"
	PublisherUpdated = "OrderUpdatedPublisher"
	Ledger           = "Ledger"
	Journal          = "Journal"
	latecomer        = "Latecomer"
)

var consumers = []string{publisherOne, publisherTwo, PublisherUpdated, Ledger, Journal, latecomer}

// orders is the reference application, with a ledger and a journal added, and a second journal that joins later.
var orders = topology{
	stack: "Orders-dev",
	consumers: []check.Consumer{
		{Name: publisherOne, Effects: map[string][]string{"OrderCreated": {"shipment", "ShipmentRequested"}}},
		{Name: publisherTwo, Effects: map[string][]string{"OrderCreated": {"notification"}, "ShipmentRequested": {"notification"}}},
		{Name: PublisherUpdated, Effects: map[string][]string{"OrderCreated": {"history"}, "OrderUpdated": {"history"}}, Ordered: true},
		{Name: Ledger, Effects: map[string][]string{"OrderCreated": {"entry"}, "ShipmentRequested": {"entry"}}},
		{Name: Journal, Effects: map[string][]string{"OrderCreated": {"entry"}, "OrderUpdated": {"entry"}}, Ordered: true},
	},
	queues:  urls("QueueUrl", publisherOne, publisherTwo, Ledger),
	ordered: urls("QueueUrl", PublisherUpdated, Journal),
	read:    readOrders,
	redrive: redriveOrders,
	joins:   check.Consumer{Name: latecomer, Effects: map[string][]string{"OrderCreated": {"entry"}, "OrderUpdated": {"entry"}}, Ordered: true},
	change:  clone(Journal, latecomer, "journal"),
}

// urls returns the outputs with the URLs of some consumers.
func urls(suffix string, consumers ...string) []string {
	var all []string
	for _, c := range consumers {
		all = append(all, c+suffix)
	}
	return all
}

// ordersChanges are what a run changes in the template of the reference application.
var ordersChanges = []Change{clone(publisherTwo, Ledger, "ledger"), clone(PublisherUpdated, Journal, "journal"), shortenTimeouts, auditAtOnce}
