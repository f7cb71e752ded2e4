package smoke

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	pipetypes "github.com/aws/aws-sdk-go-v2/service/pipes/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/internal/operate"
)

// fakeAWS stands in for what the local run does not have: IAM, alarms that are set, SNS, and a stack that was destroyed.
type fakeAWS struct {
	Tables
	Queues
	Alarms
	Stacks
	operate.Lambda

	allows                func(action, key, operation string) bool
	termination, deletion bool
	stackGone             bool
	resources             []cftypes.StackResourceSummary
	tables                map[string]bool // that are there
	leftQueues            []string
	asked                 string // the role of the last simulation

	state         cwtypes.StateValue
	notifies      bool
	subscriptions int
	queues        int
}

func (f *fakeAWS) SimulatePrincipalPolicy(_ context.Context, in *iam.SimulatePrincipalPolicyInput, _ ...func(*iam.Options)) (*iam.SimulatePrincipalPolicyOutput, error) {
	f.asked = *in.PolicySourceArn
	given := map[string]string{}
	for _, e := range in.ContextEntries {
		given[*e.ContextKeyName] = e.ContextKeyValues[0]
	}
	decision := iamtypes.PolicyEvaluationDecisionTypeImplicitDeny
	if f.allows(in.ActionNames[0], given["dynamodb:LeadingKeys"], given["dynamodb:EnclosingOperation"]) {
		decision = iamtypes.PolicyEvaluationDecisionTypeAllowed
	}
	return &iam.SimulatePrincipalPolicyOutput{EvaluationResults: []iamtypes.EvaluationResult{{EvalDecision: decision}}}, nil
}

func (f *fakeAWS) GetFunctionConfiguration(context.Context, *lambda.GetFunctionConfigurationInput, ...func(*lambda.Options)) (*lambda.GetFunctionConfigurationOutput, error) {
	return &lambda.GetFunctionConfigurationOutput{Role: aws.String("arn:aws:iam::111122223333:role/Ship")}, nil
}

func (f *fakeAWS) DescribeTable(_ context.Context, in *dynamodb.DescribeTableInput, _ ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error) {
	if f.tables != nil && !f.tables[*in.TableName] {
		return nil, &smithy.GenericAPIError{Code: "ResourceNotFoundException"}
	}
	return &dynamodb.DescribeTableOutput{Table: &dbtypes.TableDescription{TableArn: in.TableName, DeletionProtectionEnabled: &f.deletion}}, nil
}

func (f *fakeAWS) DescribeStacks(context.Context, *cloudformation.DescribeStacksInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error) {
	if f.stackGone {
		return nil, &smithy.GenericAPIError{Code: "ValidationError", Message: "it does not exist"}
	}
	return &cloudformation.DescribeStacksOutput{Stacks: []cftypes.Stack{{EnableTerminationProtection: &f.termination}}}, nil
}

func (f *fakeAWS) ListStacks(context.Context, *cloudformation.ListStacksInput, ...func(*cloudformation.Options)) (*cloudformation.ListStacksOutput, error) {
	at := func(name, id string, hour int) cftypes.StackSummary {
		return cftypes.StackSummary{StackName: &name, StackId: &id, DeletionTime: aws.Time(time.Date(2026, 11, 27, hour, 0, 0, 0, time.UTC))}
	}
	return &cloudformation.ListStacksOutput{StackSummaries: []cftypes.StackSummary{at("Orders-dev", "older", 1), at("Orders-dev", "newest", 3), at("Other", "other", 4)}}, nil
}

func (f *fakeAWS) ListStackResources(_ context.Context, in *cloudformation.ListStackResourcesInput, _ ...func(*cloudformation.Options)) (*cloudformation.ListStackResourcesOutput, error) {
	if *in.StackName != "newest" && f.stackGone {
		return nil, &smithy.GenericAPIError{Code: "ValidationError", Message: *in.StackName}
	}
	return &cloudformation.ListStackResourcesOutput{StackResourceSummaries: f.resources}, nil
}

func (f *fakeAWS) ListQueues(context.Context, *sqs.ListQueuesInput, ...func(*sqs.Options)) (*sqs.ListQueuesOutput, error) {
	return &sqs.ListQueuesOutput{QueueUrls: f.leftQueues}, nil
}

