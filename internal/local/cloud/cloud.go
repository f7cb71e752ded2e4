// Package cloud holds what all local services share about the AWS account they stand in for: the account id,
// the region, the endpoints of the services, and SDK clients that talk to them.
package cloud

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Account is the account id of every local resource.
const Account = "000000000000"

// DeveloperKey is the access key of whoever uses the local run from outside: the CLI, tests and the command. It may do
// everything, as any key does that [Keys] did not make. It is no secret: nothing behind it leaves loopback.
const DeveloperKey = "local"

// Keys makes the access keys by which the endpoints know the role of a caller.
type Keys interface {
	// Key returns the access key of a session of the role.
	Key(roleARN, session string) string
	// FunctionRole returns the ARN of the role of a function, or "" for one that is not known.
	FunctionRole(functionARN string) string
}

// A Cloud stands in for one account and region, as seen by one caller: the developer, or a role after [Cloud.Assume].
// Its endpoints are set while the local services start, some of them at the same time, before any resource is
// provisioned. Its methods may be called from many goroutines.
type Cloud struct {
	Region string

	key    string
	shared *shared
}

// shared is what all callers have in common.
type shared struct {
	mu        sync.RWMutex
	endpoints map[Service]string
	keys      Keys
}

// A Service names an AWS service as its endpoint variable does: see [Service.Variable].
type Service string

// The services with an endpoint of their own. DynamoDB Streams is served by DynamoDB's. Others stands for all that have
// none: its endpoint answers for some of them and refuses the rest, so that nothing is sent to AWS.
const (
	DynamoDB        Service = "DYNAMODB"
	DynamoDBStreams Service = "DYNAMODB_STREAMS"
	SQS             Service = "SQS"
	EventBridge     Service = "EVENTBRIDGE"
	Others          Service = "OTHERS"
)

// Variable returns the environment variable by which an SDK and the AWS CLI find the endpoint.
// Source: AWS SDKs and Tools reference guide, feature-ss-endpoints.
func (s Service) Variable() string {
	if s == Others {
		return "AWS_ENDPOINT_URL"
	}
	return "AWS_ENDPOINT_URL_" + string(s)
}

// New returns a Cloud without endpoints.
func New(region string) *Cloud {
	return &Cloud{Region: region, key: DeveloperKey, shared: &shared{endpoints: map[Service]string{}}}
}

// SetKeys makes the calls of roles carry their own keys. Without it they carry the developer's.
func (c *Cloud) SetKeys(k Keys) {
	c.shared.mu.Lock()
	defer c.shared.mu.Unlock()
	c.shared.keys = k
}

// Assume returns the cloud as a session of the role sees it, or the cloud itself where roles have no keys.
func (c *Cloud) Assume(roleARN, session string) *Cloud {
	keys := c.shared.roleKeys()
	if keys == nil || roleARN == "" {
		return c
	}
	return &Cloud{Region: c.Region, key: keys.Key(roleARN, session), shared: c.shared}
}

// AssumeFunction returns the cloud as the role of the function with that ARN sees it.
func (c *Cloud) AssumeFunction(functionARN string) *Cloud {
	keys := c.shared.roleKeys()
	if keys == nil {
		return c
	}
	functionARN, _ = CutQualifier(functionARN)
	return c.Assume(keys.FunctionRole(functionARN), functionARN[strings.LastIndex(functionARN, ":")+1:])
}

// AccessKey returns the access key of the caller.
func (c *Cloud) AccessKey() string { return c.key }

func (s *shared) roleKeys() Keys {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.keys
}

// SetEndpoint sets the URL at which a service listens, for example "http://127.0.0.1:4511".
func (c *Cloud) SetEndpoint(s Service, url string) {
	c.shared.mu.Lock()
	defer c.shared.mu.Unlock()
	c.shared.endpoints[s] = url
}

// Endpoint returns the URL at which a service listens, or "" before [Cloud.SetEndpoint].
func (c *Cloud) Endpoint(s Service) string {
	c.shared.mu.RLock()
	defer c.shared.mu.RUnlock()
	return c.shared.endpoints[s]
}

