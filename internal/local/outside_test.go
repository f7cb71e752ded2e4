package local

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A recorder is a console that keeps what it is told.
type recorder struct {
	console.Console
	ready chan console.Summary

	mu      sync.Mutex
	notices []string
}

func (r *recorder) Notice(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notices = append(r.notices, text)
}

func (r *recorder) Ready(s console.Summary) { r.ready <- s }
func (r *recorder) Hop(hop.Hop)             {}

func (r *recorder) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.notices, "\n")
}

const callerStack = `{"Resources": {
  "Caller": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "caller", "Runtime": "provided.al2023", "Handler": "bootstrap", "Timeout": 60, "Code": {}},
    "Metadata": {"outboxkit:golambda": {"source": %q}}},
  "Parameter": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/caller", "Type": "String", "Value": {"Ref": "Caller"}}},
  "Called": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": "called", "Namespace": "Test", "MetricName": "Calls", "Dimensions": [{"Name": "Function", "Value": "caller"}],
    "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold", "TreatMissingData": "notBreaching"}},
  "Failed": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": "failed", "Namespace": "AWS/Lambda", "MetricName": "Errors", "Dimensions": [{"Name": "FunctionName", "Value": {"Ref": "Caller"}}],
    "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold"}}
}}`

// runCaller runs the stack with the function in testdata/caller until the test ends, and returns its endpoint.
func runCaller(t *testing.T, out *recorder) (aws.Config, func()) {
	t.Helper()
	app := filepath.Join(t.TempDir(), "cdk.out")
	source, err := filepath.Abs(filepath.Join("testdata", "caller"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(app, 0o755); err != nil {
		t.Fatal(err)
	}
	below, err := filepath.Rel(template.RealPath(app), source)
	if err != nil {
		t.Fatal(err)
	}
	writeApp(t, app, fmt.Sprintf(callerStack, filepath.ToSlash(below)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, Options{App: app}, out) }()
	end := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the run: %v", err)
		}
	})
	t.Cleanup(end)
	select {
	case s := <-out.ready:
		for _, e := range s.Endpoints {
			if e.Service == cloud.Others {
				return aws.Config{
					Region: "eu-west-1", BaseEndpoint: &e.URL, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
				}, end
			}
		}
		t.Fatalf("the summary has no endpoint of the other services: %v", s.Endpoints)
	case err := <-ended:
		ended <- err
		t.Fatalf("the run ended: %v", err)
	}
	return aws.Config{}, nil
}

// writeApp writes a cloud assembly with one stack into a folder.
func writeApp(t *testing.T, app, stack string) {
	t.Helper()
	for name, content := range map[string]string{
		"manifest.json":   `{"version": "36.0.0", "artifacts": {"S": {"type": "aws:cloudformation:stack", "environment": "aws://unknown-account/eu-west-1", "properties": {"templateFile": "S.template.json"}}}}`,
		"S.template.json": stack,
	} {
		if err := os.WriteFile(filepath.Join(app, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A function's calls to what is not run here are refused by name, in the answer and on the console, and nothing leaves
// this machine. What it does is seen at the same endpoint.
func TestNothingGoesOutside(t *testing.T) {
	out := &recorder{ready: make(chan console.Summary, 1)}
	// A configuration that an SDK finds must not lead it out: the function's home is the temporary folder.
	home := t.TempDir()
	t.Setenv("TMPDIR", home)
	if err := os.Mkdir(filepath.Join(home, ".aws"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".aws", "config"), []byte("[default]\nignore_configured_endpoint_urls = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	endpoint, end := runCaller(t, out)
	invoked, err := lambda.NewFromConfig(endpoint).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("caller"), Payload: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Results map[string]string
		Dialed  []string
	}
	if err := json.Unmarshal(invoked.Payload, &answer); err != nil || invoked.FunctionError != nil {
		t.Fatalf("%v: %s", err, invoked.Payload)
	}
	for _, call := range []string{"sts GetCallerIdentity", "ssm GetParameter"} {
		if got := answer.Results[call]; got != "ok" {
			t.Errorf("%s: %s", call, got)
		}
	}
	for _, call := range []string{"sts AssumeRole", "iam GetRole", "s3 PutObject", "sns CreateTopic"} {
		service, operation, _ := strings.Cut(call, " ")
		got := strings.ReplaceAll(answer.Results[call], "&#34;", `"`)
		if !strings.Contains(got, "UnsupportedOperation") || !strings.Contains(got, fmt.Sprintf("%q of the service %q", operation, service)) {
			t.Errorf("%s: %s", call, got)
		}
		if strings.Count(out.said(), "Refused: "+call+".") != 1 {
			t.Errorf("the console does not name %s once:\n%s", call, out.said())
		}
	}
	if len(answer.Dialed) == 0 {
		t.Error("no address was recorded")
	}
	for _, address := range answer.Dialed {
		host, _, err := net.SplitHostPort(address)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			t.Errorf("it dialed %s", address)
		}
	}
	seeTheCall(t, endpoint)
	end()
	if !strings.Contains(out.said(), "Refused in this run: iam GetRole (1×), s3 PutObject (1×), sns CreateTopic (1×), sts AssumeRole (1×)") {
		t.Errorf("the end of the run says:\n%s", out.said())
	}
}

// seeTheCall looks at the stack, and at the metric that the function has printed.
func seeTheCall(t *testing.T, endpoint aws.Config) {
	t.Helper()
	resources, err := cloudformation.NewFromConfig(endpoint).ListStackResources(t.Context(), &cloudformation.ListStackResourcesInput{StackName: aws.String("S")})
	if err != nil || len(resources.StackResourceSummaries) != 4 {
		t.Errorf("the resources: %+v, %v", resources, err)
	}
	// A line of a log may come just after the answer.
	for deadline := time.Now().Add(10 * time.Second); ; {
		alarms, err := cloudwatch.NewFromConfig(endpoint).DescribeAlarms(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		states := map[string]types.StateValue{}
		for _, a := range alarms.MetricAlarms {
			states[*a.AlarmName] = a.StateValue
		}
		if states["called"] == types.StateValueAlarm && states["failed"] == types.StateValueOk {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the alarms are %v", states)
		}
	}
}
