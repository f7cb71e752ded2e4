package local

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// watchedFunction is the source of a function that answers with a text of another package. Before it answers it gets the
// bodies of its messages, which are URLs.
const watchedFunction = `package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"

	"example.com/app/words"
)

func main() {
	root := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(root + "next")
		if err != nil {
			os.Exit(1)
		}
		var event struct{ Records []struct{ Body string } }
		_ = json.NewDecoder(next.Body).Decode(&event)
		for _, r := range event.Records {
			_, _ = http.Get(r.Body)
		}
		_, _ = http.Post(root+next.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "", strings.NewReader(words.Text(os.Getenv("GREETING"))))
	}
}
`

func saying(text string) string {
	return "package words\n\nfunc Text(greeting string) string { return `\"` + greeting + `" + text + "\"` }\n"
}

// watchedStack is a function behind a queue, a rule that sends to another queue, a pipe from a table to a third, and an API.
const watchedStack = `{"Resources": {
  "Speaker": {"Type": "AWS::Lambda::Function", "Properties": {"Runtime": "provided.al2023", "Handler": "bootstrap", "Timeout": 30, "Code": {"S3Key": "1.zip"},
    "Environment": {"Variables": {"GREETING": ""}}}, "Metadata": {"outboxkit:golambda": {"source": "../fn"}}},
  "Orders": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 60}},
  "Mapping": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"EventSourceArn": {"Fn::GetAtt": ["Orders", "Arn"]}, "FunctionName": {"Ref": "Speaker"}, "BatchSize": 1}},
  "Seen": {"Type": "AWS::SQS::Queue"},
  "SeenPolicy": {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": "Seen"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*", "Principal": {"Service": "events.amazonaws.com"}}]}}},
  "Rule": {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"source": ["first"]}, "Targets": [{"Id": "Seen", "Arn": {"Fn::GetAtt": ["Seen", "Arn"]}}]}},
  "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "Api"}},
  "Get": {"Type": "AWS::ApiGateway::Method", "Properties": {"RestApiId": {"Ref": "Api"}, "ResourceId": {"Fn::GetAtt": ["Api", "RootResourceId"]}, "HttpMethod": "GET",
    "AuthorizationType": "NONE", "MethodResponses": [{"StatusCode": "200"}], "Integration": {"Type": "MOCK", "RequestTemplates": {"application/json": "{\"statusCode\": 200}"},
      "IntegrationResponses": [{"StatusCode": "200", "ResponseTemplates": {"application/json": "before"}}]}}},
  "Deployment": {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": {"Ref": "Api"}}, "DependsOn": ["Get"]},
  "Stage": {"Type": "AWS::ApiGateway::Stage", "Properties": {"RestApiId": {"Ref": "Api"}, "DeploymentId": {"Ref": "Deployment"}, "StageName": "dev"}},
  "Piped": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 600}},
  "Pipe": {"Type": "AWS::Pipes::Pipe", "Properties": {"RoleArn": "arn:aws:iam::000000000000:role/pipe", "Source": {"Fn::GetAtt": ["Table", "StreamArn"]}, "Target": {"Fn::GetAtt": ["Piped", "Arn"]},
    "SourceParameters": {"DynamoDBStreamParameters": {"StartingPosition": "TRIM_HORIZON", "BatchSize": 1}}}},
  "Table": {"Type": "AWS::DynamoDB::Table", "Properties": {"StreamSpecification": {"StreamViewType": "KEYS_ONLY"}, "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]}}
}}`

// A notebook is a console whose notices can be waited for.
type notebook struct {
	recorder
	came chan string
}

func (n *notebook) Notice(text string) { n.came <- text }

// A watchedRun is a session that follows a module and its assembly.
type watchedRun struct {
	*testing.T
	*Session
	root string
	out  *notebook
	body string // of the template
}

