package chaos

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
	"github.com/outboxkit/transactional-outbox/internal/local/faults"
)

func TestPlanFollowsFromItsSeed(t *testing.T) {
	if a, b := NewPlan(7, 2, 1), NewPlan(7, 2, 1); !reflect.DeepEqual(a, b) {
		t.Errorf("the same seed gave two plans:\n%+v\n%+v", a, b)
	}
	if reflect.DeepEqual(NewPlan(7, 2, 1).Rates, NewPlan(8, 2, 1).Rates) {
		t.Error("two seeds gave the same rates")
	}
}

func TestPlanHasEveryLegalFault(t *testing.T) {
	plan := NewPlan(1, 2, 1)
	enabled := map[string]bool{}
	for _, point := range plan.Enabled() {
		enabled[point] = true
	}
	for _, point := range append(faults.Points, check.KillRun, check.KillTables) {
		if !enabled[string(point)] {
			t.Errorf("%s is not in the plan", point)
		}
	}
	for point, bounds := range rates {
		if r := plan.Rates[point]; r < bounds[0] || r > bounds[1] {
			t.Errorf("the rate of %s is %v, want %v to %v", point, r, bounds[0], bounds[1])
		}
	}
}

func TestPlanHasEveryMistake(t *testing.T) {
	for seed := range uint64(50) {
		plan := NewPlan(seed, 1, 1).WithMistakes()
		if again := NewPlan(seed, 1, 1).WithMistakes(); !reflect.DeepEqual(plan, again) {
			t.Fatalf("the same seed gave two plans:\n%+v\n%+v", plan, again)
		}
		kinds := kindsOf(plan.Mistakes)
		for _, kind := range check.Mistakes {
			if !slices.Contains(kinds, kind) {
				t.Errorf("seed %d: %s is not in the plan", seed, kind)
			}
		}
		over := 0.0
		for _, m := range plan.Mistakes {
			if m.After < over || m.Until < m.After || m.Until > 1 {
				t.Errorf("seed %d: %s from %v to %v does not follow what is over at %v", seed, m.Kind, m.After, m.Until, over)
			}
			over = m.Until
			if m.Consumer == latecomer {
				t.Errorf("seed %d: %s concerns a consumer that is not there from the beginning", seed, m.Kind)
			}
		}
	}
}

func TestPlanIsOneThatTheLocalRunTakes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.json")
	plan := NewPlan(3, 1, 1).WithMistakes()
	if err := plan.write(path); err != nil {
		t.Fatal(err)
	}
	read, err := faults.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	plan.TrimStopped = true // it has a pipe that is stopped
	if !reflect.DeepEqual(*read, plan.Plan) {
		t.Errorf("read back: %+v\nwant: %+v", *read, plan.Plan)
	}
}

func TestDiceDependOnTheThingAlone(t *testing.T) {
	first, again := dice{5}, dice{5}
	again.of(10, "something else before")
	if a, b := first.of(1<<30, "order", 1), again.of(1<<30, "order", 1); a != b {
		t.Errorf("the same thing got %d and %d", a, b)
	}
	if a, b := first.of(1<<30, "order", 1), (dice{6}).of(1<<30, "order", 1); a == b {
		t.Error("another seed got the same")
	}
	hits := 0
	for n := range 1000 {
		if first.percent(20, n) {
			hits++
		}
	}
	if hits < 120 || hits > 280 {
		t.Errorf("20 percent happened %d times in 1000", hits)
	}
}

