package access

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// goldenTemplate is the reference application's, and recorded are the requests of one run of its tests, which
// test/e2e compares with a run.
const (
	goldenTemplate = "../../../test/synth/golden/Orders-dev.json"
	recorded       = "testdata/orders-dev.jsonl"
)

// TestEveryPermissionOfTheReferenceApplicationIsNeeded removes every statement of the template in turn, and of a
// statement with more than one action or resource each of them, and requires that something then fails which names what
// is missing.
func TestEveryPermissionOfTheReferenceApplicationIsNeeded(t *testing.T) {
	requests := readRecord(t)
	whole := readTemplate(t)
	if problems := problemsOf(t, whole, requests); len(problems) > 0 {
		t.Fatalf("with all statements: %s", strings.Join(problems, "\n"))
	}
	removals := removalsOf(whole)
	if len(removals) < 60 {
		t.Fatalf("found %d things to remove, want at least 60", len(removals))
	}
	for _, name := range slices.Sorted(maps.Keys(removals)) {
		t.Run(name, func(t *testing.T) {
			r := removals[name]
			problems := problemsOf(t, r.without, requests)
			if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, r.names) }) {
				t.Errorf("nothing fails that names %s: the statement is not needed. Problems: %q", r.names, problems)
			}
		})
	}
}

func readRecord(t *testing.T) []Recorded {
	t.Helper()
	file, err := os.Open(recorded)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []Recorded
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var one Recorded
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return append(all, ofOtherConsumers(all)...)
}

// ofOtherConsumers returns what the runs make one consumer do and the inbox makes every consumer do: to look whether an
// event was handled, and to send what it cannot handle to its dead-letter queue.
func ofOtherConsumers(all []Recorded) []Recorded {
	ids := map[string]*strings.Replacer{
		"PublisherTwo": strings.NewReplacer("PublisherOneFunctionRole918DCBDD", "PublisherTwoFunctionRole8051CA7C",
			"DeadLetterQueueF4E60313", "DeadLetterQueue28E6151D", "PublisherOne", "PublisherTwo"),
		"OrderUpdatedPublisher": strings.NewReplacer("PublisherOneFunctionRole918DCBDD", "OrderUpdatedPublisherFunctionRole834298A9",
			"DeadLetterQueueF4E60313", "DeadLetterQueueD3882F04", "PublisherOne", "OrderUpdatedPublisher"),
	}
	var more []Recorded
	for _, one := range all {
		if !strings.Contains(one.Role, "PublisherOne") || one.Action != "dynamodb:GetItem" && one.Action != "sqs:SendMessage" {
			continue
		}
		for _, names := range ids {
			var copied Recorded
			if err := json.Unmarshal([]byte(names.Replace(string(encoded(one)))), &copied); err != nil {
				panic(err)
			}
			more = append(more, copied)
		}
	}
	return more
}

func readTemplate(t *testing.T) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(goldenTemplate)
	if err != nil {
		t.Fatal(err)
	}
	return decoded(raw)
}

func decoded(raw []byte) map[string]any {
	var document map[string]any
	if err := json.Unmarshal(raw, &document); err != nil {
		panic(err)
	}
	return document
}

func encoded(document any) []byte {
	raw, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return raw
}

// problemsOf returns everything that fails with the policies of the template: what AWS checks when it makes resources,
// and the requests.
func problemsOf(t *testing.T, document map[string]any, requests []Recorded) []string {
	t.Helper()
	var problems []string
	f := deploy(t, document, func(text string) { problems = append(problems, text) })
	if err := f.authority.Prepare(t.Context()); err != nil {
		problems = append(problems, strings.Split(err.Error(), "\n")...)
	}
	for _, r := range requests {
		f.replay(r)
	}
	return append(problems, f.insecure()...)
}

// A deployment is a template whose policies are in place, without the services.
type deployment struct {
	cloud     *cloud.Cloud
	authority *Authority
	queues    map[string]*iam.Policy // by ARN; nil for a queue without a policy
}

func (f *deployment) replay(r Recorded) {
	request := iam.Request{Action: r.Action, Resource: r.On, Context: maps.Clone(r.Context)}
	if r.Service != "" {
		f.authority.checkService(r.Service, r.Context["aws:sourcearn"][0], request)
		return
	}
	f.authority.check(session{role: iamARN("role", "", r.Role), name: r.Session}, request)
}

