package commits

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// A request is what is read of a write.
type request struct {
	write
	ClientRequestToken string
	TransactItems      []map[string]write // by the action: Put, Update, Delete or ConditionCheck
	RequestItems       map[string][]map[string]write
}

// A write is one item of a request.
type write struct {
	TableName string
	Item      map[string]any
	Key       map[string]any

	ExpressionAttributeValues map[string]any
}

// items returns the items that a request writes, in their order.
func (r request) items() []write {
	var all []write
	for _, action := range r.TransactItems {
		for name, item := range action {
			if name != "ConditionCheck" {
				all = append(all, item)
			}
		}
	}
	for table, requests := range r.RequestItems {
		for _, one := range requests {
			for _, item := range one {
				item.TableName = table
				all = append(all, item)
			}
		}
	}
	if all == nil {
		return []write{r.write}
	}
	return all
}

// tables returns the names of the tables of items, each once.
func tables(items []write) (names []string) {
	for _, item := range items {
		if !slices.Contains(names, item.TableName) {
			names = append(names, item.TableName)
		}
	}
	return names
}

// event returns the event that the item adds to an outbox, and whether it is one.
func (w write) event() (hop.Added, bool) {
	if text(w.Item["recordType"]) != "outbox.event" || text(w.Item["id"]) == "" {
		return hop.Added{}, false
	}
	version, _ := strconv.ParseInt(text(w.Item["version"]), 10, 64)
	e := hop.Added{
		ID: text(w.Item["id"]), Source: text(w.Item["source"]), Type: text(w.Item["type"]),
		AggregateType: text(w.Item["aggregateType"]), AggregateID: text(w.Item["aggregateId"]), Version: version,
		CorrelationID: text(w.Item["correlationId"]), CausationID: text(w.Item["causationId"]),
	}
	if at, err := strconv.ParseInt(text(w.Item["occurredAt"]), 10, 64); err == nil {
		e.OccurredAt = time.UnixMilli(at)
	}
	return e, true
}

// candidates returns what could be the id of an event in the item's attributes.
func (w write) candidates() (ids []string) {
	for _, attributes := range []map[string]any{w.Item, w.Key, w.ExpressionAttributeValues} {
		for _, value := range attributes {
			whole := text(value)
			if whole == "" {
				continue
			}
			ids = append(ids, whole)
			if at := strings.LastIndexByte(whole, '#'); at >= 0 {
				ids = append(ids, whole[at+1:])
			}
		}
	}
	return ids
}

// text returns the value of a string or number in DynamoDB's JSON, and "" for any other.
func text(value any) string {
	attribute, _ := value.(map[string]any)
	for _, kind := range []string{"S", "N"} {
		if value, ok := attribute[kind].(string); ok {
			return value
		}
	}
	return ""
}
