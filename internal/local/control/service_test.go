package control_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"go.etcd.io/bbolt"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/control"
	"github.com/outboxkit/transactional-outbox/internal/local/eventsource"
	"github.com/outboxkit/transactional-outbox/internal/local/metrics"
	"github.com/outboxkit/transactional-outbox/internal/local/pipes"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// An endpoint is a service that listens, with what it has said.
type endpoint struct {
	*control.Service
	cloud   *cloud.Cloud
	config  aws.Config
	host    host
	metrics *metrics.Store
	parts   []interface {
		Provisions() map[string]template.Provision
	}

	mu      sync.Mutex
	notices []string
}

func start(t *testing.T) *endpoint {
	t.Helper()
	return startWith(t, func(*cloud.Cloud, *control.Config) {})
}

// startWith starts a service with a changed configuration.
func startWith(t *testing.T, change func(*cloud.Cloud, *control.Config)) *endpoint {
	t.Helper()
	e := &endpoint{cloud: cloud.New("eu-west-1"), host: host{make(chan string, 10)}, metrics: metrics.New()}
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for _, s := range cloud.Services {
		e.cloud.SetEndpoint(s, "http://127.0.0.1:1") // nothing is asked of them
	}
	pipe := pipes.New(pipes.Config{Cloud: e.cloud, DB: db})
	mapping := eventsource.New(eventsource.Config{Cloud: e.cloud, DB: db})
	config := control.Config{
		Cloud: e.cloud, Invoke: e.metrics.Invocations(e.host.Invoke), Metrics: e.metrics, Mappings: mapping, Pipes: pipe,
		InvokeAsync: func(arn string, payload []byte) error {
			_, err := e.host.Invoke(context.Background(), arn, payload)
			return err
		},
		Notice: func(text string) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.notices = append(e.notices, text)
		},
	}
	change(e.cloud, &config)
	e.Service, err = control.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	e.parts = append(e.parts, e.Service, pipe, mapping, e.host)
	e.config = aws.Config{
		Region: "eu-west-1", BaseEndpoint: aws.String(e.cloud.Endpoint(cloud.Others)),
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	}
	return e
}

func (e *endpoint) said() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.notices)
}

// wantRefused checks that the error names the service and the operation, and came in one attempt.
func wantRefused(t *testing.T, err error, service, operation string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("got %v, want an error of the API", err)
	}
	if api.ErrorCode() != "UnsupportedOperation" || !strings.Contains(api.ErrorMessage(), strconv.Quote(service)) || !strings.Contains(api.ErrorMessage(), strconv.Quote(operation)) {
		t.Errorf("got %s: %s, want a refusal that names %q of %q", api.ErrorCode(), api.ErrorMessage(), operation, service)
	}
}

