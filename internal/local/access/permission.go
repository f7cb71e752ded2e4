package access

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const (
	invokeFunction = "lambda:InvokeFunction"
	apiGateway     = "apigateway.amazonaws.com"
	apiSession     = "BackplaneAssumeRoleSession"
)

// provisionPermission adds a statement to the policy of a function.
// Source: Lambda developer guide, access-control-resource-based.
func (a *Authority) provisionPermission(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		Action       string
		FunctionName string // name, ARN or the end of it
		Principal    string
		permissionConditions

		EventSourceToken template.Ignored
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	// What is allowed for a version or an alias is not allowed for the function, and the other way round.
	// Source: Lambda developer guide, configuration-aliases, "Resource policies with aliases".
	arn := a.cloud.FunctionARN(p.FunctionName)
	kind := "AWS"
	if strings.Contains(p.Principal, ".") && !strings.HasPrefix(p.Principal, "arn:") { // the name of a role may have a dot
		kind = "Service"
	}
	statement := map[string]any{
		"Sid": r.LogicalID, "Effect": "Allow", "Action": p.Action, "Resource": arn,
		"Principal": map[string]string{kind: p.Principal}, "Condition": p.conditions(),
	}
	document, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statement})
	if err != nil {
		return template.Attributes{}, err
	}
	return template.Attributes{Ref: r.PhysicalName, GetAtt: map[string]string{"Id": r.PhysicalName}}, a.addResourcePolicy(arn, document)
}

// permissionConditions are the properties of a permission by which its statement gets conditions.
type permissionConditions struct {
	SourceArn             string
	SourceAccount         string
	FunctionUrlAuthType   string
	InvokedViaFunctionUrl *template.Bool
}

// conditions returns the conditions of the statement.
// Source: Lambda API reference, AddPermission; Lambda developer guide, urls-auth.
func (p permissionConditions) conditions() map[string]map[string]string {
	conditions := map[string]map[string]string{}
	set := func(operator, key, value string) {
		if value == "" {
			return
		}
		if conditions[operator] == nil {
			conditions[operator] = map[string]string{}
		}
		conditions[operator][key] = value
	}
	set("ArnLike", "aws:SourceArn", p.SourceArn)
	set("StringEquals", "aws:SourceAccount", p.SourceAccount)
	set("StringEquals", urlAuthType, p.FunctionUrlAuthType)
	if p.InvokedViaFunctionUrl != nil {
		set("Bool", viaURL, strconv.FormatBool(bool(*p.InvokedViaFunctionUrl)))
	}
	return conditions
}

// addResourcePolicy adds the statements of a document to the policy of a resource.
func (a *Authority) addResourcePolicy(arn string, document []byte) error {
	parsed, err := a.parse(iam.Resource, document)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.resources[arn] = a.resources[arn].With(parsed)
	return nil
}

// AuthorizeInvocation returns an error when API Gateway may not invoke a function: with the role of the integration, or
// without one by the policy of the function for the method sourceARN.
// Source: API Gateway developer guide, api-gateway-control-access-using-iam-policies-to-invoke-api.
func (a *Authority) AuthorizeInvocation(functionARN, roleARN, sourceARN string) error {
	request := iam.Request{Action: invokeFunction, Resource: functionARN}
	var denied *Denial
	switch {
	case roleARN == callersCredentials:
		return nil // the caller is the developer
	case roleARN != "":
		denied = a.check(session{role: roleARN, name: apiSession}, request)
	default:
		denied = a.checkService(apiGateway, sourceARN, request)
	}
	if denied != nil {
		return fmt.Errorf("Execution failed due to configuration error: Invalid permissions on Lambda function: %w", denied)
	}
	return nil
}

// callersCredentials as an integration's role means that the caller's own permissions count.
// Source: API Gateway API reference, API_Integration, "credentials".
const callersCredentials = "arn:aws:iam::*:user/*"

// provisionAccount checks the role with which API Gateway writes logs, as AWS does when it is set.
// Source: API Gateway developer guide, set-up-logging.
func (a *Authority) provisionAccount(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct{ CloudWatchRoleArn string }
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if p.CloudWatchRoleArn != "" {
		a.require(need{
			who: r.LogicalID, role: p.CloudWatchRoleArn, service: apiGateway, source: a.cloud.ARN("apigateway", "/account"),
			actions: []needed{{"*", []string{
				"logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams",
				"logs:PutLogEvents", "logs:GetLogEvents", "logs:FilterLogEvents",
			}}},
		})
	}
	return template.Attributes{Ref: r.PhysicalName, GetAtt: map[string]string{"Id": r.PhysicalName}}, nil
}

// busARN returns the ARN of a bus that is named by its name or ARN; "" is the default bus.
func (a *Authority) busARN(nameOrARN string) string {
	switch {
	case strings.HasPrefix(nameOrARN, "arn:"):
		return nameOrARN
	case nameOrARN == "":
		nameOrARN = "default"
	}
	return a.cloud.ARN("events", "event-bus/"+nameOrARN)
}

var _ cloud.Keys = (*Authority)(nil)
