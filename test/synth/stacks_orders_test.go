package synth

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"

	"github.com/outboxkit/transactional-outbox/stacks"
)

// orders returns the template of one environment, changed by edit.
func orders(t *testing.T, env stacks.Environment, edit ...func(*stacks.Environment)) template {
	t.Helper()
	for _, e := range edit {
		e(&env)
	}
	var stack awscdk.Stack
	app := newApp(t, noBundling)
	guard(t, func() { stack = stacks.NewOrdersStack(app, env) })
	return synthesize(t, stack)
}

func TestStackOutputs(t *testing.T) {
	tpl := orders(t, stacks.Dev())
	want := []string{
		"ApiUrl", "EventBusArn", "EventBusName", "InboxTableName", "NotificationsTableName",
		"OrderUpdatedPublisherDeadLetterQueueUrl", "OrderUpdatedPublisherQueueUrl", "OrdersTableName", "OutboxTableName",
		"PipeDeadLetterQueueUrl", "PublisherOneDeadLetterQueueUrl", "PublisherOneQueueUrl", "PublisherTwoDeadLetterQueueUrl", "PublisherTwoQueueUrl",
		"RuleDeadLetterQueueUrl",
	}
	if got := slices.Sorted(maps.Keys(tpl.Outputs)); !slices.Equal(got, want) {
		t.Errorf("outputs are %v, want %v", got, want)
	}
	queues := map[string]bool{}
	for id, output := range tpl.Outputs {
		if strings.HasSuffix(id, "QueueUrl") {
			queues[canonical(t, output.(map[string]any)["Value"])] = true
		}
	}
	// The queues of the heartbeat and of the audit are no consumer's: the command finds them by the outbox's description.
	const own = 3
	if all := tpl.ofType("AWS::SQS::Queue"); len(queues) != len(all)-own {
		t.Errorf("the outputs name %d queues, the stack has %d, %d of them the outbox's own", len(queues), len(all), own)
	}
}

// TestTwoCopiesInOneAccount: nothing has a name of its own, or it carries the stack's. So a second copy of the stack,
// in the same account and region, does not meet the first.
func TestTwoCopiesInOneAccount(t *testing.T) {
	names := map[string]string{
		"AWS::CloudWatch::Alarm":     "AlarmName",
		"AWS::DynamoDB::GlobalTable": "TableName",
		"AWS::DynamoDB::Table":       "TableName",
		"AWS::Events::Archive":       "ArchiveName",
		"AWS::Events::EventBus":      "Name",
		"AWS::Events::Rule":          "Name",
		"AWS::IAM::Role":             "RoleName",
		"AWS::Lambda::Function":      "FunctionName",
		"AWS::Logs::LogGroup":        "LogGroupName",
		"AWS::Pipes::Pipe":           "Name",
		"AWS::SNS::Topic":            "TopicName",
		"AWS::SQS::Queue":            "QueueName",
	}
	tpl := orders(t, stacks.Dev(), func(e *stacks.Environment) { e.Name, e.AlarmEmail = "copy", "ops@example.com" })
	for typ, property := range names {
		for id, r := range tpl.ofType(typ) {
			name, given := r.Properties[property]
			text := jsonOf(t, name)
			if given && !strings.Contains(text, "AWS::StackName") && !strings.Contains(text, "Orderscopy") {
				t.Errorf("%s has the fixed %s %s", id, property, text)
			}
		}
	}
}