func (f *fakeAWS) runner() *Runner {
	box := &operate.Outbox{Outbox: description.Outbox{Table: "events", Source: "orders"}}
	box.Consumers = []*operate.Consumer{{Consumer: description.Consumer{ID: "Ship", Name: "Orders/Ship", Function: "ship", InboxTable: "inbox"}}}
	return &Runner{
		Clients: Clients{Clients: operate.Clients{Lambda: f}, Tables: f, Queues: f, Alarms: f, Roles: f, Stacks: f},
		Stack:   &operate.Stack{Name: "Orders-dev", Alarms: []string{"a", "b"}}, Outbox: box,
		Dialog: operate.NewDialog(nil, io.Discard, true, false), Wait: 100 * time.Millisecond, id: "1",
	}
}

// outcome runs a check as the runner does.
func (f *fakeAWS) outcome(t *testing.T, c Check) CheckReport {
	t.Helper()
	r := f.runner()
	got := r.one(t.Context(), c)
	if len(r.left) > 0 {
		t.Errorf("left behind: %q", r.left)
	}
	return got
}

func TestRoles(t *testing.T) {
	right := func(action, key, operation string) bool {
		return action == "dynamodb:PutItem" && strings.HasPrefix(key, "event#Orders/Ship#") && operation == "TransactWriteItems"
	}
	for name, tc := range map[string]struct {
		allows func(action, key, operation string) bool
		want   Outcome
	}{
		"as the construct grants it": {right, Passed},
		"nothing":                    {func(string, string, string) bool { return false }, Failed},
		"outside of a transaction":   {func(a, k, o string) bool { return right(a, k, "TransactWriteItems") }, Failed},
		"of all consumers":           {func(a, k, o string) bool { return right(a, "event#Orders/Ship#", o) }, Failed},
		"deletions too":              {func(a, k, o string) bool { return right("dynamodb:PutItem", k, o) }, Failed},
	} {
		if got := (&fakeAWS{allows: tc.allows}).outcome(t, rolesCheck); got.Outcome != tc.want {
			t.Errorf("%s: %s, want %s: %s", name, got.Outcome, tc.want, got.Observed)
		}
	}
}

func TestProduction(t *testing.T) {
	for name, tc := range map[string]struct {
		stack string
		f     fakeAWS
		says  string
	}{
		"a name":                  {"Orders-prod", fakeAWS{}, "its name"},
		"a path":                  {"live/Orders", fakeAWS{}, "its name"},
		"a word at the end":       {"OrdersProd", fakeAWS{}, "its name"},
		"a word at the beginning": {"ProdOrders", fakeAWS{}, "its name"},
		"one in small letters":    {"prodOrders", fakeAWS{}, "its name"},
		"one in the middle":       {"OrdersLive2", fakeAWS{}, "its name"},
		"another word":            {"ProductOrders", fakeAWS{}, ""},
		"termination protection":  {"Orders", fakeAWS{termination: true}, "its termination protection"},
		"deletion protection":     {"Orders", fakeAWS{deletion: true}, "the deletion protection"},
		"none of it":              {"Products-dev", fakeAWS{}, ""},
		"a word with it":          {"Delivery-staging", fakeAWS{}, ""},
	} {
		r := tc.f.runner()
		r.Stack.Name = tc.stack
		err := r.refuseProduction(t.Context())
		if (err != nil) != (tc.says != "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want one that says %q", name, err, tc.says)
		}
		r.Production = true
		if err := r.refuseProduction(t.Context()); err != nil {
			t.Errorf("%s, knowingly: %v", name, err)
		}
	}
}

// TestNothingRunsOnProduction: it is refused before anything is asked or made.
func TestNothingRunsOnProduction(t *testing.T) {
	f := &fakeAWS{termination: true}
	report, err := f.runner().Run(t.Context(), Checks())
	if report != nil || err == nil || !strings.Contains(err.Error(), "--"+ProductionFlag) || f.queues != 0 {
		t.Errorf("%+v, %v, %d queues; want a refusal that names the flag", report, err, f.queues)
	}
}

// TestNothingWithoutAYes: without an answer, or for a dry run, nothing is made; the plan says what would be skipped.
func TestNothingWithoutAYes(t *testing.T) {
	for _, dry := range []bool{false, true} {
		f := &fakeAWS{}
		r, said := f.runner(), &strings.Builder{}
		r.Clients.Buses, r.Clients.Pipe = noRules{}, pipeIn{state: pipetypes.PipeStateRunning}
		r.Dialog, r.DryRun = operate.NewDialog(strings.NewReader("no\n"), said, false, false), dry
		report, err := r.Run(t.Context(), Selection{Only: []int{1, 3}}.Of(Checks()))
		if report != nil || f.queues != 0 || (err == nil) != dry {
			t.Errorf("dry run %t: %+v, %v, %d queues", dry, report, err, f.queues)
		}
		if !strings.Contains(said.String(), "skipped: it needs the reference application") || !strings.Contains(said.String(), "costs about $0.01") {
			t.Errorf("the plan is\n%s", said)
		}
	}
}

