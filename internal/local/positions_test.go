package local

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

const pipeStack = `{"Resources": {
	"Table": {"Type": "AWS::DynamoDB::Table", "Properties": {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
		"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "StreamSpecification": {"StreamViewType": "NEW_IMAGE"}}},
	"Queue": {"Type": "AWS::SQS::Queue"},
	"Pipe": {"Type": "AWS::Pipes::Pipe", "Properties": {"RoleArn": "arn:aws:iam::000000000000:role/any", "Source": {"Fn::GetAtt": ["Table", "StreamArn"]},
		"SourceParameters": {"DynamoDBStreamParameters": {"StartingPosition": "TRIM_HORIZON"}}, "Target": {"Fn::GetAtt": ["Queue", "Arn"]}}}
}}`

// A pipe goes on where it was, whichever stacks with a pipe of the same logical id ran before and run beside it.
func TestPositionsBelongToTheStack(t *testing.T) {
	app, data := stacksApp(t, pipeStack, pipeStack), t.TempDir()
	alone, _ := started(t, Options{App: app, Stacks: []string{"B"}, Data: data})
	write(t, alone, "B-Table", "first")
	expect(t, alone, "B-Queue", "first")
	alone.Close()

	both, _ := started(t, Options{App: app, All: true, Data: data})
	write(t, both, "A-Table", "second")
	write(t, both, "B-Table", "third")
	expect(t, both, "A-Queue", "second")
	expect(t, both, "B-Queue", "third")
}

// runCloud returns a cloud whose clients reach a run.
func runCloud(s *Session) *cloud.Cloud {
	c := cloud.New(s.Summary.Region)
	for _, e := range s.Summary.Endpoints {
		c.SetEndpoint(e.Service, e.URL)
	}
	return c
}

func write(t *testing.T, s *Session, table, id string) {
	t.Helper()
	_, err := runCloud(s).DynamoDB().PutItem(t.Context(), &dynamodb.PutItemInput{
		TableName: &table, Item: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// expect takes one message from a queue and checks that it is about an item. A pipe that starts again sends the old ones first.
func expect(t *testing.T, s *Session, queue, id string) {
	t.Helper()
	c := runCloud(s)
	url := c.QueueURL(c.ARN("sqs", queue))
	out, err := c.SQS().ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20, MaxNumberOfMessages: 1})
	if err != nil || len(out.Messages) == 0 {
		t.Fatalf("%s has %+v, %v", queue, out, err)
	}
	if body := *out.Messages[0].Body; !strings.Contains(body, id) {
		t.Errorf("%s has %s, want the record of %s", queue, body, id)
	}
	if _, err := c.SQS().DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: out.Messages[0].ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
}