func TestEnvironments(t *testing.T) {
	for name, tc := range map[string]struct {
		env                 stacks.Environment
		deletionPolicy      string
		protected, recovery bool
		logDays             float64
		archiveDays         float64
		rate, burst         float64
		concurrency         float64
		expiry              string
	}{
		"dev":     {stacks.Dev(), "Delete", false, false, 7, 7, 50, 100, 2, "604800"},
		"staging": {stacks.Staging(), "Delete", false, true, 30, 14, 200, 400, 5, "2592000"},
		"prod":    {stacks.Prod(), "Retain", true, true, 90, 90, 1000, 2000, 50, "2592000"},
	} {
		t.Run(name, func(t *testing.T) {
			tpl := orders(t, tc.env)
			for _, path := range []string{"Orders", "Notifications", "Outbox/Table", "Outbox/InboxTable"} {
				_, table := tpl.at(t, path)
				if table.DeletionPolicy != tc.deletionPolicy {
					t.Errorf("%s: DeletionPolicy is %s, want %s", path, table.DeletionPolicy, tc.deletionPolicy)
				}
				same(t, path+" DeletionProtectionEnabled", table.Properties["DeletionProtectionEnabled"], jsonOf(t, tc.protected))
				same(t, path+" PointInTimeRecovery", table.Properties["PointInTimeRecoverySpecification"], jsonOf(t, map[string]bool{"PointInTimeRecoveryEnabled": tc.recovery}))
			}
			for id, group := range tpl.ofType("AWS::Logs::LogGroup") {
				if group.Properties["RetentionInDays"] != tc.logDays || group.DeletionPolicy != tc.deletionPolicy {
					t.Errorf("%s is kept for %v days and then %s, want %v and %s", id, group.Properties["RetentionInDays"], group.DeletionPolicy, tc.logDays, tc.deletionPolicy)
				}
			}
			_, archive := tpl.at(t, "Outbox/Archive")
			same(t, "archive days", archive.Properties["RetentionDays"], jsonOf(t, tc.archiveDays))
			for id, mapping := range tpl.ofType("AWS::Lambda::EventSourceMapping") {
				if mapping.path() == "Outbox/AuditMapping" { // a stream's shards decide
					continue
				}
				same(t, id, mapping.Properties["ScalingConfig"], jsonOf(t, map[string]float64{"MaximumConcurrency": tc.concurrency}))
			}
			_, stage := tpl.at(t, "Api/DeploymentStage."+name)
			same(t, "method settings", stage.Properties["MethodSettings"], jsonOf(t, []any{map[string]any{
				"HttpMethod": "*", "ResourcePath": "/*", "DataTraceEnabled": false, "MetricsEnabled": true, "LoggingLevel": "OFF",
				"ThrottlingRateLimit": tc.rate, "ThrottlingBurstLimit": tc.burst,
			}}))
			_, post := tpl.at(t, "Api/Default/orders/POST")
			if request := jsonOf(t, post.Properties["Integration"]); !strings.Contains(request, "$now / 1000 + "+tc.expiry+")") {
				t.Errorf("the event does not expire after %s s", tc.expiry)
			}
			for id, method := range tpl.ofType("AWS::ApiGateway::Method") {
				if method.Properties["AuthorizationType"] != "AWS_IAM" {
					t.Errorf("%s may be called by %v, want AWS_IAM", id, method.Properties["AuthorizationType"])
				}
			}
		})
	}
}

func TestEnvironmentWithoutArchive(t *testing.T) {
	tpl := orders(t, stacks.Dev(), func(e *stacks.Environment) { e.ArchiveDays = 0 })
	if archives := tpl.ofType("AWS::Events::Archive"); len(archives) != 0 {
		t.Errorf("there are archives: %v", archives)
	}
}

func TestEnvironmentWithoutAuthorization(t *testing.T) {
	tpl := orders(t, stacks.Dev(), func(e *stacks.Environment) { e.Authorization = stacks.None })
	methods := tpl.ofType("AWS::ApiGateway::Method")
	if len(methods) == 0 {
		t.Fatal("there are no methods")
	}
	for id, method := range methods {
		if method.Properties["AuthorizationType"] != "NONE" {
			t.Errorf("%s may be called by %v, want NONE", id, method.Properties["AuthorizationType"])
		}
	}
}

func TestLogRetentionReachesEveryLogGroup(t *testing.T) {
	tpl := orders(t, stacks.Dev(), func(e *stacks.Environment) { e.LogRetention = awslogs.RetentionDays_FIVE_DAYS })
	groups := tpl.ofType("AWS::Logs::LogGroup")
	if len(groups) != 8 { // the API's, the pipe's, and one for each of six functions
		t.Errorf("there are %d log groups, want 8", len(groups))
	}
	for id, group := range groups {
		if group.Properties["RetentionInDays"] != 5.0 {
			t.Errorf("%s is kept for %v days", id, group.Properties["RetentionInDays"])
		}
	}
}

func TestAlarmsTellSomebody(t *testing.T) {
	for name, tc := range map[string]struct {
		pin     stacks.Pin
		actions func(tpl template) string
	}{
		"nobody": {stacks.Pin{}, func(template) string { return `null` }},
		"an e-mail address": {stacks.Pin{AlarmEmail: "ops@example.com"}, func(tpl template) string {
			topic, _ := tpl.at(t, "AlarmTopic")
			// Without the statement for CloudWatch the alarms would notify nobody: EnforceSSL replaces the default policy.
			if policy := jsonOf(t, tpl.ofType("AWS::SNS::TopicPolicy")); !strings.Contains(policy, "cloudwatch.amazonaws.com") {
				t.Errorf("CloudWatch may not publish to the topic: %s", policy)
			}
			_, subscription := tpl.at(t, "AlarmEmail")
			same(t, "subscription", subscription.Properties, `{"Protocol": "email", "Endpoint": "ops@example.com", "TopicArn": {"Ref": "`+topic+`"}}`)
			return `[{"Ref": "` + topic + `"}]`
		}},
		"a topic": {stacks.Pin{AlarmTopicARN: "arn:aws:sns:eu-central-1:111122223333:ops"}, func(tpl template) string {
			if topics := tpl.ofType("AWS::SNS::Topic"); len(topics) != 0 {
				t.Errorf("there are topics: %v", topics)
			}
			return `["arn:aws:sns:eu-central-1:111122223333:ops"]`
		}},
	} {
		t.Run(name, func(t *testing.T) {
			tpl := orders(t, stacks.Dev(), func(e *stacks.Environment) { e.Pin = tc.pin })
			alarms, want := tpl.ofType("AWS::CloudWatch::Alarm"), tc.actions(tpl)
			if len(alarms) == 0 {
				t.Fatal("there are no alarms")
			}
			for id, alarm := range alarms {
				same(t, id, alarm.Properties["AlarmActions"], want)
			}
		})
	}
}

