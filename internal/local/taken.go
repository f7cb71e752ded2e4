package local

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// namedTypes are the types whose Ref is a name that only one resource of an account and region may have. Services find a
// resource of an earlier run by that name, so a second one would share what the first one holds.
var namedTypes = map[string]string{
	"AWS::DynamoDB::Table":       "table",
	"AWS::DynamoDB::GlobalTable": "table",
	"AWS::SQS::Queue":            "queue",
	"AWS::Events::EventBus":      "event bus",
	"AWS::Events::Rule":          "rule",
	"AWS::Pipes::Pipe":           "pipe",
	"AWS::CloudWatch::Alarm":     "alarm",
}

// refuseTakenNames returns the provisions with an error for a resource whose name another one has.
func refuseTakenNames(provisions map[string]template.Provision) map[string]template.Provision {
	var mu sync.Mutex
	taken := map[string]string{} // logical ids by kind and name
	for kind, what := range namedTypes {
		provision := provisions[kind]
		if provision == nil {
			continue
		}
		provisions[kind] = func(ctx context.Context, r template.Resource) (template.Attributes, error) {
			made, err := provision(ctx, r)
			if err != nil {
				return made, err
			}
			mu.Lock()
			defer mu.Unlock()
			key := what + " " + made.Ref
			if other, ok := taken[key]; ok && other != r.LogicalID {
				return made, fmt.Errorf("the name must be one that no other %s has, got %s, which %s has", what, made.Ref[strings.LastIndex(made.Ref, "/")+1:], other)
			}
			taken[key] = r.LogicalID
			return made, nil
		}
	}
	return provisions
}
