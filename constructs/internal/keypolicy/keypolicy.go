// Package keypolicy lets the AWS services of the flow use a customer-managed key. Each function adds
// one statement to the key's policy; adding it again changes nothing.
//
// The statements name the account and never a resource: a resource encrypted with the key refers to
// it, so a key policy that referred back would be a cycle in the template.
//
// The policy of an imported key belongs to its owner and cannot be changed from here. The synthesis
// then warns and shows the statement that the owner must add.
package keypolicy

import (
	"encoding/json"
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// AllowLogs lets CloudWatch Logs encrypt the log groups of the account with the key.
// Source: CloudWatch Logs user guide, encrypt-log-data-kms.
func AllowLogs(scope constructs.Construct, key awskms.IKey) {
	stack := awscdk.Stack_Of(scope)
	anyLogGroup := stack.FormatArn(&awscdk.ArnComponents{
		Service:      jsii.String("logs"),
		Resource:     jsii.String("log-group"),
		ResourceName: jsii.String("*"),
		ArnFormat:    awscdk.ArnFormat_COLON_RESOURCE_NAME,
	})
	allow(scope, key, fmt.Sprintf("logs.%s.%s", *stack.Region(), *stack.UrlSuffix()),
		[]string{"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"},
		"ArnLike", "kms:EncryptionContext:aws:logs:arn", anyLogGroup)
}

// AllowEvents lets EventBridge encrypt what is on a bus and in an archive with the key, and send to
// queues that the key encrypts.
// Source: EventBridge user guide, eb-encryption-key-policy; SQS developer guide, sqs-key-management.
func AllowEvents(scope constructs.Construct, key awskms.IKey) {
	allow(scope, key, "events.amazonaws.com",
		[]string{"kms:DescribeKey", "kms:GenerateDataKey", "kms:Decrypt"},
		"StringEquals", "aws:SourceAccount", awscdk.Stack_Of(scope).Account())
}

func allow(scope constructs.Construct, key awskms.IKey, service string, actions []string, operator, conditionKey string, value *string) {
	statement := awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(&service, nil)},
		Actions:    jsii.Strings(actions...),
		Resources:  jsii.Strings("*"),
		Conditions: &map[string]any{operator: map[string]any{conditionKey: value}},
	})
	if *key.AddToResourcePolicy(statement, jsii.Bool(true)).StatementAdded {
		return
	}
	shown, err := json.Marshal(awscdk.Stack_Of(scope).Resolve(statement.ToStatementJson()))
	if err != nil {
		panic(fmt.Sprintf("key policy for %s: %v", service, err))
	}
	awscdk.Annotations_Of(scope).AddWarningV2(jsii.String("outboxkit:key-policy:"+service),
		jsii.String(fmt.Sprintf("the policy of an imported key cannot be changed from here: its owner must add %s", shown)), nil)
}