// TestSilentAlarms: a production environment whose alarms notify nobody is pointed out at every synth.
func TestSilentAlarms(t *testing.T) {
	told := func(env stacks.Environment) []string {
		var stack awscdk.Stack
		app := newApp(t, noBundling)
		guard(t, func() { stack = stacks.NewOrdersStack(app, env) })
		var found []string
		for _, warning := range warnings(t, stack) {
			if strings.Contains(warning, "notify nobody") {
				found = append(found, warning)
			}
		}
		return found
	}
	if found := told(stacks.Prod()); len(found) != 1 || !strings.Contains(found[0], "alarmEmail") || !strings.Contains(found[0], "alarmTopicArn") {
		t.Errorf("prod warns %q, want once, with what to set", found)
	}
	withEmail, withTopic := stacks.Prod(), stacks.Prod()
	withEmail.AlarmEmail = "ops@example.com"
	withTopic.AlarmTopicARN = "arn:aws:sns:eu-central-1:111122223333:ops"
	for _, env := range []stacks.Environment{withEmail, withTopic, stacks.Staging(), stacks.Dev()} {
		if found := told(env); len(found) != 0 {
			t.Errorf("%s warns %q, want nothing", env.Name, found)
		}
	}
}

// TestDevLeavesNothingBehind, except for the account's log role: every resource goes with the stack, and no service
// makes a log group of its own beside it.
func TestDevLeavesNothingBehind(t *testing.T) {
	tpl := orders(t, stacks.Dev())
	for id, r := range tpl.Resources {
		accountRole := strings.HasPrefix(r.path(), "Api/Account") || strings.HasPrefix(r.path(), "Api/CloudWatchRole")
		if kept := r.DeletionPolicy != "" && r.DeletionPolicy != "Delete"; kept != accountRole {
			t.Errorf("%s (%s): DeletionPolicy is %q", id, r.path(), r.DeletionPolicy)
		}
		switch r.Type {
		case "AWS::ApiGateway::Stage":
			for _, setting := range r.Properties["MethodSettings"].([]any) {
				if level := setting.(map[string]any)["LoggingLevel"]; level != "OFF" {
					t.Errorf("%s logs executions (%v) to a group that API Gateway makes", id, level)
				}
			}
		case "AWS::Lambda::Function":
			if config, _ := r.Properties["LoggingConfig"].(map[string]any); config["LogGroup"] == nil {
				t.Errorf("%s logs to a group that Lambda makes", id)
			}
		}
	}
}

func TestDeployTo(t *testing.T) {
	for name, tc := range map[string]struct {
		pin             stacks.Pin
		account, region string // of the CLI
		want            string
	}{
		"no credentials":         {stacks.Pin{}, "", "us-east-1", "aws://unknown-account/unknown-region"},
		"the CLI's credentials":  {stacks.Pin{}, "111122223333", "eu-west-1", "aws://111122223333/eu-west-1"},
		"a pin":                  {stacks.Pin{Account: "444455556666", Region: "eu-central-1"}, "111122223333", "eu-west-1", "aws://444455556666/eu-central-1"},
		"a pin of the region":    {stacks.Pin{Region: "eu-central-1"}, "111122223333", "eu-west-1", "aws://111122223333/eu-central-1"},
		"a pin, no credentials":  {stacks.Pin{Account: "444455556666", Region: "eu-central-1"}, "", "", "aws://444455556666/eu-central-1"},
		"a region, nobody known": {stacks.Pin{Region: "eu-central-1"}, "", "us-east-1", "aws://unknown-account/eu-central-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CDK_DEFAULT_ACCOUNT", tc.account)
			t.Setenv("CDK_DEFAULT_REGION", tc.region)
			env := stacks.Dev()
			env.Pin = tc.pin
			app := newApp(t, noBundling)
			guard(t, func() {
				stack := stacks.NewOrdersStack(app, env)
				if got := *app.Synth(nil).GetStackArtifact(stack.ArtifactId()).Environment().Name; got != tc.want {
					t.Errorf("it is deployed to %s, want %s", got, tc.want)
				}
			})
		})
	}
}

func TestTerminationProtection(t *testing.T) {
	for name, want := range map[string]bool{"dev": false, "staging": false, "prod": true} {
		chosen, err := stacks.Choose(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		app := newApp(t, noBundling)
		guard(t, func() {
			if got := *stacks.NewOrdersStack(app, chosen[0]).TerminationProtection(); got != want {
				t.Errorf("%s: termination protection is %v, want %v", name, got, want)
			}
		})
	}
}

func jsonOf(t *testing.T, value any) string {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