const consumerTemplate = `{"Resources": {
	"Orders": {"Type": "AWS::DynamoDB::Table", "Metadata": {"aws:cdk:path": "S/Orders/Resource"}},
	"OutboxMailQueue1": {"Type": "AWS::SQS::Queue", "Properties": {"RedrivePolicy": {}, "VisibilityTimeout": 60}, "Metadata": {"aws:cdk:path": "S/Outbox/Mail/Queue/Resource"}},
	"OutboxMailPolicy1": {"Type": "AWS::IAM::Policy", "Properties": {"PolicyDocument": {"Statement": []}},
		"Metadata": {"aws:cdk:path": "S/Outbox/Mail/Function/Role/DefaultPolicy/Resource"}},
	"OutboxMailFunction1": {"Type": "AWS::Lambda::Function",
		"Properties": {"Timeout": 10, "Environment": {"Variables": {"INBOX_CONSUMER": "S/Outbox/Mail", "CONSUMER_QUEUE_URL": {"Ref": "OutboxMailQueue1"}, "INBOX_TABLE": {"Ref": "Inbox"}}}},
		"Metadata": {"aws:cdk:path": "S/Outbox/Mail/Function/Resource", "outboxkit:golambda": {"source": "../mail"}}},
	"OutboxMailDescription1": {"Type": "AWS::SSM::Parameter", "Metadata": {"aws:cdk:path": "S/Outbox/Mail/Description"}, "Properties": {
		"Name": {"Fn::Join": ["", ["/outboxkit/", {"Ref": "AWS::StackName"}, "/Outbox/consumer/Mail"]]},
		"Value": {"Fn::Join": ["", ["{\"id\":\"Mail\",\"queue\":\"", {"Ref": "OutboxMailQueue1"}, "\",\"rule\":\"r\"}"]]}}},
	"OutboxAuditorPolicy1": {"Type": "AWS::IAM::Policy", "Metadata": {"aws:cdk:path": "S/Outbox/Auditor/Role/DefaultPolicy/Resource"},
		"Properties": {"PolicyDocument": {"Statement": [
			{"Action": "dynamodb:BatchGetItem", "Resource": {"Ref": "Inbox"}, "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["event#S/Outbox/Mail#*", "event#S/Outbox/Post#*"]}}},
			{"Action": "sqs:GetQueueAttributes", "Resource": {"Fn::GetAtt": ["OutboxMailQueue1", "Arn"]}}]}}},
	"OutboxAuditMapping1": {"Type": "AWS::Lambda::EventSourceMapping", "Metadata": {"aws:cdk:path": "S/Outbox/AuditMapping"},
		"DependsOn": ["OutboxAuditorPolicy1", "OutboxMailDescription1"]},
	"OutboxAuditor1": {"Type": "AWS::Lambda::Function", "Metadata": {"aws:cdk:path": "S/Outbox/Auditor/Default/Resource"}, "Properties": {"Timeout": 300}}},
	"Outputs": {"MailQueueUrl": {"Value": {"Ref": "OutboxMailQueue1"}}}}`

func templateOf(t *testing.T, text string) *Template {
	t.Helper()
	var whole map[string]any
	if err := json.Unmarshal([]byte(text), &whole); err != nil {
		t.Fatal(err)
	}
	return &Template{resources: object(whole["Resources"]), outputs: object(whole["Outputs"])}
}