// TestAPipeThatIsStoppedStopsTheChecks before anything is made, and what an earlier run has left is named.
func TestAPipeThatIsStoppedStopsTheChecks(t *testing.T) {
	f := &fakeAWS{}
	r, said := f.runner(), &strings.Builder{}
	r.Outbox.Pipe, r.Outbox.MaximumRecordAgeSeconds = "orders-pipe", "72000"
	r.Clients.Buses, r.Clients.Pipe = noRules{policy: `{"Statement":[{"Sid":"mine"},{"Sid": "OutboxSmokeabc","Effect":"Deny"}]}`}, pipeIn{state: pipetypes.PipeStateStopped, age: 60}
	r.Dialog = operate.NewDialog(nil, said, true, false)
	report, err := r.Run(t.Context(), Selection{Only: []int{1}}.Of(Checks()))
	if report != nil || err == nil || !strings.Contains(err.Error(), "pipe orders-pipe must be RUNNING, and is STOPPED") || !strings.Contains(err.Error(), "resume") {
		t.Errorf("%+v, %v", report, err)
	}
	for _, want := range []string{"the denial OutboxSmokeabc in the policy", "MaximumRecordAgeInSeconds 60 of pipe orders-pipe, which was deployed with 72000"} {
		if !strings.Contains(said.String(), want) || strings.Contains(said.String(), "mine") {
			t.Errorf("of an earlier run it says\n%s\nwant %q", said, want)
		}
	}
}

// pipeIn is a pipe in a state, with a record age.
type pipeIn struct {
	Pipe
	state pipetypes.PipeState
	age   int32
}

func (p pipeIn) DescribePipe(context.Context, *pipes.DescribePipeInput, ...func(*pipes.Options)) (*pipes.DescribePipeOutput, error) {
	return &pipes.DescribePipeOutput{CurrentState: p.state, SourceParameters: &pipetypes.PipeSourceParameters{
		DynamoDBStreamParameters: &pipetypes.PipeSourceDynamoDBStreamParameters{MaximumRecordAgeInSeconds: &p.age},
	}}, nil
}

// TestWritersRoles: the function that writes events, and the API, may do so in a transaction only.
func TestWritersRoles(t *testing.T) {
	resource := func(kind, logical, name string) cftypes.StackResourceSummary {
		return cftypes.StackResourceSummary{ResourceType: &kind, LogicalResourceId: &logical, PhysicalResourceId: &name}
	}
	for want, outside := range map[Outcome]bool{Passed: false, Failed: true} {
		f := &fakeAWS{
			resources: []cftypes.StackResourceSummary{
				resource("AWS::Lambda::Function", "UpdateOrder97797B6B", "update"), resource("AWS::IAM::Role", "CreateOrderRoleF81005A6", "create"),
			},
			allows: func(action, key, operation string) bool {
				return action == "dynamodb:PutItem" && key == "Order#o" && (operation == "TransactWriteItems" || outside)
			},
		}
		r := f.runner()
		r.reference, r.Outbox.Consumers = &reference{}, nil
		if got := r.one(t.Context(), rolesCheck); got.Outcome != want || !strings.Contains(got.Observed, "the API, an event outside of one") {
			t.Errorf("%t: %s, want %s: %s", outside, got.Outcome, want, got.Observed)
		}
		if api := "arn:aws:iam::111122223333:role/create"; f.asked != api {
			t.Errorf("the last role asked about is %s, want %s", f.asked, api)
		}
	}
}

// noRules is a bus without rules of earlier runs.
type noRules struct {
	Buses
	policy string
}

func (b noRules) DescribeEventBus(context.Context, *eventbridge.DescribeEventBusInput, ...func(*eventbridge.Options)) (*eventbridge.DescribeEventBusOutput, error) {
	return &eventbridge.DescribeEventBusOutput{Policy: &b.policy}, nil
}

func (noRules) ListRules(context.Context, *eventbridge.ListRulesInput, ...func(*eventbridge.Options)) (*eventbridge.ListRulesOutput, error) {
	return &eventbridge.ListRulesOutput{}, nil
}

