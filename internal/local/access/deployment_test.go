package access

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// problemsOf returns everything that fails with the policies of the template: what AWS checks when it makes resources,
// and the requests.
func problemsOf(t *testing.T, document map[string]any, requests []Recorded) (*deployment, []string) {
	t.Helper()
	var problems []string
	f := deploy(t, document, func(text string) { problems = append(problems, text) })
	if err := f.authority.Prepare(t.Context()); err != nil {
		problems = append(problems, strings.Split(err.Error(), "\n")...)
	}
	for _, r := range requests {
		f.replay(r)
	}
	return f, append(problems, f.insecure()...)
}

// A deployment is a template whose policies are in place, without the services.
type deployment struct {
	cloud     *cloud.Cloud
	authority *Authority
	queues    map[string]*iam.Policy // by ARN; nil for a queue without a policy
	resolved  map[string]any         // properties without intrinsics, by logical id
}

func (f *deployment) replay(r Recorded) {
	request := iam.Request{Action: r.Action, Resource: r.On, Context: maps.Clone(r.Context)}
	if r.Service != "" {
		f.authority.checkService(r.Service, r.Context["aws:sourcearn"][0], request)
		return
	}
	f.authority.check(session{role: iamARN("role", "", r.Role), name: r.Session}, request)
}

// allowsAll are the policies of somebody who may do everything.
var allowsAll = func() []*iam.Policy {
	p, err := iam.Parse(iam.Identity, []byte(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`))
	if err != nil {
		panic(err)
	}
	return []*iam.Policy{p}
}()

// insecure names the queues that take a message without TLS.
func (f *deployment) insecure() []string {
	var open []string
	for queue, policy := range f.queues {
		request := iam.Request{Action: "sqs:SendMessage", Resource: queue, Context: iam.Context{"aws:securetransport": {"false"}}}
		if iam.Evaluate(request, iam.Policies{Identity: allowsAll, Resource: policy}).Allowed {
			open = append(open, queue+" takes sqs:* without TLS")
		}
	}
	return open
}

func deploy(t *testing.T, document map[string]any, notice func(string)) *deployment {
	t.Helper()
	dir := t.TempDir()
	manifest := `{"artifacts":{"Orders-dev":{"type":"aws:cloudformation:stack","environment":"aws://unknown-account/us-east-1","properties":{"templateFile":"t.json"}}}}`
	for name, content := range map[string][]byte{"manifest.json": []byte(manifest), "t.json": encoded(document)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	assembly, err := template.ReadAssembly(dir)
	if err != nil {
		t.Fatal(err)
	}
	stack, err := assembly.Stack("Orders-dev")
	if err != nil {
		t.Fatal(err)
	}
	f := &deployment{cloud: cloud.New("us-east-1"), queues: map[string]*iam.Policy{}, resolved: map[string]any{}}
	f.authority = New(Config{Cloud: f.cloud, Notice: notice})
	f.authority.AddPolicies(func(arn string) *iam.Policy { return f.queues[arn] })
	provisions := f.fakes(document)
	maps.Copy(provisions, f.authority.Provisions())
	environment := template.Environment{Account: cloud.Account, Region: "us-east-1"}
	if _, err := stack.Provision(t.Context(), environment, f.authority.Observe(f.noting(provisions))); err != nil {
		t.Fatal(err)
	}
	return f
}

// noting returns the provisions, and keeps the properties of what they make.
func (f *deployment) noting(provisions map[string]template.Provision) map[string]template.Provision {
	noting := map[string]template.Provision{}
	for kind, provision := range provisions {
		noting[kind] = func(ctx context.Context, r template.Resource) (template.Attributes, error) {
			f.resolved[r.LogicalID] = r.Properties
			return provision(ctx, r)
		}
	}
	return noting
}

// fakes returns provisions that give every resource the names and ARNs that the services give it.
func (f *deployment) fakes(document map[string]any) map[string]template.Provision {
	fakes := map[string]template.Provision{}
	for _, r := range document["Resources"].(map[string]any) {
		kind := r.(map[string]any)["Type"].(string)
		if strings.HasPrefix(kind, "AWS::Logs::") {
			continue // skipped, as in a run
		}
		fakes[kind] = f.fake
	}
	return fakes
}

func (f *deployment) fake(_ context.Context, r template.Resource) (template.Attributes, error) {
	name := r.PhysicalName
	if given, ok := r.Properties["Name"].(string); ok && r.Type == "AWS::Events::EventBus" {
		name = given
	}
	made := template.Attributes{Ref: name, GetAtt: map[string]string{"Arn": f.arn(r, name)}}
	switch r.Type {
	case "AWS::SQS::Queue":
		made.Ref = "http://127.0.0.1:1/" + cloud.Account + "/" + name
		made.GetAtt["QueueName"] = name
		f.queues[made.GetAtt["Arn"]] = nil
	case "AWS::SQS::QueuePolicy":
		return made, f.fakeQueuePolicy(r)
	case "AWS::DynamoDB::Table":
		made.GetAtt["StreamArn"] = made.GetAtt["Arn"] + "/stream/label"
	case "AWS::ApiGateway::RestApi":
		made.GetAtt["RootResourceId"] = "root"
	case "AWS::ApiGateway::Stage":
		made.Ref = r.Properties["StageName"].(string)
	}
	return made, nil
}

func (f *deployment) arn(r template.Resource, name string) string {
	switch r.Type {
	case "AWS::SQS::Queue":
		return f.cloud.ARN("sqs", name)
	case "AWS::DynamoDB::Table":
		return f.cloud.ARN("dynamodb", "table/"+name)
	case "AWS::Lambda::Function":
		return f.cloud.ARN("lambda", "function:"+name)
	case "AWS::Events::EventBus":
		return f.cloud.ARN("events", "event-bus/"+name)
	case "AWS::Events::Rule":
		return f.cloud.ARN("events", fmt.Sprintf("rule/%s/%s", r.Properties["EventBusName"], name))
	case "AWS::Pipes::Pipe":
		return f.cloud.ARN("pipes", "pipe/"+name)
	}
	return f.cloud.ARN("other", r.LogicalID)
}

func (f *deployment) fakeQueuePolicy(r template.Resource) error {
	parsed, err := iam.Parse(iam.Resource, encoded(r.Properties["PolicyDocument"]))
	for _, url := range r.Properties["Queues"].([]any) {
		f.queues[f.cloud.ARN("sqs", nameOf(url.(string)))] = parsed
	}
	return err
}
