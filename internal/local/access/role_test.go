package access

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

func TestRefusedResources(t *testing.T) {
	cases := map[string]struct {
		kind       string
		properties map[string]any
		names      string
	}{
		"unknown managed policy": {"AWS::IAM::Role", map[string]any{
			"AssumeRolePolicyDocument": trusting("lambda.amazonaws.com"), "ManagedPolicyArns": []any{awsManaged + "ReadOnlyAccess"},
		}, "ReadOnlyAccess"},
		"boundary of somebody else": {"AWS::IAM::Role", map[string]any{
			"AssumeRolePolicyDocument": trusting("lambda.amazonaws.com"), "PermissionsBoundary": "arn:aws:iam::123456789012:policy/Bounds",
		}, "policy/Bounds"},
		"trust policy": {"AWS::IAM::Role", map[string]any{"AssumeRolePolicyDocument": policyDocument(allow("sts:AssumeRole", "*", ""))}, "AssumeRolePolicyDocument"},
		"inline policy": {"AWS::IAM::Role", map[string]any{
			"AssumeRolePolicyDocument": trusting("lambda.amazonaws.com"),
			"Policies":                 []any{map[string]any{"PolicyName": "Inline", "PolicyDocument": policyDocument(allow("*", "*", `{"Like":{"a":"b"}}`))}},
		}, "Inline"},
		"policy":         {"AWS::IAM::Policy", map[string]any{"PolicyName": "P", "PolicyDocument": policyDocument(allow("x", "*", ""))}, "service:action"},
		"managed policy": {"AWS::IAM::ManagedPolicy", map[string]any{"PolicyDocument": policyDocument(allow("x", "*", ""))}, "service:action"},
		"unknown field":  {"AWS::IAM::Role", map[string]any{"Polices": []any{}}, "Polices"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a, _ := withStatements(t)
			_, err := a.Provisions()[c.kind](t.Context(), resource(c.kind, "R", c.properties))
			if err == nil || !strings.Contains(err.Error(), c.names) {
				t.Errorf("error %v, want one that names %s", err, c.names)
			}
		})
	}
}

func TestPoliciesOfARole(t *testing.T) {
	call := `{"TableName":"Orders"}`
	attached := []any{"Caller"}
	cases := map[string]struct {
		kind       string
		properties map[string]any
	}{
		"policy":         {"AWS::IAM::Policy", map[string]any{"PolicyName": "P", "Roles": attached, "PolicyDocument": policyDocument(allow("dynamodb:*", tableARN, ""))}},
		"role policy":    {"AWS::IAM::RolePolicy", map[string]any{"PolicyName": "P", "RoleName": "Caller", "PolicyDocument": policyDocument(allow("dynamodb:*", tableARN, ""))}},
		"managed policy": {"AWS::IAM::ManagedPolicy", map[string]any{"Roles": attached, "PolicyDocument": policyDocument(allow("dynamodb:*", tableARN, ""))}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a, _ := withStatements(t)
			if got := send(a.GuardTables, a.Key(caller, "fn"), "DynamoDB_20120810.Scan", call); got.Code == 200 {
				t.Fatal("allowed without the policy")
			}
			if _, err := a.Provisions()[c.kind](t.Context(), resource(c.kind, "P", c.properties)); err != nil {
				t.Fatal(err)
			}
			if got := send(a.GuardTables, a.Key(caller, "fn"), "DynamoDB_20120810.Scan", call); got.Code != 200 {
				t.Errorf("answer %d %s", got.Code, got.Body)
			}
		})
	}
}

