package running

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/page"
)

// apiStack is a template of a REST API that answers with the name of a bus, and of that bus with a rule.
const apiStack = `{"Resources": {
  "%[1]sApi": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "%[1]s"}},
  "%[1]sGet": {"Type": "AWS::ApiGateway::Method", "Properties": {"RestApiId": {"Ref": "%[1]sApi"}, "ResourceId": {"Fn::GetAtt": ["%[1]sApi", "RootResourceId"]}, "HttpMethod": "GET",
    "AuthorizationType": "NONE", "MethodResponses": [{"StatusCode": "200"}], "Integration": {"Type": "MOCK", "RequestTemplates": {"application/json": "{\"statusCode\": 200}"},
      "IntegrationResponses": [{"StatusCode": "200", "ResponseTemplates": {"application/json": {"Ref": "%[1]sBus"}}}]}}},
  "%[1]sDeployment": {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": {"Ref": "%[1]sApi"}}, "DependsOn": ["%[1]sGet"]},
  "%[1]sStage": {"Type": "AWS::ApiGateway::Stage", "Properties": {"RestApiId": {"Ref": "%[1]sApi"}, "DeploymentId": {"Ref": "%[1]sDeployment"}, "StageName": "dev"}},
  "%[1]sBus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "%[1]s"}},
  "%[2]s": {"Type": "AWS::SQS::Queue"},
  "%[1]sRule": {"Type": "AWS::Events::Rule", "Properties": {"EventBusName": {"Ref": "%[1]sBus"}, "EventPattern": {"source": ["orders"]}, "Targets": [{"Id": "Queue", "Arn": {"Fn::GetAtt": ["%[2]s", "Arn"]}}]}}
}}`

// synthesize writes an assembly with two stacks.
func synthesize(t *testing.T, dir, queue string) {
	t.Helper()
	var stacks []string
	files := map[string]string{}
	for _, name := range []string{"Orders", "Shipping"} {
		files[name+".json"] = fmt.Sprintf(apiStack, name, name+queue)
		stacks = append(stacks, fmt.Sprintf(`"%[1]s": {"type": "aws:cloudformation:stack", "environment": "aws://unknown-account/eu-west-1", "properties": {"templateFile": "%[1]s.json"}}`, name))
	}
	files["manifest.json"] = `{"version": "36.0.0", "artifacts": {` + strings.Join(stacks, ",") + `}}`
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnUpdateIsShown: the page tells of it, and shows the stacks that run now. Each API counts its own requests, those
// before the update too.
func TestAnUpdateIsShown(t *testing.T) {
	dir := t.TempDir()
	synthesize(t, dir, "Before")
	tap := NewTap(console.Text(io.Discard, false))
	session, err := local.Start(t.Context(), local.Options{App: dir, All: true, Watch: true, IAM: local.IAMOff}, tap)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	run, err := New(t.Context(), session, tap, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	send(t, run, "Orders")
	expectShown(t, run, "Before", 1, 0)

	updated := make(chan bool, 1)
	following, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run.Follow(following, func(c page.Change) {
			if c.Flow {
				updated <- true
			}
		})
	}()
	synthesize(t, dir, "After")
	select {
	case <-updated:
	case <-time.After(time.Minute):
		t.Fatal("nothing tells of the update")
	}
	stop()
	<-ended
	send(t, run, "Shipping")
	send(t, run, "Shipping")
	expectShown(t, run, "After", 1, 2)
}

func send(t *testing.T, run *Run, stack string) {
	t.Helper()
	response, err := run.Send(t.Context(), page.Request{Stack: stack, Verb: "GET", Path: "/"})
	if err != nil || response.Status != 200 {
		t.Fatalf("GET / of %s: %+v, %v", stack, response, err)
	}
}

// expectShown expects the queues that end so, in the flow and among the facts, and so many requests to each API.
func expectShown(t *testing.T, run *Run, queue string, orders, shipping int64) {
	t.Helper()
	graph, err := run.Flow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	facts := fmt.Sprint(run.About().Facts)
	for _, id := range []string{"Orders" + queue, "Shipping" + queue} {
		if _, ok := graph.Node(id); !ok || !strings.Contains(facts, id) {
			t.Errorf("%s must be shown, got %+v, and of facts %s", id, graph.Nodes, facts)
		}
	}
	state, err := run.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int64{"OrdersApi": orders, "ShippingApi": shipping} {
		if got := state.Nodes[id].Passed; got == nil || *got != want {
			t.Errorf("%s must have %d requests, got %+v", id, want, state.Nodes)
		}
	}
}
