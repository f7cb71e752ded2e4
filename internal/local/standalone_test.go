package local

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
)

const ordersYAML = `
Parameters:
  Stage: {Type: String}
  Topic: {Type: "AWS::SSM::Parameter::Value<String>", Default: /shared/topic}
Resources:
  Fn:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: nodejs22.x
      Handler: index.handler
      Code: src/fn
      Environment:
        Variables:
          STAGE: !Ref Stage
          TOPIC: !Ref Topic
          SHARED: !ImportValue shared-value
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: shared
      EventPattern: {source: [orders]}
      Targets:
        - {Id: Queue, Arn: !Sub "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:inbox"}
Outputs:
  Function: {Value: !GetAtt Fn.Arn}
`

// A template that no CDK app wrote runs with values for its parameters, the code that it names beside it, and what stands in
// for what other stacks have.
func TestATemplateRunsAlone(t *testing.T) {
	dir := folder(t, map[string]string{
		"orders.yaml": ordersYAML,
		"src/fn/index.js": `exports.handler = async () => ({stage: process.env.STAGE, topic: process.env.TOPIC, shared: process.env.SHARED})
`,
	})
	session, _ := started(t, Options{
		Template: filepath.Join(dir, "orders.yaml"), Stacks: []string{"Orders-dev"}, Parameters: []string{"Stage=dev"},
		StandIns: []string{"bus=shared", "queue=inbox", "table=items:id=S,at=N", "export=shared-value=s-1", "ssm=/shared/topic=t-1"},
	})
	c := runCloud(session)
	endpoint := aws.Config{Region: c.Region, BaseEndpoint: aws.String(c.Endpoint(cloud.Others)), Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")}
	invoked, err := lambda.NewFromConfig(endpoint).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("Orders-dev-Fn")})
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]string
	if err := json.Unmarshal(invoked.Payload, &answer); err != nil || !maps.Equal(answer, map[string]string{"stage": "dev", "topic": "t-1", "shared": "s-1"}) {
		t.Errorf("it answers %s", invoked.Payload)
	}
	put, err := c.EventBridge().PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []eventtypes.PutEventsRequestEntry{{
		EventBusName: aws.String("shared"), Source: aws.String("orders"), DetailType: aws.String("Made"), Detail: aws.String("{}"),
	}}})
	if err != nil || put.FailedEntryCount > 0 {
		t.Fatalf("%+v, %v", put, err)
	}
	queue := c.QueueURL(c.ARN("sqs", "inbox"))
	if got, err := c.SQS().ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &queue, WaitTimeSeconds: 20}); err != nil || len(got.Messages) != 1 {
		t.Errorf("the queue has %+v, %v", got, err)
	}
	table, err := c.DynamoDB().DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("items")})
	if err != nil || len(table.Table.KeySchema) != 2 || *table.Table.KeySchema[0].AttributeName != "id" {
		t.Errorf("the table is %+v, %v", table, err)
	}
	// What stands in for others is no stack of CloudFormation's, and is shown as what it is.
	stacks, err := cloudformation.NewFromConfig(endpoint).DescribeStacks(t.Context(), nil)
	if err != nil || len(stacks.Stacks) != 1 || *stacks.Stacks[0].StackName != "Orders-dev" {
		t.Errorf("the stacks are %+v, %v", stacks, err)
	}
	if i := slices.IndexFunc(session.Summary.Resources, func(r console.Resource) bool { return r.Ref == "shared" }); i < 0 || session.Summary.Resources[i].Stack != "--stand-in" || session.Summary.Resources[i].Name != "bus=shared" {
		t.Errorf("the resources are %+v", session.Summary.Resources)
	}
}

func TestCodeThatIsRefused(t *testing.T) {
	const function = "Resources: {Fn: {Type: AWS::Lambda::Function, Properties: {Runtime: nodejs22.x, Handler: index.handler, Code: %s}}}"
	for name, c := range map[string]struct{ code, want string }{
		"in S3":         {"{S3Bucket: b, S3Key: code.zip}", `Code must be the path of a folder, relative to the template, in place of an object in S3, got the key "code.zip": name the template as it was before`},
		"a URL":         {"s3://b/code.zip", `Code must be the path of a folder, relative to the template, got "s3://b/code.zip"`},
		"a file":        {"code.zip", "Code must be a folder, which is not zipped, got the file "},
		"nothing there": {"nowhere", "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, map[string]string{"t.yaml": fmt.Sprintf(function, c.code), "code.zip": ""})
			if said := refusedStart(t, Options{Template: filepath.Join(dir, "t.yaml")}); !strings.Contains(said, c.want) {
				t.Errorf("it says %q, want %q", said, c.want)
			}
		})
	}
	app := stacksApp(t, `{"Resources": {"Fn": {"Type": "AWS::Lambda::Function", "Properties": {"Runtime": "nodejs22.x", "Handler": "x.y", "Code": "src"}}}}`)
	if said := refusedStart(t, Options{App: app}); !strings.Contains(said, `Code must be an object in a cloud assembly, got "src"`) {
		t.Errorf("it says %q", said)
	}
}