func startWatched(t *testing.T) *watchedRun {
	t.Helper()
	w := &watchedRun{T: t, root: template.RealPath(t.TempDir()), body: watchedStack}
	w.out = &notebook{recorder{ready: make(chan console.Summary, 1)}, make(chan string, 1000)}
	w.save("go.mod", "module example.com/app\n\ngo 1.25\n")
	w.save("fn/main.go", watchedFunction)
	w.save("words/words.go", saying("one"))
	if err := os.Mkdir(filepath.Join(w.root, "cdk.out"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeApp(t, filepath.Join(w.root, "cdk.out"), w.body)
	session, err := Start(t.Context(), Options{App: filepath.Join(w.root, "cdk.out"), IAM: IAMOff, Watch: true}, w.out)
	if err != nil {
		t.Fatal(err)
	}
	w.Session = session
	t.Cleanup(session.Close)
	w.await("watching ")
	return w
}

func (w *watchedRun) save(name, content string) {
	w.Helper()
	path := filepath.Join(w.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		w.Fatal(err)
	}
}

// synthesize writes the template with texts replaced.
func (w *watchedRun) synthesize(replacements ...string) {
	w.Helper()
	w.body = strings.NewReplacer(replacements...).Replace(w.body)
	writeApp(w.T, filepath.Join(w.root, "cdk.out"), w.body)
}

// await waits for a notice that begins so and returns all since the last wait.
func (w *watchedRun) await(prefix string) []string {
	w.Helper()
	var all []string
	for limit := time.After(time.Minute); ; {
		select {
		case text := <-w.out.came:
			if all = append(all, text); strings.HasPrefix(text, prefix) {
				return all
			}
		case <-limit:
			w.Fatalf("no notice begins with %q, got\n%s", prefix, strings.Join(all, "\n"))
		}
	}
}

// wantNotices waits for one notice after the other.
func (w *watchedRun) wantNotices(want ...string) {
	w.Helper()
	for _, prefix := range want {
		w.await(prefix)
	}
}

func (w *watchedRun) wantAnswer(want string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	answer, err := w.current().functions.Invoke(ctx, w.current().cloud.FunctionARN("S-Speaker"), []byte("{}"))
	if err != nil || string(answer) != `"`+want+`"` {
		w.Fatalf("the answer is %s, %v, want %q", answer, err, want)
	}
}

func (w *watchedRun) queueURL(id string) *string {
	return aws.String(w.current().cloud.QueueURL(w.current().cloud.ARN("sqs", "S-"+id)))
}

// wantEvent puts an event and waits until the queue has it.
func (w *watchedRun) wantEvent(source, queue string) {
	w.Helper()
	_, err := w.current().cloud.EventBridge().PutEvents(w.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		Source: &source, DetailType: aws.String("t"), Detail: aws.String("{}"),
	}}})
	if err != nil {
		w.Fatal(err)
	}
	out, err := w.current().cloud.SQS().ReceiveMessage(w.Context(), &sqs.ReceiveMessageInput{QueueUrl: w.queueURL(queue), WaitTimeSeconds: 20})
	if err != nil || len(out.Messages) != 1 || !strings.Contains(*out.Messages[0].Body, `"source":"`+source+`"`) {
		w.Fatalf("the queue %s has %v, %v, want the event of %s", queue, out, err, source)
	}
	if _, err := w.current().cloud.SQS().DeleteMessage(w.Context(), &sqs.DeleteMessageInput{QueueUrl: w.queueURL(queue), ReceiptHandle: out.Messages[0].ReceiptHandle}); err != nil {
		w.Fatal(err)
	}
}

// write puts items into the table until stop is called, which returns how many it has put.
func (w *watchedRun) write() (stop func() int) {
	client := w.current().cloud.DynamoDB()
	ended, written := make(chan struct{}), make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-ended:
				written <- n
				return
			default:
			}
			_, err := client.PutItem(context.WithoutCancel(w.Context()), &dynamodb.PutItemInput{
				TableName: aws.String("S-Table"), Item: map[string]dynamodbtypes.AttributeValue{"pk": &dynamodbtypes.AttributeValueMemberS{Value: fmt.Sprint(n)}},
			})
			if err != nil {
				w.Errorf("write item %d: %v", n, err)
			}
		}
	}()
	return func() int {
		close(ended)
		return <-written
	}
}