func TestBoundaryOfTheTemplate(t *testing.T) {
	a, _ := withStatements(t)
	bounds, err := a.Provisions()["AWS::IAM::ManagedPolicy"](t.Context(), resource("AWS::IAM::ManagedPolicy", "Bounds", map[string]any{"PolicyDocument": policyDocument(allow("sqs:*", "*", ""))}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.Provisions()["AWS::IAM::Role"](t.Context(), resource("AWS::IAM::Role", "Bounded", map[string]any{
		"RoleName": "Bounded", "AssumeRolePolicyDocument": trusting("lambda.amazonaws.com"), "PermissionsBoundary": bounds.Ref,
		"ManagedPolicyArns": []any{awsManaged + "AdministratorAccess"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	got := send(a.GuardTables, a.Key(iamARN("role", "", "Bounded"), "fn"), "DynamoDB_20120810.Scan", `{"TableName":"Orders"}`)
	if !strings.Contains(got.Body.String(), "because no permissions boundary allows the dynamodb:Scan action") {
		t.Errorf("answer %d %s", got.Code, got.Body)
	}
}

func TestWhatAWSChecksWhenAResourceIsMade(t *testing.T) {
	function := resource("AWS::Lambda::Function", "Fn", map[string]any{"Role": caller, "DeadLetterConfig": map[string]any{"TargetArn": queueARN + "Dead"}})
	made := template.Attributes{Ref: "Fn", GetAtt: map[string]string{"Arn": "arn:aws:lambda:eu-west-1:000000000000:function:Fn"}}
	mapping := resource("AWS::Lambda::EventSourceMapping", "Mapping", map[string]any{"EventSourceArn": queueARN, "FunctionName": "Fn"})
	async := resource("AWS::Lambda::EventInvokeConfig", "Async", map[string]any{
		"FunctionName": "Fn", "DestinationConfig": map[string]any{"OnSuccess": map[string]any{"Destination": queueARN + "Done"}},
	})
	pipe := resource("AWS::Pipes::Pipe", "Pipe", map[string]any{"RoleArn": caller, "Source": tableARN + "/stream/1", "Target": busARN})
	pipeMade := template.Attributes{GetAtt: map[string]string{"Arn": "arn:aws:pipes:eu-west-1:000000000000:pipe/Pipe"}}

	a, notices := withStatements(t, allow("sqs:ReceiveMessage", queueARN, ""), allow("dynamodb:GetRecords", "*", ""))
	for _, err := range []error{a.note(function, made), a.note(mapping, template.Attributes{}), a.note(async, template.Attributes{}), a.note(pipe, pipeMade)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	err := a.Prepare(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"Mapping: the role Caller may not sqs:DeleteMessage", "Mapping: the role Caller may not sqs:GetQueueAttributes",
		"Pipe: the role Caller cannot be assumed by pipes.amazonaws.com", `"Condition":{"StringEquals":{"aws:SourceAccount":{"Ref":"AWS::AccountId"}}}`, "Pipe: the role Caller may not dynamodb:ListStreams",
		"Pipe: the role Caller may not events:PutEvents",
		"Fn: the role Caller may not sqs:SendMessage on " + queueARN + "Dead", "Async: the role Caller may not sqs:SendMessage on " + queueARN + "Done",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	for _, unwanted := range []string{"sqs:ReceiveMessage", "dynamodb:GetRecords on", "cannot be assumed by lambda"} {
		if strings.Contains(err.Error(), unwanted) {
			t.Errorf("the error says %q: %v", unwanted, err)
		}
	}
	if text := strings.Join(*notices, "\n"); !strings.Contains(text, "Fn loses its logs or traces") || !strings.Contains(text, "logs:PutLogEvents") {
		t.Errorf("notices %q, want one of the logs", *notices)
	}
}

func TestInvocationByTheAPI(t *testing.T) {
	const function = "arn:aws:lambda:eu-west-1:000000000000:function:Fn"
	source := "arn:aws:execute-api:eu-west-1:000000000000:api/dev/PATCH/orders/{id}"
	permission := func(a *Authority, sourceARN string) error {
		_, err := a.Provisions()["AWS::Lambda::Permission"](context.Background(), resource("AWS::Lambda::Permission", "P", map[string]any{
			"Action": "lambda:InvokeFunction", "FunctionName": function, "Principal": "apigateway.amazonaws.com", "SourceArn": sourceARN,
		}))
		return err
	}
	a, _ := withStatements(t, allow("lambda:InvokeFunction", function, ""))
	if a.AuthorizeInvocation(function, "", source) == nil {
		t.Error("allowed without a permission")
	}
	if err := permission(a, strings.Replace(source, "PATCH/orders/{id}", "GET/*", 1)); err != nil {
		t.Fatal(err)
	}
	if a.AuthorizeInvocation(function, "", source) == nil {
		t.Error("allowed for another method")
	}
	if err := permission(a, strings.Replace(source, "{id}", "*", 1)); err != nil {
		t.Fatal(err)
	}
	if err := a.AuthorizeInvocation(function, "", source); err != nil {
		t.Error(err)
	}
	if err := a.AuthorizeInvocation(function, caller, source); err != nil {
		t.Errorf("with a role: %v", err)
	}
	if a.AuthorizeInvocation(function+"2", caller, source) == nil {
		t.Error("the role may invoke another function")
	}
}

// However a resource names its function, and whatever the name of a role looks like, the checks are made.
func TestHowAFunctionIsNamed(t *testing.T) {
	const function = "arn:aws:lambda:eu-west-1:000000000000:function:Fn"
	dotted := iamARN("role", "", "my.role")
	for _, name := range []string{"Fn", "Fn:$LATEST", "function:Fn", "000000000000:function:Fn", function, function + ":$LATEST"} {
		a, _ := withStatements(t)
		provisions := a.Provisions()
		for _, r := range []template.Resource{
			resource("AWS::IAM::Role", "Dotted", map[string]any{"RoleName": "my.role", "AssumeRolePolicyDocument": trusting(apiGateway)}),
			resource("AWS::Lambda::Permission", "P", map[string]any{"Action": invokeFunction, "FunctionName": name, "Principal": dotted}),
		} {
			if _, err := provisions[r.Type](t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.AuthorizeInvocation(function, dotted, ""); err != nil {
			t.Errorf("%s: the role with a dot in its name may not: %v", name, err)
		}
		made := template.Attributes{Ref: "Fn", GetAtt: map[string]string{"Arn": function}}
		mapping := resource("AWS::Lambda::EventSourceMapping", "Mapping", map[string]any{"EventSourceArn": queueARN, "FunctionName": name})
		if err := errors.Join(a.note(resource("AWS::Lambda::Function", "Fn", map[string]any{"Role": caller}), made), a.note(mapping, template.Attributes{})); err != nil {
			t.Fatal(err)
		}
		if err := a.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "Mapping: the role Caller may not sqs:ReceiveMessage") {
			t.Errorf("%s: the role of the mapping is not checked: %v", name, err)
		}
	}
}

// What is allowed for an alias is allowed for it alone, and its role is the function's.
func TestPermissionOfAnAlias(t *testing.T) {
	const function = "arn:aws:lambda:eu-west-1:000000000000:function:Fn"
	for _, name := range []string{"Fn:live", function + ":live"} {
		a, _ := withStatements(t)
		permission := resource("AWS::Lambda::Permission", "P", map[string]any{"Action": invokeFunction, "FunctionName": name, "Principal": apiGateway})
		if _, err := a.Provisions()[permission.Type](t.Context(), permission); err != nil {
			t.Fatal(err)
		}
		if err := a.AuthorizeInvocation(function+":live", "", ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if a.AuthorizeInvocation(function, "", "") == nil || a.AuthorizeInvocation(function+":7", "", "") == nil {
			t.Errorf("%s: the function and its version may be invoked too", name)
		}
		made := template.Attributes{Ref: "Fn", GetAtt: map[string]string{"Arn": function}}
		mapping := resource("AWS::Lambda::EventSourceMapping", "Mapping", map[string]any{"EventSourceArn": queueARN, "FunctionName": name})
		if err := errors.Join(a.note(resource("AWS::Lambda::Function", "Fn", map[string]any{"Role": caller}), made), a.note(mapping, template.Attributes{})); err != nil {
			t.Fatal(err)
		}
		if err := a.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "Mapping: the role Caller may not sqs:ReceiveMessage") {
			t.Errorf("%s: the role of the mapping is not checked: %v", name, err)
		}
	}
}

func TestAnIntegrationNeedsARole(t *testing.T) {
	a, _ := withStatements(t)
	err := a.apiMethod(resource("AWS::ApiGateway::Method", "M", map[string]any{"Integration": map[string]any{"Type": "AWS"}}))
	if err == nil || !strings.Contains(err.Error(), "Integration must have credentials") {
		t.Errorf("error %v, want one that names the credentials", err)
	}
}

// The integrations of a definition are found wherever they are, and their roles checked as those of methods are.
func TestIntegrationsOfADefinition(t *testing.T) {
	const integration = "x-amazon-apigateway-integration"
	body := map[string]any{
		"paths": map[string]any{"/a": map[string]any{
			"get":  map[string]any{integration: map[string]any{"type": "aws"}},
			"post": map[string]any{integration: map[string]any{"$ref": "#/components/x-amazon-apigateway-integrations/Shared"}},
		}},
		"components": map[string]any{integration + "s": map[string]any{"Shared": map[string]any{"type": "aws", "credentials": caller}}},
	}
	a, _ := withStatements(t)
	api := resource("AWS::ApiGateway::RestApi", "Api", map[string]any{"Body": body})
	err := a.apiDefinition(api)
	if err == nil || err.Error() != "property Body.paths./a.get.x-amazon-apigateway-integration must have credentials, the role with which API Gateway calls the service" {
		t.Errorf("error %v", err)
	}
	if err := a.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "Api: ") {
		t.Errorf("the role that trusts another service is not named: %v", err)
	}
}
