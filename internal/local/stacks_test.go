package local

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
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

// folder writes files into a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// stacksApp writes an assembly with these templates, in their order.
func stacksApp(t *testing.T, templates ...string) string {
	t.Helper()
	files := map[string]string{}
	var artifacts []string
	for i, text := range templates {
		id := string(rune('A' + i))
		files[id+".json"] = text
		artifacts = append(artifacts, fmt.Sprintf(`%q: {"type": "aws:cloudformation:stack", "environment": "aws://unknown-account/eu-west-1", "properties": {"templateFile": "%[1]s.json"}}`, id))
	}
	files["manifest.json"] = `{"artifacts": {` + strings.Join(artifacts, ",") + `}}`
	return folder(t, files)
}

// started runs until the test ends.
func started(t *testing.T, o Options) (*Session, *recorder) {
	t.Helper()
	out := &recorder{ready: make(chan console.Summary, 1)}
	session, err := Start(t.Context(), o, out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	return session, out
}

// refusedStart returns the error of a run that does not start.
func refusedStart(t *testing.T, o Options) string {
	t.Helper()
	session, err := Start(t.Context(), o, &recorder{ready: make(chan console.Summary, 1)})
	if err == nil {
		session.Close()
		t.Fatal("it started")
	}
	return err.Error()
}

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
	c := cloud.New(session.Summary.Region)
	for _, e := range session.Summary.Endpoints {
		c.SetEndpoint(e.Service, e.URL)
	}
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
	if i := slices.IndexFunc(session.Summary.Resources, func(r console.Resource) bool { return r.Ref == "shared" }); i < 0 || session.Summary.Resources[i].Stack != "stand-ins" {
		t.Errorf("the resources are %+v", session.Summary.Resources)
	}
}

// What no stack of the run has is refused with the flag that lets something stand in for it.
func TestMissingPartsNameTheFlag(t *testing.T) {
	said := refusedStart(t, Options{App: stacksApp(t, `{"Resources": {
		"Rule": {"Type": "AWS::Events::Rule", "Properties": {"EventBusName": "arn:aws:events:eu-west-1:000000000000:event-bus/shared", "EventPattern": {"source": ["x"]}}}
	}}`)})
	if want := "run the stack with the event bus too (--stack), or let an empty one stand in for it (--stand-in bus=shared)"; !strings.Contains(said, want) {
		t.Errorf("it says %q, want %q", said, want)
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

// Two stacks cannot have a resource of one name: the second would find what the first one has.
func TestANameIsTakenOnce(t *testing.T) {
	queue := `{"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "orders"}}, "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "orders"}}}}`
	said := refusedStart(t, Options{App: stacksApp(t, queue, queue), All: true})
	for _, want := range []string{
		"B/Queue (AWS::SQS::Queue): the name must be one that no other queue has, got orders, which A/Queue has",
		"B/Bus (AWS::Events::EventBus): the name must be one that no other event bus has, got orders, which A/Bus has",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it says %q, want %q", said, want)
		}
	}
}

func TestTheStacksOfARun(t *testing.T) {
	const empty = `{"Resources": {}}`
	app := stacksApp(t, empty, empty, empty)
	for name, c := range map[string]struct {
		options Options
		want    []string
		notice  string
	}{
		"the first": {Options{}, []string{"A"}, "Running A, the first of 3 stacks; --stack chooses others, --all takes all: B, C"},
		"some":      {Options{Stacks: []string{"C", "A"}}, []string{"A", "C"}, ""},
		"all":       {Options{All: true}, []string{"A", "B", "C"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.options.App = app
			out := &recorder{}
			stacks, err := c.options.stacks(out)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, s := range stacks {
				names = append(names, s.Name)
			}
			if !slices.Equal(names, c.want) || out.said() != c.notice {
				t.Errorf("the stacks are %v, and it says %q", names, out.said())
			}
		})
	}
}

// Everything that is wrong with the options is said at once.
func TestOptionsThatAreRefused(t *testing.T) {
	o := Options{
		App: "a", Template: "t", Stacks: []string{"A", "B"}, All: true, Port: -1, IAM: "maybe",
		StandIns: []string{"bus=b", "topic=t", "bus", "export=x", "queue=q=1", "table=t:id=X", "table=t:a=S,b=S,c=S"},
	}
	err := o.Validate()
	if err == nil {
		t.Fatal("they are accepted")
	}
	forms := "--stand-in must be one of table=NAME[:KEY=S,SORTKEY=N], bus=NAME, queue=NAME, export=NAME=VALUE, ssm=NAME=VALUE, got "
	want := []string{
		"--port must be a whole number from 0 to 65530, got -1",
		`--iam must be on or off, got "maybe"`,
		"--template must not stand beside --app, got t and a",
		"--template is one stack, which --stack may name once: got several stacks",
		"--all must not stand beside --stack, got --stack A, B",
		forms + `"topic=t"`, forms + `"bus"`, forms + `"export=x"`, forms + `"queue=q=1"`,
		`--stand-in table=t must have one or two keys of type S, N or B, as in table=t:pk=S,sk=N, got "id=X"`,
		`--stand-in table=t must have one or two keys of type S, N or B, as in table=t:pk=S,sk=N, got "a=S,b=S,c=S"`,
	}
	if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("it says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := (Options{Stacks: []string{"A", "B"}, StandIns: []string{"table=t", "queue=q.fifo"}}).Validate(); err != nil {
		t.Error(err)
	}
}