// wantPiped waits until the pipe has sent the first n items, each at least once.
func (w *watchedRun) wantPiped(n int) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	seen := map[string]bool{}
	for len(seen) < n {
		out, err := w.current().cloud.SQS().ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: w.queueURL("Piped"), WaitTimeSeconds: 5, MaxNumberOfMessages: 10})
		if err != nil {
			w.Fatalf("the pipe has sent %d of %d items: %v", len(seen), n, err)
		}
		for _, m := range out.Messages {
			var record struct {
				DynamoDB struct {
					Keys struct{ PK struct{ S string } }
				}
			}
			if err := json.Unmarshal([]byte(*m.Body), &record); err != nil {
				w.Fatal(err)
			}
			seen[record.DynamoDB.Keys.PK.S] = true
		}
	}
	w.Logf("%d items were written meanwhile", n)
}

// wantGet checks what the API answers at its address of the beginning.
func (w *watchedRun) wantGet(want string) {
	w.Helper()
	response, err := http.Get(w.Summary.API)
	if err != nil {
		w.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != want {
		w.Errorf("GET %s answers %q, %v, want %q", w.Summary.API, body, err, want)
	}
}

func (w *watchedRun) step(name string, do func()) {
	whole := w.T
	defer func() { w.T = whole }()
	if !whole.Run(name, func(t *testing.T) {
		w.T = t
		do()
	}) {
		whole.FailNow()
	}
}

// TestWatch goes through what a developer does while a stack runs.
func TestWatch(t *testing.T) {
	w := startWatched(t)
	w.wantAnswer("one")
	w.wantGet("before")
	w.step("a saved file", func() {
		w.save("words/words.go", saying("two"))
		saved := time.Now()
		w.wantNotices("rebuilt Speaker in ")
		w.wantAnswer("two")
		w.Logf("served %v after it was saved", time.Since(saved).Round(time.Millisecond))
	})
	w.step("a mistake", func() {
		w.save("words/words.go", "package words\n\nfunc Text(string) string { return nothing }\n")
		w.wantNotices("Speaker goes on as it was:", "  words/words.go:3:35: undefined: nothing")
		w.wantAnswer("two")
		w.save("words/words.go", saying("three"))
		w.wantNotices("rebuilt Speaker in ")
		w.wantAnswer("three")
	})
	w.step("a template, while a message is under way", func() {
		arrived, release := make(chan struct{}, 10), make(chan struct{})
		gate := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			arrived <- struct{}{}
			<-release
		}))
		defer gate.Close()
		if _, err := w.current().cloud.SQS().SendMessage(w.Context(), &sqs.SendMessageInput{QueueUrl: w.queueURL("Orders"), MessageBody: &gate.URL}); err != nil {
			w.Fatal(err)
		}
		<-arrived
		stopWriting := w.write()
		w.synthesize(`"before"`, `"after"`, `"GREETING": ""`, `"GREETING": "hello "`, `"BatchSize": 1`, `"BatchSize": 2`, `["first"]`, `["second"]`,
			`"Table": {`, `"Added": {"Type": "AWS::SQS::Queue"}, "Table": {`)
		w.wantNotices("applying the new template")
		close(release)
		w.wantNotices("updated in ", "  changed Speaker (AWS::Lambda::Function): Environment", "  changed Mapping (AWS::Lambda::EventSourceMapping): BatchSize",
			"  changed Rule (AWS::Events::Rule): EventPattern", "  added Added (AWS::SQS::Queue)")
		out, err := w.current().cloud.SQS().GetQueueAttributes(w.Context(), &sqs.GetQueueAttributesInput{QueueUrl: w.queueURL("Orders"), AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll}})
		if err != nil || out.Attributes["ApproximateNumberOfMessages"] != "0" || out.Attributes["ApproximateNumberOfMessagesNotVisible"] != "0" || len(arrived) > 0 {
			w.Errorf("the message was not handled once: %v, %v", out.Attributes, err)
		}
		w.wantPiped(stopWriting())
		w.wantAnswer("hello three")
		w.wantEvent("second", "Seen")
		w.wantGet("after")
	})
	w.step("a template with mistakes", func() {
		before := w.body
		w.synthesize(`"Table": {`, `"Unknown": {"Type": "AWS::Some::Thing"}, "Other": {"Type": "AWS::Other::Thing"}, "Table": {`)
		w.wantNotices("the new template is refused", "  stack S: Unknown (AWS::Some::Thing): the local run does not support", "  Other (AWS::Other::Thing): the local run does not support")
		w.wantEvent("second", "Seen")
		w.body = before
		w.synthesize(`"HASH"}]`, `"HASH"}, {"AttributeName": "pk", "KeyType": "RANGE"}]`)
		w.wantNotices("the new template is refused", "  Table (AWS::DynamoDB::Table): ")
		w.wantAnswer("hello three")
		w.wantEvent("second", "Seen")
		w.body = before
	})
	w.step("what is removed", func() {
		w.synthesize(`"Added": {"Type": "AWS::SQS::Queue"}, `, ``, `"hello "`, `"bye "`)
		w.wantNotices("updated in ", "  changed Speaker", "  removed Added (AWS::SQS::Queue): what it holds stays in the data folder")
		w.wantAnswer("bye three")
	})
	w.step("a build for AWS alone changes nothing", func() {
		w.synthesize(`1.zip`, `2.zip`)
		w.save("words/words.go", saying("four"))
		for _, notice := range w.await("rebuilt Speaker in ") {
			if strings.HasPrefix(notice, "updated") {
				w.Errorf("it says %q", notice)
			}
		}
		w.wantAnswer("bye four")
	})
}