func TestAfterDestroy(t *testing.T) {
	resource := func(kind, logical, name string, status cftypes.ResourceStatus) cftypes.StackResourceSummary {
		return cftypes.StackResourceSummary{ResourceType: &kind, LogicalResourceId: &logical, PhysicalResourceId: &name, ResourceStatus: status}
	}
	deleted := resource("AWS::DynamoDB::Table", "Orders", "orders", cftypes.ResourceStatusDeleteComplete)
	role := resource("AWS::IAM::Role", "ApiCloudWatchRole", "logs", cftypes.ResourceStatusDeleteSkipped)
	for name, tc := range map[string]struct {
		f    fakeAWS
		want Outcome
		says string
	}{
		"nothing but the log role": {fakeAWS{stackGone: true, tables: map[string]bool{}, resources: []cftypes.StackResourceSummary{deleted, role}}, Passed, "stays on purpose"},
		"a table that was kept": {fakeAWS{stackGone: true, resources: []cftypes.StackResourceSummary{
			resource("AWS::DynamoDB::Table", "Orders", "orders", cftypes.ResourceStatusDeleteSkipped),
		}}, Failed, "orders is left"},
		"a table that is there all the same": {fakeAWS{stackGone: true, tables: map[string]bool{"orders": true}, resources: []cftypes.StackResourceSummary{deleted}}, Failed, "it is there"},
		"a queue of a check":                 {fakeAWS{stackGone: true, leftQueues: []string{"outbox-smoke-x"}}, Failed, "outbox-smoke-x"},
		"a stack that is still there":        {fakeAWS{}, Failed, "is still there"},
	} {
		r := tc.f.runner()
		r.Outbox = nil
		report, err := r.AfterDestroy(t.Context(), "Orders-dev")
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Checks[0]; got.Outcome != tc.want || !strings.Contains(got.Observed, tc.says) {
			t.Errorf("%s: %s %s, want %s and %q", name, got.Outcome, got.Observed, tc.want, tc.says)
		}
	}
}

// The alarm's side of the fake.

func (f *fakeAWS) DescribeAlarms(context.Context, *cloudwatch.DescribeAlarmsInput, ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmsOutput, error) {
	return &cloudwatch.DescribeAlarmsOutput{MetricAlarms: []cwtypes.MetricAlarm{
		{AlarmName: aws.String("a"), AlarmActions: []string{"arn:aws:sns:eu-central-1:111122223333:ops"}, StateValue: cwtypes.StateValueAlarm},
		{AlarmName: aws.String("b"), AlarmActions: []string{"arn:aws:sns:eu-central-1:111122223333:ops"}, StateValue: cwtypes.StateValueOk},
	}}, nil
}

func (f *fakeAWS) SetAlarmState(_ context.Context, in *cloudwatch.SetAlarmStateInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.SetAlarmStateOutput, error) {
	if *in.AlarmName == "b" {
		f.state = in.StateValue
	}
	return &cloudwatch.SetAlarmStateOutput{}, nil
}

func (f *fakeAWS) CreateQueue(context.Context, *sqs.CreateQueueInput, ...func(*sqs.Options)) (*sqs.CreateQueueOutput, error) {
	f.queues++
	return &sqs.CreateQueueOutput{QueueUrl: aws.String("q")}, nil
}

func (f *fakeAWS) DeleteQueue(context.Context, *sqs.DeleteQueueInput, ...func(*sqs.Options)) (*sqs.DeleteQueueOutput, error) {
	f.queues--
	return &sqs.DeleteQueueOutput{}, nil
}

func (f *fakeAWS) GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{"QueueArn": "arn:aws:sqs:eu-central-1:111122223333:q"}}, nil
}

func (f *fakeAWS) SetQueueAttributes(context.Context, *sqs.SetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.SetQueueAttributesOutput, error) {
	return &sqs.SetQueueAttributesOutput{}, nil
}

func (f *fakeAWS) ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if !f.notifies || f.subscriptions != 1 || f.state != cwtypes.StateValueAlarm {
		return &sqs.ReceiveMessageOutput{}, nil
	}
	about, _ := json.Marshal(map[string]string{"AlarmName": "b"})
	body, _ := json.Marshal(map[string]string{"Message": string(about)})
	return &sqs.ReceiveMessageOutput{Messages: []sqstypes.Message{{Body: aws.String(string(body))}}}, nil
}

