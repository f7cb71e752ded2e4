package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/internal/smoke"
)

// smokePatience limits a run of all checks, which takes half a minute on an idle machine.
const smokePatience = 3 * time.Minute

// impatient gives a pipe's dead-letter message after one retry, which on AWS takes minutes, and an alarm a topic.
func impatient(p tmpl) {
	p.streamParameters()["MaximumRetryAttempts"] = 1
	p.properties("AWS::CloudWatch::Alarm", "Outbox/PipeFailedAlarm")["AlarmActions"] = []any{"arn:aws:sns:us-east-1:000000000000:alarms"}
}

func (p tmpl) streamParameters() map[string]any {
	return p.properties("AWS::Pipes::Pipe", "Outbox")["SourceParameters"].(map[string]any)["DynamoDBStreamParameters"].(map[string]any)
}

// smokeCommand returns the command with all its checks.
func smokeCommand(t *testing.T, run *localrun.Run, args ...string) (cmd *exec.Cmd, out, stderr *bytes.Buffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), smokePatience)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, binary, append([]string{"smoke", "--stack", stack, "--json"}, args...)...)
	cmd.Env = append(os.Environ(), run.Cloud().Environ()...)
	out, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, stderr
	return cmd, out, stderr
}

// smoked runs the checks and returns the report and the exit code.
func smoked(t *testing.T, run *localrun.Run, args ...string) (smoke.Report, int) {
	t.Helper()
	cmd, out, stderr := smokeCommand(t, run, append(args, "--yes")...)
	_ = cmd.Run() // the exit code says it
	var report smoke.Report
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatalf("%v:\n%s%s", err, out, stderr)
	}
	for _, c := range report.Checks {
		t.Logf("%2d %-8s %4.1f s  %.300s", c.Number, c.Outcome, c.Seconds, c.Observed)
	}
	return report, cmd.ProcessState.ExitCode()
}

// TestSmoke: every check passes against the local run, or says in what the local run differs, and nothing is left behind.
func TestSmoke(t *testing.T) {
	t.Parallel()
	run := start(t, patched(t, impatient))
	report, code := smoked(t, run)
	if code != 0 || len(report.Left) > 0 || len(report.Checks) != 15 {
		t.Errorf("exit code %d after %d checks, left is %q", code, len(report.Checks), report.Left)
	}
	differ := map[int]string{ // with the reason
		5: `"Subscribe" of the service "sns"`, 8: "SimulatePrincipalPolicy", 10: "CloudWatch has no datapoint", 14: "does not change MaximumRecordAge",
	}
	for _, c := range report.Checks {
		want := smoke.Passed
		if differ[c.Number] != "" {
			want = smoke.Differs
		}
		if c.Outcome != want || !strings.Contains(c.Observed, differ[c.Number]) {
			t.Errorf("check %d: %s, want %s: %s", c.Number, c.Outcome, want, c.Observed)
		}
	}
	seeNothingLeft(t, run)
}

// TestSmokeNotices: what is broken in a stack, the check for it notices, and it removes what it made all the same.
func TestSmokeNotices(t *testing.T) {
	t.Parallel()
	run := start(t, patched(t, func(p tmpl) {
		p.streamParameters()["MaximumRetryAttempts"] = 1
		delete(p.streamParameters(), "DeadLetterConfig")                                                                                // 6
		p.replace("AWS::Pipes::Pipe", "Outbox", `"causationId\": \u003c$.dynamodb.NewImage.causationId\u003e`, `"causationId\": \"x\"`) // 1
		p.replace("AWS::ApiGateway::Method", "orders/POST", `responseOverride.status = 422`, `responseOverride.status = 409`)           // 3
		p.replace("AWS::ApiGateway::Method", "orders/POST", `$now / 1000`, `$now`)                                                      // 4
		p.replace("AWS::ApiGateway::Method", "orders/POST", `== 'traceparent'`, `== 'x-traceparent'`)                                   // 15
		p.replace("AWS::ApiGateway::GatewayResponse", "BadRequestBody", `\"message\":\"the`, `\"message\":the`)                         // 12
		p.replaceFunction("UpdateOrder", "slow")                                                                                        // 9
		p.replaceFunction("PublisherTwo", "careless")                                                                                   // 13
		// The consumer's role may not be careless: it writes in transactions only.
		p.allow("PublisherTwo", p.arn("AWS::DynamoDB::Table", "Notifications", "Arn"), "dynamodb:PutItem")
	}))
	t.Run("an interruption", func(t *testing.T) {
		interruptSmoke(t, run, "--only", "6,14")
		seeNothingLeft(t, run)
	})
	t.Run("no dead-letter message", func(t *testing.T) {
		if report, code := smoked(t, run, "--only", "6", "--wait", "4s"); code != 1 || len(report.Numbers(smoke.Failed)) != 1 {
			t.Errorf("exit code %d, want 1 for check 6", code)
		}
	})
	t.Run("the others", func(t *testing.T) {
		broken := []int{1, 3, 4, 9, 12, 13, 15}
		report, code := smoked(t, run, "--only", "1,2,3,4,9,12,13,15")
		if failed := report.Numbers(smoke.Failed); code != 1 || !slices.Equal(failed, broken) {
			t.Errorf("exit code %d, and these checks failed: %v, want 1 and %v", code, failed, broken)
		}
		seeNothingLeft(t, run)
	})
}

