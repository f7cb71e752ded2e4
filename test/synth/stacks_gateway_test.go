package synth

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/apigateway"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	local "github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/stacks"
)

// gateway serves the synthesized API in front of a DynamoDB that answers what the test says: the failures that no
// DynamoDB makes on demand are what the mapping templates must get right.
type gateway struct {
	url      string
	dynamoDB *scriptedDynamoDB
}

// scriptedDynamoDB answers every call with one status and body, and keeps the call.
type scriptedDynamoDB struct {
	mu     sync.Mutex
	status int
	body   string
	target string
	sent   []byte
}

func (d *scriptedDynamoDB) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sent, _ := io.ReadAll(r.Body)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.target, d.sent = r.Header.Get("X-Amz-Target"), sent
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(d.status)
	fmt.Fprint(w, d.body)
}

func (d *scriptedDynamoDB) answer(status int, body string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status, d.body, d.target, d.sent = status, body, "", nil
}

// call returns the last call: the action, and the request as it was sent.
func (d *scriptedDynamoDB) call() (action string, sent []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, action, _ = strings.Cut(d.target, ".")
	return action, d.sent
}

// startGateway serves the API of the dev stack, of which edits may have changed the template.
func startGateway(t *testing.T, edits ...func(tpl map[string]any)) *gateway {
	t.Helper()
	dynamoDB := &scriptedDynamoDB{status: http.StatusOK, body: "{}"}
	server := httptest.NewServer(dynamoDB)
	t.Cleanup(server.Close)
	c := cloud.New("eu-central-1")
	c.SetEndpoint(cloud.DynamoDB, server.URL)
	service, err := apigateway.New(t.Context(), apigateway.Config{Cloud: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(service.Close)
	provisionAPI(t, service, edits...)

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &gateway{url: strings.TrimSuffix(service.URL(), "/"), dynamoDB: dynamoDB}
}

// provisionAPI creates the API of the dev stack, and for every other resource only what references to it need.
func provisionAPI(t *testing.T, service *apigateway.Service, edits ...func(tpl map[string]any)) {
	t.Helper()
	app := newApp(t, noBundling)
	var dir string
	guard(t, func() {
		stacks.NewOrdersStack(app, stacks.Dev())
		dir = *app.Synth(nil).Directory()
	})
	editTemplate(t, filepath.Join(dir, "Orders-dev.template.json"), edits...)
	assembly, err := local.ReadAssembly(dir)
	if err != nil {
		t.Fatal(err)
	}
	stack, err := assembly.Stack("Orders-dev")
	if err != nil {
		t.Fatal(err)
	}
	provisions := service.Provisions()
	for _, typ := range []string{
		"AWS::CloudWatch::Alarm", "AWS::DynamoDB::GlobalTable", "AWS::DynamoDB::Table", "AWS::Events::Archive", "AWS::Events::EventBus", "AWS::Events::Rule",
		"AWS::Lambda::EventInvokeConfig", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Function", "AWS::Pipes::Pipe", "AWS::SQS::Queue", "AWS::SQS::QueuePolicy",
		"AWS::SSM::Parameter",
	} {
		provisions[typ] = nameOnly
	}
	if _, err := stack.Provision(t.Context(), local.Environment{Account: cloud.Account, Region: "eu-central-1"}, provisions); err != nil {
		t.Fatal(err)
	}
}

func editTemplate(t *testing.T, file string, edits ...func(tpl map[string]any)) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var tpl map[string]any
	if err := json.Unmarshal(raw, &tpl); err != nil {
		t.Fatal(err)
	}
	for _, edit := range edits {
		edit(tpl)
	}
	if err := os.WriteFile(file, []byte(jsonOf(t, tpl)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func nameOnly(_ context.Context, r local.Resource) (local.Attributes, error) {
	// With slashes, as in the ARN of a rule, which has three parts.
	arn := "arn:aws:test:eu-central-1:" + cloud.Account + ":part/" + r.LogicalID + "/" + r.LogicalID
	return local.Attributes{
		Ref:    r.LogicalID,
		GetAtt: map[string]string{"Arn": arn, "StreamArn": arn + "/stream", "QueueName": r.LogicalID, "QueueUrl": arn, "Name": r.LogicalID},
	}, nil
}

// A reply is an answer of the API.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request with headers given as name, value, name, value.
func (g *gateway) do(t testingT, method, path, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header[headers[i]] = []string{headers[i+1]} // as it is written, not in canonical form
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, got}
}

// A testingT is what testing.T and rapid.T have in common.
type testingT interface {
	Helper()
	Context() context.Context
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// wantError checks status and code, and that the answer has the one shape of all errors.
func (r reply) wantError(t testingT, status int, code string) (message string) {
	t.Helper()
	var problem struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	dec := json.NewDecoder(bytes.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&problem); err != nil {
		t.Fatalf("answer %d %s: %v", r.status, r.body, err)
	}
	if r.status != status || problem.Error.Code != code || problem.Error.Message == "" {
		t.Errorf("answer is %d %s, want %d %s and a message", r.status, r.body, status, code)
	}
	return problem.Error.Message
}
