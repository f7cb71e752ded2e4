package synth

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/outboxkit/transactional-outbox/stacks"
)

// TestAPIOnlyThePatternOf200IsASuccess: "never a 2xx for a write that did not commit" begins here.
func TestAPIOnlyThePatternOf200IsASuccess(t *testing.T) {
	direct := 0
	for id, method := range orders(t, stacks.Dev()).ofType("AWS::ApiGateway::Method") {
		integration := method.Properties["Integration"].(map[string]any)
		if integration["Type"] == "AWS_PROXY" {
			continue // its function decides about the status
		}
		direct++
		if integration["PassthroughBehavior"] != "NEVER" {
			t.Errorf("%s: passthrough behavior is %v, want NEVER", id, integration["PassthroughBehavior"])
		}
		var byPattern []string
		for _, r := range integration["IntegrationResponses"].([]any) {
			response := r.(map[string]any)
			byPattern = append(byPattern, fmt.Sprint(response["SelectionPattern"], "→", response["StatusCode"]))
		}
		success := map[string]string{"AWS_IAM POST": "200→201", "AWS_IAM GET": "200→200"}[fmt.Sprint(method.Properties["AuthorizationType"], " ", method.Properties["HttpMethod"])]
		if want := []string{success, `5\d{2}→503`, "<nil>→500"}; !slices.Equal(byPattern, want) {
			t.Errorf("%s: responses are %v, want %v", id, byPattern, want)
		}
	}
	if direct != 2 {
		t.Errorf("%d methods have a direct integration, want POST and GET", direct)
	}
}

func TestAPIRolesMayDoOneThing(t *testing.T) {
	tpl := orders(t, stacks.Dev())
	orderTable, _ := tpl.at(t, "Orders")
	outboxTable, _ := tpl.at(t, "Outbox/Table")
	inTransactions := `{"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}`
	for role, want := range map[string]string{
		"CreateOrderRole": `[{"Effect": "Allow", "Action": "dynamodb:PutItem", "Condition": ` + inTransactions + `,
			"Resource": [{"Fn::GetAtt": ["` + orderTable + `", "Arn"]}, {"Fn::GetAtt": ["` + outboxTable + `", "Arn"]}]}]`,
		"GetOrderRole": `[{"Effect": "Allow", "Action": "dynamodb:Query", "Resource": {"Fn::GetAtt": ["` + orderTable + `", "Arn"]}}]`,
	} {
		_, policy := tpl.at(t, role+"/DefaultPolicy")
		same(t, role, policy.Properties["PolicyDocument"].(map[string]any)["Statement"], want)
		_, r := tpl.at(t, role)
		same(t, role+"'s trust", r.Properties["AssumeRolePolicyDocument"].(map[string]any)["Statement"],
			`[{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "apigateway.amazonaws.com"}}]`)
		if r.Properties["ManagedPolicyArns"] != nil || r.Properties["Policies"] != nil {
			t.Errorf("%s has further policies: %v", role, r.Properties)
		}
	}
}

func TestAPILogging(t *testing.T) {
	tpl := orders(t, stacks.Dev())
	logs, _ := tpl.at(t, "ApiAccessLog")
	_, stage := tpl.at(t, "Api/DeploymentStage.dev")
	setting := stage.Properties["AccessLogSetting"].(map[string]any)
	same(t, "access log", setting["DestinationArn"], `{"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":logs:", {"Ref": "AWS::Region"}, ":", {"Ref": "AWS::AccountId"}, ":log-group:", {"Ref": "`+logs+`"}]]}`)
	var fields map[string]string
	if err := json.Unmarshal([]byte(setting["Format"].(string)), &fields); err != nil {
		t.Fatalf("the access log's format is no JSON: %v", err)
	}
	if fields["requestId"] != "$context.requestId" {
		t.Errorf("the access log has no request id, which API Gateway demands: %v", fields)
	}
	if stage.Properties["TracingEnabled"] != true {
		t.Error("X-Ray tracing is off")
	}
	if _, account := tpl.at(t, "Api/Account"); account.DeletionPolicy != "Retain" {
		t.Errorf("the account's log role is %s with the stack, want Retain: other APIs may use it", account.DeletionPolicy)
	}
	without := orders(t, stacks.Dev(), func(e *stacks.Environment) { e.APILoggingRole = false })
	if accounts := without.ofType("AWS::ApiGateway::Account"); len(accounts) != 0 {
		t.Errorf("the account's log role is set although it is switched off: %v", accounts)
	}
}