// interruptSmoke presses Ctrl-C while the bus refuses the check's events, whose dead-letter message does not come.
func interruptSmoke(t *testing.T, run *localrun.Run, args ...string) {
	t.Helper()
	cmd, out, stderr := smokeCommand(t, run, append(args, "--yes")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bus refuses the check's events", func(ctx context.Context) bool {
		bus, err := run.Cloud().EventBridge().DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: aws.String(run.Summary.Outputs["EventBusName"])})
		return err == nil && aws.ToString(bus.Policy) != ""
	})
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the exit code says it
	var report smoke.Report
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || !report.Interrupted || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("exit code %d, interrupted is %t, %v:\n%s%s", cmd.ProcessState.ExitCode(), report.Interrupted, err, out, stderr)
	}
}

// replace replaces a part of a resource's properties, in the form of JSON.
func (p tmpl) replace(kind, path, old, now string) {
	p.t.Helper()
	res := p.find(kind, path)
	raw, err := json.Marshal(res["Properties"])
	if err != nil {
		p.t.Fatal(err)
	}
	if !bytes.Contains(raw, []byte(old)) {
		p.t.Fatalf("the properties of %s do not contain %s: %s", path, old, raw)
	}
	var changed map[string]any
	if err := json.Unmarshal(bytes.ReplaceAll(raw, []byte(old), []byte(now)), &changed); err != nil {
		p.t.Fatal(err)
	}
	res["Properties"] = changed
}

// seeNothingLeft checks that no check has left a queue, a rule, a policy or an item that does not expire.
func seeNothingLeft(t *testing.T, run *localrun.Run) {
	t.Helper()
	ctx, bus := within(t), aws.String(run.Summary.Outputs["EventBusName"])
	queues, err := run.Cloud().SQS().ListQueues(ctx, &sqs.ListQueuesInput{QueueNamePrefix: aws.String("outbox-smoke")})
	if err != nil || len(queues.QueueUrls) > 0 {
		t.Errorf("these queues are left: %v, %v", queues, err)
	}
	rules, err := run.Cloud().EventBridge().ListRules(ctx, &eventbridge.ListRulesInput{EventBusName: bus, NamePrefix: aws.String("outbox-smoke")})
	if err != nil || len(rules.Rules) > 0 {
		t.Errorf("these rules are left: %v, %v", rules, err)
	}
	described, err := run.Cloud().EventBridge().DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: bus})
	if err != nil || aws.ToString(described.Policy) != "" {
		t.Errorf("the bus has the policy %q, %v", aws.ToString(described.Policy), err)
	}
	for output, mark := range map[string]string{"OrdersTableName": "", "NotificationsTableName": "", "OutboxTableName": "OutboxSmoke", "InboxTableName": "outbox-smoke"} {
		seeNoItems(t, run, output, mark)
	}
	for _, kind := range []string{"position#", "waiting#", "start#"} { // they do not expire
		seeNoItems(t, run, "InboxTableName", kind)
	}
	if status := operate(t, run, "status"); !strings.Contains(status.out, "RUNNING") {
		t.Errorf("the pipe does not run:\n%s", status.out)
	}
}

// seeNoItems checks that a table has no item whose JSON contains the mark.
func seeNoItems(t *testing.T, run *localrun.Run, output, mark string) {
	t.Helper()
	all, err := run.Cloud().DynamoDB().Scan(within(t), &dynamodb.ScanInput{TableName: aws.String(run.Summary.Outputs[output]), ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range all.Items {
		if raw, _ := json.Marshal(it); strings.Contains(string(raw), mark) {
			t.Errorf("%s has %.300s", output, raw)
		}
	}
}