// With several stacks, what one exports changes the others too; a stack that joins or leaves changes nothing in those that
// stay, though it changes what they are called; and an export that others need cannot go.
func TestWatchSeveralStacks(t *testing.T) {
	const exporting = `{"Resources": {"Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "first"}}},
		"Outputs": {"Bus": {"Value": {"Ref": "Bus"}, "Export": {"Name": "shared"}}}}`
	const importing = `{"Resources": {"Rule": {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"source": ["x"]},
		"EventBusName": {"Fn::Select": [1, {"Fn::Split": ["/", {"Fn::Sub": ["bus/${Bus}", {"Bus": {"Fn::ImportValue": "shared"}}]}]}]}}}}}`
	const joining = `{"Resources": {"Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "joined"}}}}`
	app := stacksApp(t, exporting, importing)
	w := &watchedRun{T: t, out: &notebook{recorder{ready: make(chan console.Summary, 1)}, make(chan string, 1000)}}
	session, err := Start(t.Context(), Options{App: app, All: true, Watch: true}, w.out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	w.await("watching ")

	renamed := strings.Replace(exporting, `"first"`, `"second"`, 1)
	writeStacks(t, app, renamed, importing)
	w.wantNotices("updated in ", "  changed Bus (AWS::Events::EventBus): Name", "  changed Rule (AWS::Events::Rule): EventBusName")
	writeStacks(t, app, renamed, importing, joining)
	w.wantOneChange("  added C/Bus (AWS::Events::EventBus)")
	writeStacks(t, app, strings.Replace(renamed, `"shared"`, `"other"`, 1), importing, joining)
	w.wantNotices("the new template is refused", `  stack B: Rule (AWS::Events::Rule): EventBusName.Fn::Select.Fn::Split.Fn::Sub.Fn::ImportValue: no stack of the run exports "shared"`)
	writeStacks(t, app, renamed, importing)
	w.wantOneChange("  removed C/Bus (AWS::Events::EventBus)")
}

// wantOneChange waits for an update of one resource.
func (w *watchedRun) wantOneChange(line string) {
	w.Helper()
	all := w.await("updated in ")
	if last := all[len(all)-1]; !strings.HasSuffix(last, ": 1 resource has changed") {
		w.Errorf("it says %q, want one change", last)
	}
	w.await(line)
}

// A synthesis that only builds a Go function for AWS again is no other template.
func TestSameText(t *testing.T) {
	const one = `{"Resources": {"F": {"Properties": {"Code": 1, "Timeout": 3}, "Metadata": {"outboxkit:golambda": {}, "aws:asset:path": "a"}}, "G": {"Properties": {"Code": 1}}}}`
	for change, same := range map[[2]string]bool{
		{`"Code": 1, `, `"Code": 2, `}: true, {`path": "a"`, `path": "b"`}: true, {`3`, `4`}: false, {`"Code": 1}`, `"Code": 2}`}: false, {`golambda": {}`, `golambda": {"tags": []}`}: false,
	} {
		if got := sameText([]byte(one), []byte(strings.Replace(one, change[0], change[1], 1))); got != same {
			t.Errorf("%s in place of %s: the same is %v, want %v", change[1], change[0], got, same)
		}
	}
}
