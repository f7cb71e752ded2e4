package stacks

import (
	"encoding/json"
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// textType is the content type of an answer that needs no quoting.
const textType = "text/plain"

// addGatewayResponses gives what API Gateway answers by itself the shape of all other errors. Its templates are no
// Velocity code: they can fill in a variable and escape none. Of the variables that hold text, messageString is
// documented to be a JSON string, and validationErrorString may hold quotes and parts of the body. So the JSON of a
// refused body says only that it was refused; the reasons stand in the plain text that a client gets for
// Accept: text/plain.
// Source: API Gateway developer guide, api-gateway-gatewayResponse-definition.
func addGatewayResponses(api awsapigateway.RestApi) {
	for _, r := range []struct {
		id      string
		of      awsapigateway.ResponseType
		message string // a JSON string
		text    string // for Accept: text/plain
	}{
		{
			"BadRequestBody", awsapigateway.ResponseType_BAD_REQUEST_BODY(),
			`"the body is not what this method takes; send the request with Accept: text/plain to read the reasons"`,
			"$context.error.message: $context.error.validationErrorString",
		},
		{"UnsupportedMediaType", awsapigateway.ResponseType_UNSUPPORTED_MEDIA_TYPE(), `"the body must be JSON: send Content-Type: application/json"`, ""},
		{"Default4XX", awsapigateway.ResponseType_DEFAULT_4XX(), "$context.error.messageString", ""},
		{"Default5XX", awsapigateway.ResponseType_DEFAULT_5XX(), "$context.error.messageString", ""},
	} {
		templates := map[string]*string{
			jsonType: jsii.String(fmt.Sprintf(`{"error":{"code":"$context.error.responseType","message":%s}}`, r.message)),
		}
		if r.text != "" {
			templates[textType] = jsii.String(r.text)
		}
		api.AddGatewayResponse(jsii.String(r.id), &awsapigateway.GatewayResponseOptions{Type: r.of, Templates: &templates})
	}
}

// accountRoleRemovalPolicy returns the policy for the account's log role, or nothing where there is no such role: CDK
// takes the two together only.
func accountRoleRemovalPolicy(env Environment) awscdk.RemovalPolicy {
	if env.APILoggingRole {
		return awscdk.RemovalPolicy_RETAIN
	}
	return ""
}

func authorizationType(a Authorization) awsapigateway.AuthorizationType {
	if a == None {
		return awsapigateway.AuthorizationType_NONE
	}
	return awsapigateway.AuthorizationType_IAM
}

// stageOptions returns the stage's settings: access logs with one JSON object a request, metrics and traces, but never a
// request's or an answer's body in a log.
//
// The execution log is off. API Gateway would create its group by itself, outside the stack and without retention, and
// its errors quote the values of a body that the model refuses.
// Source: API Gateway developer guide, set-up-logging, "CloudWatch log formats for API Gateway".
func stageOptions(scope constructs.Construct, env Environment) *awsapigateway.StageOptions {
	logs := awslogs.NewLogGroup(scope, jsii.String("ApiAccessLog"), &awslogs.LogGroupProps{
		Retention:     env.LogRetention,
		RemovalPolicy: env.RemovalPolicy,
	})
	return &awsapigateway.StageOptions{
		StageName:            jsii.String(env.Name),
		AccessLogDestination: awsapigateway.NewLogGroupLogDestination(logs),
		AccessLogFormat:      awsapigateway.AccessLogFormat_Custom(jsii.String(accessLogFormat())),
		LoggingLevel:         awsapigateway.MethodLoggingLevel_OFF,
		DataTraceEnabled:     jsii.Bool(false),
		MetricsEnabled:       jsii.Bool(true),
		TracingEnabled:       jsii.Bool(true),
		ThrottlingRateLimit:  jsii.Number(env.Throttling.Rate),
		ThrottlingBurstLimit: jsii.Number(env.Throttling.Burst),
	}
}

// accessLogFormat returns the access log's line. It names no caller, no address and no path with an order's id, so that
// the log holds no personal data.
// Source: API Gateway developer guide, api-gateway-variables-for-access-logging.
func accessLogFormat() string {
	raw, err := json.Marshal(map[string]string{
		"requestId":          "$context.requestId",
		"extendedRequestId":  "$context.extendedRequestId",
		"time":               "$context.requestTime",
		"method":             "$context.httpMethod",
		"resource":           "$context.resourcePath",
		"status":             "$context.status",
		"latencyMs":          "$context.responseLatency",
		"integrationStatus":  "$context.integration.status",
		"integrationLatency": "$context.integration.latency",
		"responseLength":     "$context.responseLength",
		"errorType":          "$context.error.responseType",
		"traceId":            "$context.xrayTraceId",
	})
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(raw)
}