// insecure names the queues that take a message without TLS.
func (f *deployment) insecure() []string {
	all, err := iam.Parse(iam.Identity, []byte(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`))
	if err != nil {
		panic(err)
	}
	var open []string
	for queue, policy := range f.queues {
		request := iam.Request{Action: "sqs:SendMessage", Resource: queue, Context: iam.Context{"aws:securetransport": {"false"}}}
		if iam.Evaluate(request, iam.Policies{Identity: []*iam.Policy{all}, Resource: policy}).Allowed {
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
	f := &deployment{cloud: cloud.New("us-east-1"), queues: map[string]*iam.Policy{}}
	f.authority = New(Config{Cloud: f.cloud, Notice: notice})
	f.authority.AddPolicies(func(arn string) *iam.Policy { return f.queues[arn] })
	provisions := f.fakes(document)
	maps.Copy(provisions, f.authority.Provisions())
	environment := template.Environment{Account: cloud.Account, Region: "us-east-1"}
	if _, err := stack.Provision(t.Context(), environment, f.authority.Observe(provisions)); err != nil {
		t.Fatal(err)
	}
	return f
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

// A removal is the template without one thing, and the words that what then fails must have.
type removal struct {
	without map[string]any
	names   string
}

// removalsOf returns everything that gives or denies a permission in the template.
func removalsOf(document map[string]any) map[string]removal {
	all := map[string]removal{}
	resources := document["Resources"].(map[string]any)
	for id, r := range resources {
		resource := r.(map[string]any)
		properties, _ := resource["Properties"].(map[string]any)
		switch resource["Type"] {
		case "AWS::IAM::Role":
			removeStatements(all, document, id, "trust", "Properties", "AssumeRolePolicyDocument")
			for i := range list(properties["ManagedPolicyArns"]) {
				all[fmt.Sprintf("%s/managed %d", id, i)] = removal{without(document, []any{"Resources", id, "Properties", "ManagedPolicyArns", i}), "logs:PutLogEvents"}
			}
			for i := range list(properties["Policies"]) {
				removeStatements(all, document, id, fmt.Sprintf("inline %d", i), "Properties", "Policies", i, "PolicyDocument")
			}
		case "AWS::IAM::Policy", "AWS::SQS::QueuePolicy":
			removeStatements(all, document, id, "policy", "Properties", "PolicyDocument")
		case "AWS::Lambda::Permission":
			all[id] = removal{without(document, []any{"Resources", id}), "lambda:InvokeFunction"}
		}
	}
	return all
}

// removeStatements adds the removals of each statement of a policy, and of each action and resource of a statement that
// has more than one.
func removeStatements(all map[string]removal, document map[string]any, id, name string, path ...any) {
	path = append(append([]any{"Resources", id}, path...), "Statement")
	for i, s := range list(at(document, path)) {
		statement := s.(map[string]any)
		here := append(slices.Clone(path), i)
		title := fmt.Sprintf("%s/%s %d", id, name, i)
		actions, many := statement["Action"].([]any)
		if !many {
			actions = []any{statement["Action"]}
		}
		all[title] = removal{without(document, here), actions[0].(string)}
		for j, action := range actions {
			if many {
				all[title+"/"+action.(string)] = removal{without(document, append(slices.Clone(here), "Action", j)), action.(string)}
			}
		}
		for j := range list(statement["Resource"]) {
			all[fmt.Sprintf("%s/resource %d", title, j)] = removal{without(document, append(slices.Clone(here), "Resource", j)), actions[0].(string)}
		}
	}
}

func list(value any) []any {
	l, _ := value.([]any)
	return l
}

// at returns the value at a path of keys and indexes.
func at(value any, path []any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			value = value.(map[string]any)[step]
		case int:
			value = value.([]any)[step]
		}
	}
	return value
}

// without returns a copy of the document without the value at the path.
func without(document map[string]any, path []any) map[string]any {
	copied := decoded(encoded(document))
	parent, last := path[:len(path)-1], path[len(path)-1]
	switch last := last.(type) {
	case string:
		delete(at(copied, parent).(map[string]any), last)
	case int:
		above := at(copied, parent[:len(parent)-1]).(map[string]any)
		key := parent[len(parent)-1].(string)
		above[key] = slices.Delete(above[key].([]any), last, last+1)
	}
	return copied
}
