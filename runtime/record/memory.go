package record

// The attributes of the items in an inbox table, besides those that they share with an outbox item. runtime/inbox writes
// them; whoever looks for an effect, as the audit does, reads them.
const (
	AttrHandledAt  = "handledAt"  // N: epoch milliseconds of when a marker or a position was written
	AttrLeaseUntil = "leaseUntil" // N, of a marker: its event is being handled, and has had no effect yet
	AttrEventID    = "eventId"    // S, of a position: the event that has its version; none where the consumer begins after it
	AttrGaps       = "gaps"       // L of N, of a start: pairs of the first version that was gone without, and the one begun with after it
	AttrJoinedAt   = "joinedAt"   // N, of a join: epoch milliseconds; what was written before is not the consumer's
)

// MarkerKey returns the value of AttrPK of the item by which a consumer remembers one event.
func MarkerKey(consumer, source, eventID string) string {
	return "event#" + consumer + "#" + source + "#" + eventID
}

// PositionKey returns the value of AttrPK of the item that holds how far an ordered consumer is in an aggregate.
func PositionKey(consumer, source, aggregateType, aggregateID string) string {
	return aggregateKey("position", consumer, source, aggregateType, aggregateID)
}

// StartKey returns the value of AttrPK of the item that holds which versions of an aggregate an ordered consumer went on
// without. There is none for one that began with version 1.
func StartKey(consumer, source, aggregateType, aggregateID string) string {
	return aggregateKey("start", consumer, source, aggregateType, aggregateID)
}

// WaitingKey returns the value of AttrPK of the item that holds the lowest version of an aggregate that waits for its
// predecessors.
func WaitingKey(consumer, source, aggregateType, aggregateID string) string {
	return aggregateKey("waiting", consumer, source, aggregateType, aggregateID)
}

// JoinKey returns the value of AttrPK of the item that holds since when an ordered consumer counts.
func JoinKey(consumer string) string { return "join#" + consumer }

func aggregateKey(kind, consumer, source, aggregateType, aggregateID string) string {
	return kind + "#" + consumer + "#" + source + "#" + PartitionKey(aggregateType, aggregateID)
}
