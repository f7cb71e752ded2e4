package outboxtest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// The clients may do everything, whatever the policies of the template say: these bind the stack's roles.

// DynamoDB returns a client of the stack's tables.
func (r *Run) DynamoDB() *dynamodb.Client { return r.stack.Cloud().DynamoDB() }

// SQS returns a client of the stack's queues.
func (r *Run) SQS() *sqs.Client { return r.stack.Cloud().SQS() }

// EventBridge returns a client of the stack's buses.
func (r *Run) EventBridge() *eventbridge.Client { return r.stack.Cloud().EventBridge() }

// Config returns the configuration for a client of any other service that the local run stands in for, such as Lambda or SSM.
func (r *Run) Config() aws.Config {
	return aws.Config{
		Region: r.stack.Cloud().Region, BaseEndpoint: aws.String(r.stack.Cloud().Endpoint(cloud.Others)),
		Credentials: credentials.NewStaticCredentialsProvider(cloud.DeveloperKey, cloud.DeveloperKey, ""),
	}
}

// Environ returns the environment, as KEY=value, in which a program of yours reaches the stack by an unchanged AWS SDK.
func (r *Run) Environ() []string { return r.stack.Cloud().Environ() }

// Output returns the value of an output of the stack, or fails the test with the names that there are.
func (r *Run) Output(t testing.TB, name string) string {
	t.Helper()
	value, found := r.stack.Summary.Outputs[name]
	if !found {
		names := slices.Sorted(maps.Keys(r.stack.Summary.Outputs))
		if len(names) == 0 {
			t.Fatalf("outboxtest: the stack %s has no outputs, got %q", r.Name(), name)
		}
		t.Fatalf("outboxtest: output must be one of %s, got %q", strings.Join(names, ", "), name)
	}
	return value
}

// Table returns the physical name of a table, which may be named by its construct path without the stack, "Outbox/Table", by
// the path's last part, or by its logical id.
func (r *Run) Table(t testing.TB, name string) string {
	t.Helper()
	table, err := r.stack.Table(name)
	if err != nil {
		t.Fatalf("outboxtest: %v", err)
	}
	return table.Ref
}

// Item returns the item with that key as values of Go, or nil where the table has none. The table is named as in [Run.Table].
func (r *Run) Item(t testing.TB, table string, key map[string]any) map[string]any {
	t.Helper()
	name := r.Table(t, table)
	encoded, err := attributevalue.MarshalMap(key)
	if err != nil {
		t.Fatalf("outboxtest: key of an item of %s: %v", table, err)
	}
	out, err := r.DynamoDB().GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &name, Key: encoded, ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatalf("outboxtest: item of %s: %v", table, err)
	}
	if out.Item == nil {
		return nil
	}
	return values(t, table, out.Item)
}

// Items returns all items of a table as values of Go, in no order; those of other tests in the same run are among them.
func (r *Run) Items(t testing.TB, table string) []map[string]any {
	t.Helper()
	name := r.Table(t, table)
	var items []map[string]any
	pages := dynamodb.NewScanPaginator(r.DynamoDB(), &dynamodb.ScanInput{TableName: &name, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatalf("outboxtest: items of %s: %v", table, err)
		}
		for _, item := range page.Items {
			items = append(items, values(t, table, item))
		}
	}
	return items
}

func values(t testing.TB, table string, item map[string]types.AttributeValue) (decoded map[string]any) {
	t.Helper()
	if err := attributevalue.UnmarshalMap(item, &decoded); err != nil {
		t.Fatalf("outboxtest: decode an item of %s: %v", table, err)
	}
	return decoded
}
