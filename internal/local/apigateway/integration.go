package apigateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// integrationProperties are the properties of a method's Integration.
type integrationProperties struct {
	Type                 string
	URI                  string           `json:"Uri"`
	HTTPMethod           template.Ignored `json:"IntegrationHttpMethod"`
	CacheKeyParameters   template.Ignored
	CacheNamespace       template.Ignored
	ConnectionType       template.Ignored
	Credentials          string
	PassthroughBehavior  string
	RequestParameters    map[string]string
	RequestTemplates     map[string]string
	IntegrationResponses []integrationResponseProperties
	TimeoutInMillis      template.Int
}

// defaultTimeout is how long a backend may take by default.
// Source: API Gateway developer guide, api-gateway-execution-service-limits-table, "Integration timeout".
const defaultTimeout = 29 * time.Second

// mockType is the Type of an integration without a backend.
const mockType = "MOCK"

// roleSession is the name of API Gateway's sessions of a role, as CloudTrail shows it.
const roleSession = "BackplaneAssumeRoleSession"

// newIntegration returns the integration of a method.
func (s *Service) newIntegration(ctx context.Context, p methodProperties) (integration, error) {
	if p.Integration == nil {
		return nil, errors.New("is missing")
	}
	for name, value := range map[string]string{"Uri": p.Integration.URI, "Credentials": p.Integration.Credentials} {
		if strings.Contains(value, "${stageVariables.") {
			return nil, fmt.Errorf("%s must not use stage variables in the local run, got %q", name, value)
		}
	}
	timeout := defaultTimeout
	if p.Integration.TimeoutInMillis != 0 {
		timeout = time.Duration(p.Integration.TimeoutInMillis) * time.Millisecond
	}
	switch p.Integration.Type {
	case "AWS_PROXY":
		arn, err := functionARN(p.Integration.URI)
		if err != nil {
			return nil, err
		}
		return &lambdaProxy{
			invoke: s.config.Invoke, authorize: s.config.Authorize, credentials: p.Integration.Credentials, cloud: s.config.Cloud, arn: arn, timeout: timeout,
		}, nil
	case mockType:
		return s.newMapped(ctx, p, mock{}, timeout)
	case "AWS":
		action, err := dynamoDBAction(p.Integration.URI)
		if err != nil {
			return nil, err
		}
		return s.newMapped(ctx, p, &dynamoDB{cloud: s.config.Cloud.Assume(p.Integration.Credentials, roleSession), action: action}, timeout)
	default:
		return nil, fmt.Errorf("Type must be AWS (DynamoDB), AWS_PROXY (Lambda) or MOCK in the local run, got %s", p.Integration.Type)
	}
}

// A backend is what a mapped integration calls.
type backend interface {
	call(ctx context.Context, request backendRequest) (*backendResponse, error)
}

type backendRequest struct {
	header http.Header
	body   []byte
}

type backendResponse struct {
	status int
	header http.Header
	body   []byte
}

// dynamoDBAction returns the action in "arn:aws:apigateway:<region>:dynamodb:action/<action>".
// Source: API Gateway API reference, API_Integration, "uri".
func dynamoDBAction(uri string) (string, error) {
	parts := strings.SplitN(uri, ":", 6)
	if len(parts) != 6 || parts[2] != "apigateway" {
		return "", fmt.Errorf("Uri must be arn:aws:apigateway:<region>:dynamodb:action/<action>, got %q", uri)
	}
	action, ok := strings.CutPrefix(parts[5], "action/")
	if parts[4] != "dynamodb" || !ok || action == "" {
		return "", fmt.Errorf("Uri must be of dynamodb:action/<action> in the local run for the type AWS, got %s:%s", parts[4], parts[5])
	}
	return action, nil
}

// functionARN returns the ARN in "arn:aws:apigateway:<region>:lambda:path/2015-03-31/functions/<arn>/invocations".
func functionARN(uri string) (string, error) {
	_, rest, ok := strings.Cut(uri, ":lambda:path/2015-03-31/functions/")
	arn, found := strings.CutSuffix(rest, "/invocations")
	if !ok || !found || arn == "" {
		return "", fmt.Errorf("Uri must be …:lambda:path/2015-03-31/functions/<arn>/invocations, got %q", uri)
	}
	return arn, nil
}

// timedOut returns the gateway response of a timeout when the integration's time is up, and of the given type for every
// other failure.
func timedOut(err error, otherwise *gatewayError) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &gatewayError{kind: integrationTimeout, message: "Endpoint request timed out", cause: err}
	}
	return otherwise
}
