package outbox

import (
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// checkName checks the name by which the inbox knows the consumer.
func (c *consumerConfig) checkName(found *problems) {
	if !record.IsConsumerName(*c.Name) && !unresolved(c.Name) {
		const allowed = "Name must be " + record.ConsumerNames
		if c.named {
			found.add("%s, got %q", allowed, *c.Name)
		} else {
			found.add("%s, got %q from the stack's name and the ids on the way to the consumer: set Name, or choose other ids", allowed, *c.Name)
		}
		return
	}
	if i := c.flow.auditor.elsewhere(*c.Name); i >= 0 {
		found.add("Name must differ from that of Audit.Consumers[%d] of the outbox, got %q for both: the auditor takes a name for one consumer. What is added here, the audit covers by itself", i, *c.Name)
	}
	for _, other := range c.at.registered(registeredConsumer) {
		if other["name"] != *c.Name || other["path"] == c.at.path() {
			continue // the same id is refused by itself
		}
		if other["stack"] == c.at.stackPath {
			found.add("Name must differ from that of the other consumers in the stack, got %q, which is the name of %v", *c.Name, other["path"])
		} else if c.flow.inboxTable != nil && other["table"] == *c.flow.inboxTable.TableArn() {
			found.add("Name must differ from that of the other consumers on the inbox table, got %q, which is the name of %v: each would take the events of the other for duplicates", *c.Name, other["path"])
		}
	}
}

// registeredConsumer is the kind of metadata that keeps the consumers' names.
const registeredConsumer = "outboxkit:consumer-name"

// register keeps the consumer's name, so that no other consumer can take it.
func (c *consumerConfig) register() {
	c.at.register(registeredConsumer, map[string]any{
		"name":  *c.Name,
		"stack": c.at.stackPath,
		"table": *c.flow.inboxTable.TableArn(),
		"path":  c.at.path(),
	})
}
