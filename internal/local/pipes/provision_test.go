package pipes

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const streamARN = "arn:aws:dynamodb:ddblocal:000000000000:table/outbox/stream/2026-11-23T15:32:59.825"

func openDB(t testing.TB) *bbolt.DB {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "local.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// pipeResource returns a pipe as the construct writes it, changed by a JSON merge patch.
func pipeResource(t testing.TB, patch string) template.Resource {
	t.Helper()
	properties := map[string]any{}
	for _, doc := range []string{`{
		"RoleArn": "arn:aws:iam::000000000000:role/pipe",
		"Source": "` + streamARN + `",
		"Target": "arn:aws:events:eu-central-1:000000000000:event-bus/orders",
		"SourceParameters": {
			"DynamoDBStreamParameters": {
				"StartingPosition": "TRIM_HORIZON", "BatchSize": 10, "MaximumRetryAttempts": 20,
				"MaximumRecordAgeInSeconds": "21600", "OnPartialBatchItemFailure": "AUTOMATIC_BISECT",
				"DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-central-1:000000000000:pipe-dlq"}
			},
			"FilterCriteria": {"Filters": [{"Pattern": "{\"eventName\":[\"INSERT\"],\"dynamodb\":{\"NewImage\":{\"recordType\":{\"S\":[\"outbox.event\"]},\"source\":{\"S\":[\"orders\"]}}}}"}]}
		},
		"TargetParameters": {
			"EventBridgeEventBusParameters": {"DetailType": "$.dynamodb.NewImage.type.S", "Source": "$.dynamodb.NewImage.source.S"},
			"InputTemplate": "{\"id\": <$.dynamodb.NewImage.id.S>, \"data\": <$.dynamodb.NewImage.data>}"
		},
		"LogConfiguration": {"Level": "ERROR"}
	}`, patch} {
		var parsed map[string]any
		if err := json.Unmarshal([]byte(doc), &parsed); err != nil {
			t.Fatal(err)
		}
		merge(properties, parsed)
	}
	return template.Resource{LogicalID: "OutboxPipe", Type: "AWS::Pipes::Pipe", PhysicalName: "Dev-OutboxPipe", Properties: properties}
}

func merge(into, from map[string]any) {
	for name, value := range from {
		inner, isMap := value.(map[string]any)
		if present, both := into[name].(map[string]any); isMap && both {
			merge(present, inner)
			continue
		}
		into[name] = value
	}
}

func localCloud() *cloud.Cloud {
	c := cloud.New("eu-central-1")
	for _, s := range []cloud.Service{cloud.DynamoDB, cloud.DynamoDBStreams, cloud.SQS, cloud.EventBridge} {
		c.SetEndpoint(s, "http://127.0.0.1:1")
	}
	return c
}

func TestProvision(t *testing.T) {
	s := New(Config{Cloud: localCloud(), DB: openDB(t)})
	got, err := s.Provisions()["AWS::Pipes::Pipe"](t.Context(), pipeResource(t, `{}`))
	if err != nil {
		t.Fatal(err)
	}
	if got.Ref != "Dev-OutboxPipe" || got.GetAtt["Arn"] != "arn:aws:pipes:eu-central-1:000000000000:pipe/Dev-OutboxPipe" {
		t.Errorf("got %+v", got)
	}
	want := Settings{
		Name: "OutboxPipe", SourceARN: streamARN, TargetARN: "arn:aws:events:eu-central-1:000000000000:event-bus/orders",
		DeadLetterARN: "arn:aws:sqs:eu-central-1:000000000000:pipe-dlq",
		BatchSize:     10, Parallel: 1, MaxRetries: 20, MaxAge: 6 * 3600e9, Bisect: true,
	}
	if len(s.pipes) != 1 || s.pipes[0].pipe.Settings != want {
		t.Fatalf("got  %+v\nwant %+v", s.pipes[0].pipe.Settings, want)
	}
}

func TestStoppedPipeDoesNotRun(t *testing.T) {
	s := New(Config{Cloud: localCloud(), DB: openDB(t)})
	got, err := s.Provisions()["AWS::Pipes::Pipe"](t.Context(), pipeResource(t, `{"DesiredState": "STOPPED"}`))
	if err != nil || got.GetAtt["CurrentState"] != "STOPPED" || s.pipes[0].Running {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestFilter(t *testing.T) {
	s := New(Config{Cloud: localCloud(), DB: openDB(t)})
	if _, err := s.Provisions()["AWS::Pipes::Pipe"](t.Context(), pipeResource(t, `{}`)); err != nil {
		t.Fatal(err)
	}
	event := func(name, recordType, source string) Record {
		return Record{Event: map[string]any{"eventName": name, "dynamodb": map[string]any{
			"NewImage": map[string]any{"recordType": map[string]any{"S": recordType}, "source": map[string]any{"S": source}},
		}}}
	}
	for name, test := range map[string]struct {
		record Record
		want   bool
	}{
		"outbox event":   {event("INSERT", "outbox.event", "orders"), true},
		"business item":  {event("INSERT", "order", "orders"), false},
		"another source": {event("INSERT", "outbox.event", "invoices"), false},
		"changed":        {event("MODIFY", "outbox.event", "orders"), false},
		"deleted":        {Record{Event: map[string]any{"eventName": "REMOVE", "dynamodb": map[string]any{}}}, false},
	} {
		if got := s.pipes[0].pipe.Filter(test.record); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// fromQueue returns the patch that makes a queue the source.
func fromQueue(parameters string) string {
	var p map[string]any
	if err := json.Unmarshal([]byte(parameters), &p); err != nil {
		panic(err)
	}
	p["DynamoDBStreamParameters"] = nil
	patch, _ := json.Marshal(map[string]any{"Source": "arn:aws:sqs:eu-central-1:000000000000:q", "SourceParameters": p})
	return string(patch)
}

func TestProvisionRefused(t *testing.T) {
	stream := func(patch string) string { return `{"SourceParameters": {"DynamoDBStreamParameters": ` + patch + `}}` }
	for name, test := range map[string]struct{ patch, want string }{
		"batch over the target's cap": {stream(`{"BatchSize": 100}`), "BatchSize must be a whole number from 1 to 10, got 100"},
		"starting position":           {stream(`{"StartingPosition": "AT_TIMESTAMP"}`), `StartingPosition must be TRIM_HORIZON or LATEST, got "AT_TIMESTAMP"`},
		"window":                      {stream(`{"MaximumBatchingWindowInSeconds": 301}`), "MaximumBatchingWindowInSeconds must be a whole number from 0 to 300, got 301"},
		"parallel":                    {stream(`{"ParallelizationFactor": 11}`), "ParallelizationFactor must be a whole number from 1 to 10, got 11"},
		"retries":                     {stream(`{"MaximumRetryAttempts": -2}`), "MaximumRetryAttempts must be a whole number from -1 to 10000, got -2"},
		"age":                         {stream(`{"MaximumRecordAgeInSeconds": 59}`), "MaximumRecordAgeInSeconds must be a whole number from 60 to 604800, got 59"},
		"partial failure":             {stream(`{"OnPartialBatchItemFailure": "NONE"}`), `OnPartialBatchItemFailure must be AUTOMATIC_BISECT or empty, got "NONE"`},
		"topic as dead-letter queue":  {stream(`{"DeadLetterConfig": {"Arn": "arn:aws:sns:eu-central-1:000000000000:t"}}`), "DeadLetterConfig.Arn must be the ARN of an SQS queue"},
		"topic as source":             {`{"Source": "arn:aws:sns:eu-central-1:000000000000:t"}`, `Source must be a DynamoDB stream with DynamoDBStreamParameters or an SQS queue in the local run, got "arn:aws:sns`},
		"parameters of another":       {`{"Source": "arn:aws:sqs:eu-central-1:000000000000:q"}`, "Source must be a DynamoDB stream with DynamoDBStreamParameters or an SQS queue"},
		"batch of messages":           {fromQueue(`{"SqsQueueParameters": {"BatchSize": 11}}`), "BatchSize must be a whole number from 1 to 10, got 11"},
		"window of messages":          {fromQueue(`{"SqsQueueParameters": {"MaximumBatchingWindowInSeconds": 301}}`), "MaximumBatchingWindowInSeconds must be a whole number from 0 to 300, got 301"},
		"added field in a filter":     {fromQueue(`{"FilterCriteria": {"Filters": [{"Pattern": "{\"awsRegion\":[\"x\"]}"}]}}`), `FilterCriteria must match what a message has when it is sent, got "awsRegion"`},
		"topic as target":             {`{"Target": "arn:aws:sns:eu-central-1:000000000000:t"}`, "Target must be an event bus, an SQS queue or a function"},
		"invocation type":             {`{"Target": "arn:aws:lambda:eu-central-1:000000000000:function:f", "TargetParameters": {"LambdaFunctionParameters": {"InvocationType": "LATER"}}}`, `InvocationType must be REQUEST_RESPONSE or FIRE_AND_FORGET, got "LATER"`},
		"enrichment by an API":        {`{"Enrichment": "arn:aws:events:eu-central-1:000000000000:api-destination/d/1"}`, `Enrichment must be a function in the local run, got "arn:aws:events`},
		"enrichment by a workflow":    {`{"Enrichment": "arn:aws:states:eu-central-1:000000000000:stateMachine:s"}`, `Enrichment must be a function in the local run, got "arn:aws:states`},
		"template of the enrichment":  {`{"Enrichment": "arn:aws:lambda:eu-central-1:000000000000:function:f", "EnrichmentParameters": {"InputTemplate": "<$.a b>"}}`, "EnrichmentParameters: input template"},
		"HTTP parameters":             {`{"EnrichmentParameters": {"HttpParameters": {}}}`, "HttpParameters"},
		"state":                       {`{"DesiredState": "PAUSED"}`, `DesiredState must be RUNNING or STOPPED, got "PAUSED"`},
		"filter":                      {`{"SourceParameters": {"FilterCriteria": {"Filters": [{"Pattern": "{\"a\": 1}"}]}}}`, "a"},
		"too many filters":            {`{"SourceParameters": {"FilterCriteria": {"Filters": [{},{},{},{},{},{}]}}}`, "at most 5 filters, got 6"},
		"template":                    {`{"TargetParameters": {"InputTemplate": "<aws.pipes.nothing>"}}`, "<aws.pipes.nothing> is not a variable"},
		"endpoint":                    {`{"TargetParameters": {"EventBridgeEventBusParameters": {"EndpointId": "e"}}}`, "EndpointId"},
		"detail type":                 {`{"TargetParameters": {"EventBridgeEventBusParameters": {"DetailType": "$.a b"}}}`, "DetailType"},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Config{Cloud: localCloud(), DB: openDB(t)})
			_, err := s.Provisions()["AWS::Pipes::Pipe"](t.Context(), pipeResource(t, test.patch))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if len(s.pipes) != 0 {
				t.Error("a refused pipe would run")
			}
		})
	}
}
