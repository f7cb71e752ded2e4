package synth

import (
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

// encrypted is the template of an outbox with one of everything, under one customer-managed key.
func encrypted(t *testing.T) template {
	t.Helper()
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack, outbox.TransactionalOutboxProps{
			EncryptionKey:    awskms.NewKey(stack, jsii.String("Key"), nil),
			ArchiveRetention: awscdk.Duration_Days(jsii.Number(1)),
		})
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
			Inbox: outbox.Inbox_NONE, Entry: jsii.String(greet), Environment: &map[string]*string{"A": jsii.String("b")},
		})
		box.GrantWrite(awsiam.NewRole(stack, jsii.String("Writer"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()}))
	})
	return synthesize(t, stack)
}

func TestOneKeyEncryptsEverything(t *testing.T) {
	tpl := encrypted(t)
	const key = `"${Key.Arn}"`
	same(t, "table", tpl.readable(tpl.part(t, "Outbox/Table").Properties["SSESpecification"]), `{"SSEEnabled": true, "SSEType": "KMS", "KMSMasterKeyId": `+key+`}`)
	for _, path := range tpl.paths("AWS::SQS::Queue") {
		same(t, path, tpl.readable(tpl.part(t, path).Properties["KmsMasterKeyId"]), key)
	}
	for _, path := range tpl.paths("AWS::Logs::LogGroup") {
		same(t, path, tpl.readable(tpl.part(t, path).Properties["KmsKeyId"]), key)
	}
	for path, property := range map[string]string{
		"Outbox/EventBus":          "KmsKeyIdentifier",
		"Outbox/Archive":           "KmsKeyIdentifier",
		"Outbox/Shipping/Function": "KmsKeyArn",
	} {
		same(t, path, tpl.readable(tpl.part(t, path).Properties[property]), key)
	}
}

func TestKeyPolicyLetsTheServicesIn(t *testing.T) {
	tpl := encrypted(t)
	statements := tpl.statements(tpl.part(t, "Key").Properties["KeyPolicy"])
	byService := map[string]any{}
	for _, s := range statements {
		statement := s.(map[string]any)
		if strings.Contains(canonical(t, statement["Condition"]), "event-bus/") {
			continue // CDK's own for the bus alone, contained in ours
		}
		principal := statement["Principal"].(map[string]any)
		if service, ok := principal["Service"].(string); ok {
			if byService[service] != nil {
				t.Errorf("the key policy has more than one statement for %s", service)
			}
			byService[service] = statement
		}
	}
	same(t, "key policy", byService, `{
		"events.amazonaws.com": {
			"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Resource": "*",
			"Action": ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"],
			"Condition": {"StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"}}
		},
		"logs.${AWS::Region}.${AWS::URLSuffix}": {
			"Effect": "Allow", "Principal": {"Service": "logs.${AWS::Region}.${AWS::URLSuffix}"}, "Resource": "*",
			"Action": ["kms:Decrypt", "kms:Describe*", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
			"Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:*"}}
		}
	}`)
}

func TestEachRoleMayUseTheKey(t *testing.T) {
	tpl := encrypted(t)
	pipe := tpl.statements(tpl.part(t, "Outbox/PipeRole").Properties["Policies"].([]any)[0].(map[string]any)["PolicyDocument"])
	same(t, "pipe", pipe[len(pipe)-1], `{"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": "${Key.Arn}"}`)
	function := tpl.statements(tpl.part(t, "Outbox/Shipping/Function/Role/DefaultPolicy").Properties["PolicyDocument"])
	same(t, "function", function[len(function)-1], `{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "${Key.Arn}"}`)
	writer := tpl.statements(tpl.part(t, "Writer/DefaultPolicy").Properties["PolicyDocument"])
	same(t, "writer", writer[len(writer)-1], `{
		"Effect": "Allow", "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"], "Resource": "${Key.Arn}"
	}`)
}

// An event that the bus cannot encrypt or decrypt must not be lost either.
func TestEncryptedBusHasADeadLetterQueueItMayUse(t *testing.T) {
	tpl := encrypted(t)
	same(t, "bus", tpl.readable(tpl.part(t, "Outbox/EventBus").Properties["DeadLetterConfig"]), `{"Arn": "${Outbox/RuleDeadLetterQueue.Arn}"}`)
	statements := tpl.statements(tpl.part(t, "Outbox/RuleDeadLetterQueue/Policy").Properties["PolicyDocument"])
	same(t, "who may send", statements[1], `{
		"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "${Outbox/RuleDeadLetterQueue.Arn}",
		"Condition": {"ArnLike": {"aws:SourceArn": "${Outbox/EventBus.Arn}"}}
	}`)
}

// Nothing can be added to the policy of a key of someone else, so the synthesis says what is missing.
func TestImportedKey(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		newOutbox(stack, outbox.TransactionalOutboxProps{
			EncryptionKey: awskms.Key_FromKeyArn(stack, jsii.String("Key"), jsii.String("arn:aws:kms:eu-west-1:111111111111:key/0a1b2c3d-0000-4000-8000-000000000001")),
		})
	})
	told := warnings(t, stack)
	if len(told) != 2 {
		t.Fatalf("the synthesis warns %q, want one warning for EventBridge and one for CloudWatch Logs", told)
	}
	for i, service := range []string{`"Service":"events.amazonaws.com"`, `"Service":{"Fn::Join":["",["logs.",{"Ref":"AWS::Region"},".",`} {
		for _, want := range []string{"the policy of an imported key cannot be changed from here: its owner must add ", service, `"kms:Decrypt"`} {
			if !strings.Contains(told[i], want) {
				t.Errorf("the synthesis warns %q, want in it %q", told[i], want)
			}
		}
	}
}
