package local

import (
	"fmt"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A Consumer is a queue of the stack and the function that an event source mapping invokes with its messages.
type Consumer struct {
	// Name is the last part of the queue's construct path that is not just "Queue": "Ship" for Outbox/Ship/Queue.
	// Where several stacks have it, its stack stands before it: "Shipping/Ship".
	Name            string `json:"name"`
	Queue           string `json:"queue"`                     // ARN
	DeadLetterQueue string `json:"deadLetterQueue,omitempty"` // ARN, or empty
	Function        string `json:"function"`                  // ARN
	Mapping         string `json:"mapping"`                   // logical id
}

// Consumers returns the stack's consumers, in the order of the template.
func (s *Session) Consumers() []Consumer {
	var all []Consumer
	var queues []template.Deployed
	for _, m := range s.current().mapping.List() {
		queue, found := s.Find(m.SourceARN)
		if !found || queue.Type != "AWS::SQS::Queue" {
			continue
		}
		c := Consumer{Name: consumerName(queue.Name), Queue: m.SourceARN, Function: m.FunctionARN, Mapping: m.LogicalID}
		if policy, ok := queue.Properties["RedrivePolicy"].(map[string]any); ok {
			c.DeadLetterQueue, _ = policy["deadLetterTargetArn"].(string)
		}
		all, queues = append(all, c), append(queues, queue)
	}
	for i, queue := range queues {
		if slices.ContainsFunc(queues, func(other template.Deployed) bool {
			return other.Stack != queue.Stack && consumerName(other.Name) == consumerName(queue.Name)
		}) {
			all[i].Name = queue.Stack + "/" + all[i].Name
		}
	}
	return all
}

func consumerName(queue string) string {
	parts := strings.Split(strings.TrimSuffix(queue, "/Queue"), "/")
	return parts[len(parts)-1]
}

// Consumer returns the consumer of that name. Its error lists those that there are.
func (s *Session) Consumer(name string) (Consumer, error) {
	var found []Consumer
	var names []string
	for _, c := range s.Consumers() {
		if c.Name == name {
			found = append(found, c)
		}
		names = append(names, c.Name)
	}
	switch len(found) {
	case 0:
		return Consumer{}, fmt.Errorf("consumer must be one of %s, got %q", strings.Join(names, ", "), name)
	case 1:
		return found[0], nil
	}
	return Consumer{}, fmt.Errorf("consumer must name one of the stack's, got %q, which %d of them have", name, len(found))
}
