package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// naive is the topology of the AWS SAM sample, in the folder naive as a template of our own: one PutItem whose errors are
// answered with 200, a pipe with LATEST and unbounded retries, consumers without an inbox, and a dead-letter
// queue of the rules that does not let EventBridge in. Where the sample leaves something open, this takes the
// kinder choice: the client's key is the order's id, only inserts become events, and each consumer has a queue.
var naive = topology{
	stack: "Naive",
	consumers: []check.Consumer{
		{Name: "One", Effects: map[string][]string{"OrderCreated": {"entry"}}},
		{Name: "Two", Effects: map[string][]string{"OrderCreated": {"entry"}}},
	},
	queues:     []string{"OneQueueUrl", "TwoQueueUrl"},
	read:       readNaive,
	onlyCreate: true,
}

// naivePatience is enough here: what is missing after it never comes.
const naivePatience = 20 * time.Second

// RunNaive runs the topology of the SAM sample under the plan, with the same orders. Config.Assembly is
// not used.
func RunNaive(ctx context.Context, config Config) (Result, error) {
	config.Assembly = filepath.Join(config.Root, "internal", "chaos", "naive")
	if config.Patience == 0 {
		config.Patience = naivePatience
	}
	return run(ctx, naive, nil, config)
}

// readNaive reads the orders, each of which is its own event, and what the consumers counted.
func readNaive(ctx context.Context, run *localrun.Run) (history.State, error) {
	var s history.State
	err := scan(ctx, run, "OrdersTableName", func(item map[string]types.AttributeValue) {
		id := text(item["id"])
		s.Events = append(s.Events, history.Event{ID: id, Type: "OrderCreated", Aggregate: aggregateOf(id), Version: 1})
		s.Objects = append(s.Objects, history.Object{Aggregate: aggregateOf(id), Version: 1})
	})
	err = errors.Join(err, scan(ctx, run, "EffectsTableName", func(item map[string]types.AttributeValue) {
		for range number(item["times"]) {
			s.Effects = append(s.Effects, history.Effect{Consumer: text(item["consumer"]), Kind: "entry", Event: text(item["id"])})
		}
	}))
	messages, peeked := peek(ctx, run, ruleDeadLetterQueue)
	for _, m := range messages {
		var event struct {
			Detail struct {
				DynamoDB struct {
					Keys struct{ ID struct{ S string } }
				}
			}
		}
		_ = json.Unmarshal([]byte(aws.ToString(m.Body)), &event)
		s.DeadLetters = append(s.DeadLetters, history.DeadLetter{Queue: history.RuleQueue, Name: ruleDeadLetterQueue, Events: []string{event.Detail.DynamoDB.Keys.ID.S}})
	}
	return s, errors.Join(err, peeked)
}