func TestCloneIsAConsumerOfItsOwn(t *testing.T) {
	tm := templateOf(t, consumerTemplate)
	tm.root, tm.assembly = "repo", "repo/internal/chaos/cdk.out"
	clone("Mail", "Ledger", "ledger")(tm)
	shortenTimeouts(tm)
	if tm.problems != nil {
		t.Fatal(tm.problems)
	}
	_, function := tm.Resource("AWS::Lambda::Function", "/Ledger/")
	variables := object(object(object(function["Properties"])["Environment"])["Variables"])
	want := map[string]any{
		"INBOX_CONSUMER": "S/Outbox/Ledger", "CONSUMER_QUEUE_URL": map[string]any{"Ref": "OutboxLedgerQueue1"},
		"INBOX_TABLE": map[string]any{"Ref": "Inbox"}, "LEDGER_TABLE": map[string]any{"Ref": "Orders"}, "LEDGER_ENTITY": "ledger",
	}
	if !reflect.DeepEqual(variables, want) {
		t.Errorf("its environment is %v, want %v", variables, want)
	}
	if got := object(object(function["Metadata"])["outboxkit:golambda"])["source"]; got != "../functions/ledger" {
		t.Errorf("its function is %v", got)
	}
	statements := object(tm.Properties("AWS::IAM::Policy", "/Ledger/")["PolicyDocument"])["Statement"].([]any)
	if len(statements) != 1 || object(statements[0])["Action"] != "dynamodb:UpdateItem" {
		t.Errorf("its role has %v, want the ledger's update", statements)
	}
	if got := tm.outputs["LedgerQueueUrl"]; !reflect.DeepEqual(got, map[string]any{"Value": map[string]any{"Ref": "OutboxLedgerQueue1"}}) {
		t.Errorf("its output is %v", got)
	}
	parameter := object(object(tm.resources["OutboxLedgerDescription1"])["Properties"])
	wantParameter := map[string]any{
		"Name":  map[string]any{"Fn::Join": []any{"", []any{"/outboxkit/", map[string]any{"Ref": "AWS::StackName"}, "/Outbox/consumer/Ledger"}}},
		"Value": map[string]any{"Fn::Join": []any{"", []any{`{"id":"Ledger","queue":"`, map[string]any{"Ref": "OutboxLedgerQueue1"}, `","rule":"r"}`}}},
	}
	if !reflect.DeepEqual(parameter, wantParameter) {
		t.Errorf("its description is %v, want %v: the auditor would not know it", parameter, wantParameter)
	}
	if raw, _ := json.Marshal(tm.resources["OutboxMailFunction1"]); strings.Contains(string(raw), "edger") {
		t.Errorf("the original changed: %s", raw)
	}
}

// TestCloneIsAuditedAsItsConsumerIs keeps the auditor's role as narrow for a clone as it is for a consumer.
func TestCloneIsAuditedAsItsConsumerIs(t *testing.T) {
	tm := templateOf(t, consumerTemplate)
	tm.root, tm.assembly = "repo", "repo/internal/chaos/cdk.out"
	clone("Mail", "Journal", "journal")(tm)
	clone("Journal", "Latecomer", "journal")(tm)
	if tm.problems != nil {
		t.Fatal(tm.problems)
	}
	statements := object(tm.Properties("AWS::IAM::Policy", "/Auditor/")["PolicyDocument"])["Statement"]
	queue := func(name string) any { return map[string]any{"Fn::GetAtt": []any{"Outbox" + name + "Queue1", "Arn"}} }
	want := []any{
		map[string]any{"Action": "dynamodb:BatchGetItem", "Resource": map[string]any{"Ref": "Inbox"}, "Condition": map[string]any{"ForAllValues:StringLike": map[string]any{
			"dynamodb:LeadingKeys": []any{"event#S/Outbox/Mail#*", "event#S/Outbox/Post#*", "event#S/Outbox/Journal#*", "event#S/Outbox/Latecomer#*"},
		}}},
		map[string]any{"Action": "sqs:GetQueueAttributes", "Resource": []any{queue("Mail"), queue("Journal"), queue("Latecomer")}},
	}
	if !reflect.DeepEqual(statements, want) {
		t.Errorf("the auditor's role has\n%v\nwant\n%v", statements, want)
	}
	depends := object(tm.resources["OutboxAuditMapping1"])["DependsOn"]
	if want := []any{"OutboxAuditorPolicy1", "OutboxMailDescription1", "OutboxJournalDescription1", "OutboxLatecomerDescription1"}; !reflect.DeepEqual(depends, want) {
		t.Errorf("the auditor's mapping depends on %v, want %v", depends, want)
	}
}

func TestAChangeThatDoesNotFitIsReported(t *testing.T) {
	for name, change := range map[string]Change{
		"clone":       clone("Nobody", "Ledger", "ledger"),
		"auditAtOnce": auditAtOnce,
	} {
		tm := templateOf(t, consumerTemplate)
		change(tm)
		if tm.problems == nil {
			t.Errorf("%s found nothing to change and said nothing", name)
		}
	}
}
