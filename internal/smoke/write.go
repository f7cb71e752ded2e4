package smoke

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// smokeType is the type of the events that checks write to the outbox themselves.
const smokeType = "OutboxSmoke"

// mayWrite returns why no event of the run's own may be written: a consumer would get it, and knows nothing of it.
func (r *Runner) mayWrite(aggregateType string) error {
	event, err := json.Marshal(map[string]any{
		"version": "0", "id": "e", "detail-type": smokeType, "source": r.Outbox.Source, "account": "111122223333",
		"time": time.Now().UTC().Format(time.RFC3339), "region": r.Clients.Config.Region, "resources": []string{},
		"detail": map[string]any{"id": "e", "type": smokeType, "aggregateType": aggregateType, "aggregateId": "a", "version": "1"},
	})
	if err != nil {
		return err
	}
	for _, c := range r.Outbox.Consumers {
		compiled, err := pattern.Compile(c.Pattern, pattern.Rules)
		if err != nil {
			return fmt.Errorf("pattern of consumer %s: %w", c.Label(), err)
		}
		if matches, err := compiled.MatchJSON(event); err != nil {
			return err
		} else if matches {
			return skip("consumer %s takes every type of event, and would get the check's", c.Label())
		}
	}
	return nil
}

// writer returns the outbox as a function of the stack has it.
func (r *Runner) writer() (*outbox.Outbox, error) {
	retention, err := description.Seconds(r.Outbox.EventRetentionSeconds)
	if err != nil {
		return nil, err
	}
	return outbox.New(r.Clients.Tables, outbox.Config{Table: r.Outbox.Table, Source: r.Outbox.Source, Retention: retention}), nil
}

// write commits events in one transaction, and returns their ids. Where remove is set, they are removed with the run's
// other things.
func (r *Runner) write(ctx context.Context, remove bool, all ...outbox.Event) ([]string, error) {
	w, err := r.writer()
	if err != nil {
		return nil, err
	}
	tx := w.Begin(ctx)
	var ids []string
	for _, e := range all {
		id := tx.Append(e)
		ids = append(ids, id)
		if remove {
			r.cleanups.add("event "+id+" in table "+r.Outbox.Table, func(ctx context.Context) error {
				_, err := r.Clients.Tables.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &r.Outbox.Table, Key: eventKey(e.AggregateType, e.AggregateID, id)})
				return err
			})
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return nil, fmt.Errorf("commit to the outbox: %w", err)
	}
	return ids, nil
}

// writeOne commits an event of the run's own aggregate type.
func (r *Runner) writeOne(ctx context.Context, t *tap, kind, aggregate string, data any) (string, error) {
	ids, err := r.write(ctx, true, outbox.Event{Type: kind, AggregateType: t.aggregateType, AggregateID: aggregate, Version: 1, Data: data})
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

func eventKey(aggregateType, aggregate, id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		record.AttrPK: &types.AttributeValueMemberS{Value: record.PartitionKey(aggregateType, aggregate)},
		record.AttrSK: &types.AttributeValueMemberS{Value: record.SortKey(id)},
	}
}

// item reads an item, nil where there is none.
func (r *Runner) item(ctx context.Context, table string, key map[string]types.AttributeValue) (map[string]types.AttributeValue, error) {
	out, err := r.Clients.Tables.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, fmt.Errorf("read table %s: %w", table, err)
	}
	return out.Item, nil
}

func textOf(item map[string]types.AttributeValue, name string) string {
	if v, ok := item[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

// numberOf returns a number as DynamoDB holds it, "" for none.
func numberOf(item map[string]types.AttributeValue, name string) string {
	if v, ok := item[name].(*types.AttributeValueMemberN); ok {
		return v.Value
	}
	return ""
}