// sns answers as SNS does, to signed requests.
func (f *fakeAWS) sns(t *testing.T) *Web {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(raw))
		if !strings.Contains(r.Header.Get("Authorization"), "/eu-central-1/sns/aws4_request") {
			w.WriteHeader(http.StatusForbidden)
		}
		switch form.Get("Action") {
		case "Subscribe":
			f.subscriptions++
			_, _ = io.WriteString(w, `<SubscribeResponse><SubscribeResult><SubscriptionArn>arn:sub</SubscriptionArn></SubscribeResult></SubscribeResponse>`)
		case "Unsubscribe":
			if form.Get("SubscriptionArn") == "arn:sub" {
				f.subscriptions--
			}
		}
	}))
	t.Cleanup(server.Close)
	return &Web{Config: aws.Config{
		Region: "eu-central-1", BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""),
	}}
}

// TestAlarm: the check passes when the alarm that is off notifies, and puts back the alarm, the subscription and the queue.
func TestAlarm(t *testing.T) {
	for notifies, want := range map[bool]Outcome{true: Passed, false: Failed} {
		f := &fakeAWS{notifies: notifies}
		r := f.runner()
		r.Clients.Web = f.sns(t)
		if got := r.one(t.Context(), alarmCheck); got.Outcome != want {
			t.Errorf("%t: %s, want %s: %s", notifies, got.Outcome, want, got.Observed)
		}
		if f.state != cwtypes.StateValueOk || f.subscriptions != 0 || f.queues != 0 || len(r.left) > 0 {
			t.Errorf("%t: the alarm is %s, %d subscriptions and %d queues are left, %q", notifies, f.state, f.subscriptions, f.queues, r.left)
		}
	}
}

// TestTheRecordAgeAlone: what is sent to change a pipe's record age changes nothing else.
func TestTheRecordAgeAlone(t *testing.T) {
	before := &pipes.DescribePipeOutput{
		Name: aws.String("p"), RoleArn: aws.String("role"),
		SourceParameters: &pipetypes.PipeSourceParameters{
			FilterCriteria: &pipetypes.FilterCriteria{Filters: []pipetypes.Filter{{Pattern: aws.String("{}")}}},
			DynamoDBStreamParameters: &pipetypes.PipeSourceDynamoDBStreamParameters{
				BatchSize: aws.Int32(10), DeadLetterConfig: &pipetypes.DeadLetterConfig{Arn: aws.String("dlq")}, MaximumBatchingWindowInSeconds: aws.Int32(1),
				MaximumRecordAgeInSeconds: aws.Int32(72000), MaximumRetryAttempts: aws.Int32(20),
				OnPartialBatchItemFailure: pipetypes.OnPartialBatchItemFailureStreamsAutomaticBisect, ParallelizationFactor: aws.Int32(2), StartingPosition: "TRIM_HORIZON",
			},
		},
	}
	text := func(v any) string { raw, _ := json.Marshal(v); return string(raw) }
	got := withAge(before, aws.Int32(60))
	want := strings.Replace(strings.Replace(text(before.SourceParameters.DynamoDBStreamParameters), "72000", "60", 1), `"StartingPosition":"TRIM_HORIZON",`, "", 1)
	if text(got.SourceParameters.DynamoDBStreamParameters) != strings.Replace(want, `,"StartingPositionTimestamp":null`, "", 1) ||
		text(got.SourceParameters.FilterCriteria) != text(before.SourceParameters.FilterCriteria) || *got.RoleArn != "role" {
		t.Errorf("it sends %s\nwant %s", text(got), want)
	}
}

// TestTheBusKeepsItsPolicy: the denial is one more statement.
func TestTheBusKeepsItsPolicy(t *testing.T) {
	for before, want := range map[string]string{
		"":                                     `{"Statement":[{"Sid":"no"}],"Version":"2012-10-17"}`,
		`{"Statement":[{"Sid":"a"}],"Id":"i"}`: `{"Id":"i","Statement":[{"Sid":"a"},{"Sid":"no"}],"Version":"2012-10-17"}`,
		`{"Statement":{"Sid":"a"}}`:            `{"Statement":[{"Sid":"a"},{"Sid":"no"}],"Version":"2012-10-17"}`,
	} {
		if got, err := withDenial(before, map[string]any{"Sid": "no"}); err != nil || got != want {
			t.Errorf("%s becomes %s, %v, want %s", before, got, err, want)
		}
	}
}