// Services lists all services, in the order in which an event meets them.
var Services = []Service{DynamoDB, DynamoDBStreams, SQS, EventBridge, Others}

// ARN returns "arn:aws:<service>:<region>:<account>:<resource>".
func (c *Cloud) ARN(service, resource string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, c.Region, Account, resource)
}

// latest is the qualifier of what a function's ARN without one names. Source: Lambda developer guide, configuration-versions.
const latest = "$LATEST"

// FunctionARN returns the ARN of the function, version or alias that a resource or a call names: by its name, its ARN or
// the end of it.
// Source: Lambda API reference, Invoke, FunctionName.
func (c *Cloud) FunctionARN(name string) string {
	name = strings.TrimSuffix(name, ":"+latest)
	if strings.HasPrefix(name, "arn:") {
		return name // which may be elsewhere
	}
	if _, after, partial := strings.Cut(name, "function:"); partial {
		name = after
	}
	return c.ARN("lambda", "function:"+name)
}

// CutQualifier returns the ARN of a function, and the version or alias that stood behind it, or "".
func CutQualifier(functionARN string) (arn, qualifier string) {
	parts := strings.SplitN(functionARN, ":", 8)
	if len(parts) < 8 {
		return functionARN, ""
	}
	return strings.Join(parts[:7], ":"), parts[7]
}

// ResourceOf returns the resource part of an ARN: what follows the account id.
func ResourceOf(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	return parts[len(parts)-1]
}

// Environ returns the environment variables, as KEY=value, with which an unchanged SDK reaches the local services and
// nothing else: it reads no configuration of the developer, and asks no metadata service for credentials.
// Source: AWS SDKs and Tools reference guide, settings-reference.
func (c *Cloud) Environ() []string {
	env := []string{
		"AWS_REGION=" + c.Region,
		"AWS_DEFAULT_REGION=" + c.Region,
		"AWS_ACCESS_KEY_ID=" + c.key,
		"AWS_SECRET_ACCESS_KEY=" + DeveloperKey,
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false",
		// An SDK refuses them together with an endpoint, and here they mean nothing.
		"AWS_USE_FIPS_ENDPOINT=false",
		"AWS_USE_DUALSTACK_ENDPOINT=false",
	}
	for _, s := range Services {
		if url := c.Endpoint(s); url != "" {
			env = append(env, s.Variable()+"="+url)
		}
	}
	return env
}

// DynamoDB returns a client of the local tables.
func (c *Cloud) DynamoDB() *dynamodb.Client {
	return dynamodb.NewFromConfig(c.config(), func(o *dynamodb.Options) { o.BaseEndpoint = aws.String(c.Endpoint(DynamoDB)) })
}

// Streams returns a client of the local tables' streams.
func (c *Cloud) Streams() *dynamodbstreams.Client {
	return dynamodbstreams.NewFromConfig(c.config(), func(o *dynamodbstreams.Options) { o.BaseEndpoint = aws.String(c.Endpoint(DynamoDB)) })
}

// SQS returns a client of the local queues.
func (c *Cloud) SQS() *sqs.Client {
	return sqs.NewFromConfig(c.config(), func(o *sqs.Options) { o.BaseEndpoint = aws.String(c.Endpoint(SQS)) })
}

// EventBridge returns a client of the local event buses.
func (c *Cloud) EventBridge() *eventbridge.Client {
	return eventbridge.NewFromConfig(c.config(), func(o *eventbridge.Options) { o.BaseEndpoint = aws.String(c.Endpoint(EventBridge)) })
}

// Lambda returns a client of the local functions, which the endpoint of all other services answers for.
func (c *Cloud) Lambda() *lambda.Client {
	return lambda.NewFromConfig(c.config(), func(o *lambda.Options) { o.BaseEndpoint = aws.String(c.Endpoint(Others)) })
}

// QueueURL returns the URL of the queue with that ARN.
func (c *Cloud) QueueURL(arn string) string {
	return c.Endpoint(SQS) + "/" + Account + "/" + ResourceOf(arn)
}

func (c *Cloud) config() aws.Config {
	return aws.Config{
		Region:      c.Region,
		Credentials: credentials.NewStaticCredentialsProvider(c.key, DeveloperKey, ""),
	}
}
