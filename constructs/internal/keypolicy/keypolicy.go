// Package keypolicy lets the AWS services of the flow use a customer-managed key. Each function adds one statement to
// the key's policy; adding it again changes nothing.
//
// The statements name the account and never a resource: a resource encrypted with the key refers to it, so a key policy
// that referred back would be a cycle in the template.
//
// The policy of an imported key belongs to its owner. The synthesis then warns and shows the statement to add.
package keypolicy

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/internal/ownerpolicy"
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
	allow(scope, key, "logs", fmt.Sprintf("logs.%s.%s", *stack.Region(), *stack.UrlSuffix()),
		map[string]any{"ArnLike": map[string]any{"kms:EncryptionContext:aws:logs:arn": anyLogGroup}},
		"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*")
}

// AllowEvents lets EventBridge encrypt what is on a bus with the key, and send to queues that the key encrypts.
// Source: EventBridge user guide, eb-encryption-key-policy; SQS developer guide, sqs-key-management.
func AllowEvents(scope constructs.Construct, key awskms.IKey) {
	allow(scope, key, "events", "events.amazonaws.com", ofAccount(scope), "kms:DescribeKey", "kms:GenerateDataKey", "kms:Decrypt")
}

// AllowArchive lets EventBridge encrypt what is in an archive with the key.
// Source: EventBridge user guide, encryption-archives.
func AllowArchive(scope constructs.Construct, key awskms.IKey) {
	allow(scope, key, "archive", "events.amazonaws.com", ofAccount(scope), "kms:DescribeKey", "kms:GenerateDataKey", "kms:Decrypt", "kms:ReEncrypt*")
}

// AllowAlarms lets CloudWatch alarms publish to topics that the key encrypts.
// Source: SNS developer guide, sns-key-management.
func AllowAlarms(scope constructs.Construct, key awskms.IKey) {
	allow(scope, key, "alarms", "cloudwatch.amazonaws.com", ofAccount(scope), "kms:GenerateDataKey*", "kms:Decrypt")
}

// ofAccount limits a statement to what a service does for the account of the stack.
func ofAccount(scope constructs.Construct) map[string]any {
	return map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Stack_Of(scope).Account()}}
}

func allow(scope constructs.Construct, key awskms.IKey, purpose, service string, conditions map[string]any, actions ...string) {
	statement := awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(&service, nil)},
		Actions:    jsii.Strings(actions...),
		Resources:  jsii.Strings("*"),
		Conditions: &conditions,
	})
	if !*key.AddToResourcePolicy(statement, jsii.Bool(true)).StatementAdded {
		ownerpolicy.Warn(scope, key, "key", purpose, statement)
	}
}