// Each protocol has its own form of an error, which the SDK's clients must understand.
func TestAnythingElseIsRefusedByName(t *testing.T) {
	e := start(t)
	attempts := 0
	e.config.HTTPClient = counting{&attempts}
	for name, c := range map[string]struct {
		service, operation string
		call               func(context.Context) error
	}{
		"Query": {"cloudformation", "DeleteStack", func(ctx context.Context) error {
			_, err := cloudformation.NewFromConfig(e.config).DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: aws.String("x")})
			return err
		}},
		"JSON": {"ssm", "PutParameter", func(ctx context.Context) error {
			_, err := ssm.NewFromConfig(e.config).PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String("x"), Value: aws.String("y")})
			return err
		}},
		"REST": {"lambda", "DELETE /2015-03-31/functions/x", func(ctx context.Context) error {
			_, err := lambda.NewFromConfig(e.config).DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: aws.String("x")})
			return err
		}},
		"CBOR": {"monitoring", "DeleteAlarms", func(ctx context.Context) error {
			_, err := cloudwatch.NewFromConfig(e.config).DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"x"}})
			return err
		}},
		"a service that is not here": {"iam", "GetRole", func(ctx context.Context) error {
			_, err := iam.NewFromConfig(e.config).GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("x")})
			return err
		}},
		"another operation of one that is": {"sts", "AssumeRole", func(ctx context.Context) error {
			_, err := sts.NewFromConfig(e.config).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::000000000000:role/x"), RoleSessionName: aws.String("y")})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			attempts = 0
			wantRefused(t, c.call(t.Context()), c.service, c.operation)
			if attempts != 1 {
				t.Errorf("the client asked %d times", attempts)
			}
			if err := c.call(t.Context()); err == nil {
				t.Error("the second call was answered")
			}
			said := 0
			for _, line := range e.said() {
				if strings.Contains(line, c.service+" "+c.operation+".") {
					said++
				}
			}
			if said != 1 {
				t.Errorf("the console names it %d times: %q", said, e.said())
			}
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_ = e.Run(ended)
	if lines := e.said(); !strings.Contains(lines[len(lines)-1], "iam GetRole (2×)") {
		t.Errorf("the end says %q", lines[len(lines)-1])
	}
}

// A counting sends requests and counts them.
type counting struct{ n *int }

func (c counting) Do(r *http.Request) (*http.Response, error) {
	*c.n++
	return http.DefaultClient.Do(r)
}

// The SDKs of S3 and SNS are not among the module's, so their requests are made by hand.
func TestS3AndSNSAreRefusedInTheirForm(t *testing.T) {
	e := start(t)
	for name, c := range map[string]struct {
		method, path, service, body, contentType string
		want                                     []string
	}{
		"S3 with the operation in the query": {
			http.MethodPut, "/bucket/key?x-id=PutObject", "s3", "secret", "",
			[]string{"<Error><Code>UnsupportedOperation</Code>", `&#34;PutObject&#34;`, `&#34;s3&#34;`},
		},
		"S3": {http.MethodGet, "/bucket/key", "s3", "", "", []string{"<Error><Code>", `&#34;GET /bucket/key&#34;`}},
		"SNS": {
			http.MethodPost, "/", "sns", "Action=Publish&Version=2010-03-31&Message=secret", "application/x-www-form-urlencoded",
			[]string{"<ErrorResponse><Error><Type>Receiver</Type><Code>UnsupportedOperation</Code>", `&#34;Publish&#34;`, `&#34;sns&#34;`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := e.request(t, c.method, c.path, c.service, c.body)
			r.Header.Set("Content-Type", c.contentType)
			status, body := send(t, r)
			if status != http.StatusNotImplemented {
				t.Errorf("status %d", status)
			}
			for _, want := range c.want {
				if !strings.Contains(body, want) {
					t.Errorf("the answer lacks %s: %s", want, body)
				}
			}
		})
	}
}

func (e *endpoint) request(t *testing.T, method, path, service, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, e.cloud.Endpoint(cloud.Others)+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if service != "" {
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-1/"+service+"/aws4_request, SignedHeaders=host, Signature=00")
	}
	return r
}

func send(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// A page in a browser can send a form, which is what the Query protocol is, but no Authorization header.
func TestAPageGetsNoAnswer(t *testing.T) {
	e := start(t)
	form := url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}.Encode()
	presigned := "/?X-Amz-Credential=" + url.QueryEscape("local/20260101/eu-west-1/sts/aws4_request")
	for name, c := range map[string]struct {
		path, service string
		change        func(*http.Request)
		want          int
	}{
		"an SDK":               {"/", "sts", func(*http.Request) {}, http.StatusOK},
		"a form":               {"/", "", func(*http.Request) {}, http.StatusNotImplemented},
		"a presigned form":     {presigned, "", func(*http.Request) {}, http.StatusForbidden},
		"DNS rebinding":        {"/", "sts", func(r *http.Request) { r.Host = "evil.example" }, http.StatusForbidden},
		"a foreign origin":     {"/", "sts", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, http.StatusForbidden},
		"a cross-site request": {"/", "sts", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			r := e.request(t, http.MethodPost, c.path, c.service, form)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			c.change(r)
			status, body := send(t, r)
			if status != c.want || strings.Contains(body, "<Account>") != (c.want == http.StatusOK) {
				t.Errorf("got %d %s", status, body)
			}
		})
	}
}

func TestCallerIdentity(t *testing.T) {
	e := start(t)
	out, err := sts.NewFromConfig(e.config).GetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if *out.Account != cloud.Account || !strings.HasPrefix(*out.Arn, "arn:aws:iam::") {
		t.Errorf("got %s %s", *out.Account, *out.Arn)
	}
}

// A client that knows no other endpoint reaches the services that have their own.
func TestOtherEndpointsAreReached(t *testing.T) {
	e := start(t)
	queues := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, `{"QueueUrls":["`+r.Header.Get("X-Amz-Target")+`"]}`)
	}))
	defer queues.Close()
	e.cloud.SetEndpoint(cloud.SQS, queues.URL)
	out, err := sqs.NewFromConfig(e.config).ListQueues(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(out.QueueUrls, []string{"AmazonSQS.ListQueues"}) {
		t.Errorf("got %q", out.QueueUrls)
	}
}

func TestPortTaken(t *testing.T) {
	e := start(t)
	_, text, _ := net.SplitHostPort(strings.TrimPrefix(e.cloud.Endpoint(cloud.Others), "http://"))
	port, _ := strconv.Atoi(text)
	_, err := control.New(control.Config{Cloud: cloud.New("eu-west-1"), Port: port})
	if !errors.Is(err, control.ErrPortTaken) || !strings.Contains(err.Error(), "--port") {
		t.Errorf("got %v", err)
	}
}

// Provisions returns the resource types of all parts that the endpoint answers for.
func (e *endpoint) Provisions() map[string]template.Provision {
	all := map[string]template.Provision{}
	for _, part := range e.parts {
		maps.Copy(all, part.Provisions())
	}
	return all
}

func (e *endpoint) provision(t *testing.T, kind, id string, properties map[string]any) (template.Attributes, error) {
	t.Helper()
	return e.Provisions()[kind](t.Context(), template.Resource{LogicalID: id, PhysicalName: "S-" + id, Type: kind, Properties: properties})
}
