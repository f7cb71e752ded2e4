package apigateway

import (
	"maps"
	"net"
	"net/textproto"
	"strings"
)

// A proxyEvent is the event of a function behind a proxy integration, in payload format 1.0. Every field is there,
// null or not; authorizer is not, because no authorizer runs here.
// Source: API Gateway developer guide, set-up-lambda-proxy-integrations, "Input format of a Lambda function for proxy
// integration"; events recorded on AWS.
type proxyEvent struct {
	Resource                        string              `json:"resource"`
	Path                            string              `json:"path"`
	HTTPMethod                      string              `json:"httpMethod"`
	Headers                         map[string]string   `json:"headers"`
	MultiValueHeaders               map[string][]string `json:"multiValueHeaders"`
	QueryStringParameters           map[string]string   `json:"queryStringParameters"`
	MultiValueQueryStringParameters map[string][]string `json:"multiValueQueryStringParameters"`
	PathParameters                  map[string]string   `json:"pathParameters"`
	StageVariables                  map[string]string   `json:"stageVariables"`
	RequestContext                  proxyContext        `json:"requestContext"`
	Body                            *string             `json:"body"`
	IsBase64Encoded                 bool                `json:"isBase64Encoded"`
}

type proxyContext struct {
	ResourceID        string        `json:"resourceId"`
	ResourcePath      string        `json:"resourcePath"`
	HTTPMethod        string        `json:"httpMethod"`
	ExtendedRequestID string        `json:"extendedRequestId"`
	RequestTime       string        `json:"requestTime"`
	Path              string        `json:"path"`
	AccountID         string        `json:"accountId"`
	Protocol          string        `json:"protocol"`
	Stage             string        `json:"stage"`
	DomainPrefix      string        `json:"domainPrefix"`
	RequestTimeEpoch  int64         `json:"requestTimeEpoch"`
	RequestID         string        `json:"requestId"`
	Identity          proxyIdentity `json:"identity"`
	DomainName        string        `json:"domainName"`
	DeploymentID      string        `json:"deploymentId"`
	APIID             string        `json:"apiId"`
}

// A proxyIdentity is null in what IAM and Cognito would say about the caller.
type proxyIdentity struct {
	CognitoIdentityPoolID         *string `json:"cognitoIdentityPoolId"`
	AccountID                     *string `json:"accountId"`
	CognitoIdentityID             *string `json:"cognitoIdentityId"`
	Caller                        *string `json:"caller"`
	SourceIP                      string  `json:"sourceIp"`
	PrincipalOrgID                *string `json:"principalOrgId"`
	AccessKey                     *string `json:"accessKey"`
	CognitoAuthenticationType     *string `json:"cognitoAuthenticationType"`
	CognitoAuthenticationProvider *string `json:"cognitoAuthenticationProvider"`
	UserARN                       *string `json:"userArn"`
	UserAgent                     *string `json:"userAgent"`
	User                          *string `json:"user"`
	APIKey                        string  `json:"apiKey,omitempty"`
	APIKeyID                      string  `json:"apiKeyId,omitempty"`
}

// newProxyEvent returns the event for a request.
func newProxyEvent(x *exchange) proxyEvent {
	headers := proxyHeaders(x)
	return proxyEvent{
		Resource:                        x.context.ResourcePath,
		Path:                            x.shown,
		HTTPMethod:                      x.request.Method,
		Headers:                         lastValues(headers),
		MultiValueHeaders:               headers,
		QueryStringParameters:           orNull(x.params.Query),
		MultiValueQueryStringParameters: orNull(x.query),
		PathParameters:                  orNull(x.encoded),
		StageVariables:                  orNull(x.stage.variables),
		RequestContext:                  newProxyContext(&x.context),
		Body:                            orNil(strings.ToValidUTF8(string(x.body), "\uFFFD")),
	}
}

func newProxyContext(c *requestContext) proxyContext {
	return proxyContext{
		ResourceID: c.ResourceID, ResourcePath: c.ResourcePath, HTTPMethod: c.HTTPMethod, Path: c.Path, Protocol: c.Protocol,
		AccountID: c.AccountID, APIID: c.APIID, Stage: c.Stage, DeploymentID: c.DeploymentID,
		DomainName: c.DomainName, DomainPrefix: c.DomainPrefix,
		RequestID: c.RequestID, ExtendedRequestID: c.ExtendedRequestID, RequestTime: c.RequestTime, RequestTimeEpoch: c.RequestTimeEpoch,
		Identity: proxyIdentity{SourceIP: c.Identity.SourceIP, UserAgent: orNil(c.Identity.UserAgent), APIKey: c.Identity.APIKey, APIKeyID: c.Identity.APIKeyID},
	}
}

// proxyHeaders returns the request's headers with the client's spelling, and those that API Gateway sets.
func proxyHeaders(x *exchange) map[string][]string {
	own := map[string]string{
		"Host":              x.request.Host,
		"X-Amzn-Trace-Id":   "Root=" + x.context.XrayTraceID,
		"X-Forwarded-For":   x.context.Identity.SourceIP,
		"X-Forwarded-Port":  "80",
		"X-Forwarded-Proto": "http",
	}
	if _, port, err := net.SplitHostPort(x.request.Host); err == nil {
		own["X-Forwarded-Port"] = port
	}
	headers := maps.Clone(x.spelled)
	maps.DeleteFunc(headers, func(name string, _ []string) bool {
		_, isOurs := own[textproto.CanonicalMIMEHeaderKey(name)]
		return isOurs
	})
	for name, value := range own {
		headers[name] = []string{value}
	}
	return headers
}

// orNull returns nil for an empty map, which is null in the event.
func orNull[M ~map[string]V, V any](m M) M {
	if len(m) == 0 {
		return nil
	}
	return m
}

// orNil returns nil for an empty text, which is null in the event.
func orNil(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
