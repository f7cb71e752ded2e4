package local

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
)

// folder writes files into a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		writeFile(t, filepath.Join(dir, name), content)
	}
	return dir
}

// stacksApp writes an assembly with these templates, in their order: A, B and so on.
func stacksApp(t *testing.T, templates ...string) string {
	t.Helper()
	app := t.TempDir()
	writeStacks(t, app, templates...)
	return app
}

// writeStacks writes an assembly, and its manifest last.
func writeStacks(t *testing.T, app string, templates ...string) {
	t.Helper()
	var artifacts []string
	for i, text := range templates {
		id := string(rune('A' + i))
		writeFile(t, filepath.Join(app, id+".json"), text)
		artifacts = append(artifacts, fmt.Sprintf(`%q: {"type": "aws:cloudformation:stack", "environment": "aws://unknown-account/eu-west-1", "properties": {"templateFile": "%[1]s.json"}}`, id))
	}
	writeFile(t, filepath.Join(app, "manifest.json"), `{"artifacts": {`+strings.Join(artifacts, ",")+`}}`)
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
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

// What no stack of the run has is refused with the flag that lets something stand in for it.
func TestMissingPartsNameTheFlag(t *testing.T) {
	said := refusedStart(t, Options{App: stacksApp(t, `{"Resources": {
		"Rule": {"Type": "AWS::Events::Rule", "Properties": {"EventBusName": "arn:aws:events:eu-west-1:000000000000:event-bus/shared", "EventPattern": {"source": ["x"]}}}
	}}`)})
	if want := "run the stack with the event bus too (--stack), or let an empty one stand in for it (--stand-in bus=shared)"; !strings.Contains(said, want) {
		t.Errorf("it says %q, want %q", said, want)
	}
}

// A statement that is missing in one stack names a resource of another one by its ARN: a template cannot refer to it otherwise.
func TestAMissingStatementAboutAnotherStack(t *testing.T) {
	queue := `{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}, "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Queue", "Arn"]}}}}`
	pipe := `{"Resources": {
		"Table": {"Type": "AWS::DynamoDB::Table", "Properties": {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
			"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "StreamSpecification": {"StreamViewType": "NEW_IMAGE"}}},
		"Queue": {"Type": "AWS::SQS::Queue"},
		"Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
			{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "pipes.amazonaws.com"}}]}}},
		"Pipe": {"Type": "AWS::Pipes::Pipe", "Properties": {"RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}, "Source": {"Fn::GetAtt": ["Table", "StreamArn"]},
			"SourceParameters": {"DynamoDBStreamParameters": {"StartingPosition": "LATEST", "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}}},
			"Target": {"Fn::GetStackOutput": {"StackName": "A", "OutputName": "Arn"}}}}
	}}`
	said := refusedStart(t, Options{App: stacksApp(t, queue, pipe), All: true})
	for _, want := range []string{
		`missing is {"Effect":"Allow","Action":"sqs:SendMessage","Resource":{"Fn::Sub":"arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:A-Queue"}}`,
		`missing is {"Effect":"Allow","Action":"sqs:SendMessage","Resource":{"Fn::GetAtt":["Queue","Arn"]}}`,
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it says\n%s\nwant in it %s", said, want)
		}
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

// Consumers that two stacks call the same are told apart.
func TestConsumersOfSeveralStacks(t *testing.T) {
	consumer := func(stack string, alone string) string {
		fn := `{"Type": "AWS::Lambda::Function", "Properties": {"Runtime": "nodejs22.x", "Handler": "index.handler", "Code": {"ZipFile": "exports.handler = async () => {}"}}}`
		of := func(path string) string {
			return fmt.Sprintf(`"%[1]sFn": %[2]s,
				"%[1]sQueue": {"Type": "AWS::SQS::Queue", "Metadata": {"aws:cdk:path": "%[3]s/Box/%[1]s/Queue/Resource"}},
				"%[1]sMapping": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"FunctionName": {"Ref": "%[1]sFn"}, "EventSourceArn": {"Fn::GetAtt": ["%[1]sQueue", "Arn"]}}}`, path, fn, stack)
		}
		return `{"Resources": {` + of("Ship") + "," + of(alone) + `}}`
	}
	session, _ := started(t, Options{App: stacksApp(t, consumer("A", "Bill"), consumer("B", "Pack")), All: true, IAM: IAMOff})
	var names []string
	for _, c := range session.Consumers() {
		names = append(names, c.Name)
	}
	if want := []string{"A/Ship", "Bill", "B/Ship", "Pack"}; !slices.Equal(names, want) {
		t.Errorf("the consumers are %v, want %v", names, want)
	}
}
