package local

import (
	"fmt"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
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
	for _, m := range s.services.mapping.List() {
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
	var names []string
	for _, c := range s.Consumers() {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return Consumer{}, fmt.Errorf("consumer must be one of %s, got %q", strings.Join(names, ", "), name)
}

// Function returns the function of a consumer, or that with the name, the logical id, the readable name or the last part of
// it. Its error lists those that there are.
func (s *Session) Function(name string) (template.Deployed, error) {
	if c, err := s.Consumer(name); err == nil {
		name = c.Function
	}
	var found []template.Deployed
	var names []string
	for _, r := range s.resources("AWS::Lambda::Function") {
		last := r.Name[strings.LastIndexByte(r.Name, '/')+1:]
		if slices.Contains([]string{r.GetAtt["Arn"], r.Ref, r.LogicalID, r.Name, last}, name) {
			found = append(found, r)
		}
		names = append(names, r.Name)
	}
	if len(found) != 1 {
		return template.Deployed{}, fmt.Errorf("function must name one of %s, got %q, which %d of them have", strings.Join(names, ", "), name, len(found))
	}
	return found[0], nil
}

// NameOf returns the readable name of a logical id, an ARN or a Ref of the stack, or the last part of what it does not know.
func (s *Session) NameOf(reference string) string {
	if r, found := s.Find(reference); found {
		return r.Name
	}
	resource := cloud.ResourceOf(reference)
	return resource[strings.LastIndexAny(resource, "/:")+1:]
}
