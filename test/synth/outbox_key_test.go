package synth

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
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
			Inbox: outbox.Inbox_NONE, GoFunction: &golambda.FunctionProps{Entry: jsii.String(greet), Environment: &map[string]*string{"CARRIER": jsii.String("post")}},
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
			"Action": ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "kms:ReEncrypt*"],
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
	// Only where SQS and DynamoDB do so in the role's name.
	const via = `"Condition": {"StringLike": {"kms:ViaService": "%s.${AWS::Region}.amazonaws.com*"}}`
	same(t, "function", function[len(function)-1], `{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "${Key.Arn}", `+fmt.Sprintf(via, "sqs")+`}`)
	writer := tpl.statements(tpl.part(t, "Writer/DefaultPolicy").Properties["PolicyDocument"])
	same(t, "writer", writer[len(writer)-1], `{
		"Effect": "Allow", "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"], "Resource": "${Key.Arn}",
		`+fmt.Sprintf(via, "dynamodb")+`
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

// keyARN is a key of someone else.
const keyARN = "arn:aws:kms:eu-west-1:111111111111:key/0a1b2c3d-0000-4000-8000-000000000001"

// Nothing can be added to the policy of a key of someone else, so the synthesis shows what its owner can paste.
func TestImportedKey(t *testing.T) {
	told := func(env *awscdk.Environment) []string {
		stack := awscdk.NewStack(newApp(t, noBundling), jsii.String("Stack"), &awscdk.StackProps{Env: env})
		guard(t, func() {
			newOutbox(stack, outbox.TransactionalOutboxProps{
				EncryptionKey:    awskms.Key_FromKeyArn(stack, jsii.String("Key"), jsii.String(keyARN)),
				ArchiveRetention: awscdk.Duration_Days(jsii.Number(1)),
			})
		})
		return warnings(t, stack)
	}
	const begin = "/Stack/Outbox: the policy of the imported key Stack/Key cannot be changed from here: its owner must add "
	type statement = map[string]string
	for name, test := range map[string]struct {
		env  *awscdk.Environment
		want statement
		end  string
	}{
		"a known environment": {
			&awscdk.Environment{Account: jsii.String("222222222222"), Region: jsii.String("eu-west-1")},
			statement{
				"OutboxEvents":  `"Condition":{"StringEquals":{"aws:SourceAccount":"222222222222"}},"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Resource":"*"`,
				"OutboxArchive": `"Action":["kms:DescribeKey","kms:GenerateDataKey","kms:Decrypt","kms:ReEncrypt*"]`,
				"OutboxLogs":    `"Condition":{"ArnLike":{"kms:EncryptionContext:aws:logs:arn":"arn:aws:logs:eu-west-1:222222222222:log-group:*"}},"Effect":"Allow","Principal":{"Service":"logs.eu-west-1.amazonaws.com"},"Resource":"*"`,
			},
			"",
		},
		"any environment": {
			nil,
			statement{
				"OutboxEvents":  `"Condition":{"StringEquals":{"aws:SourceAccount":"ACCOUNT"}}`,
				"OutboxArchive": `"kms:ReEncrypt*"`,
				"OutboxLogs":    `"Condition":{"ArnLike":{"kms:EncryptionContext:aws:logs:arn":"arn:PARTITION:logs:REGION:ACCOUNT:log-group:*"}},"Effect":"Allow","Principal":{"Service":"logs.REGION.amazonaws.com"}`,
			},
			": what they are where stack Stack is deployed)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			messages := told(test.env)
			if len(messages) != len(test.want) {
				t.Fatalf("the synthesis warns %q, want one warning for each of bus, archive and logs", messages)
			}
			for _, message := range messages {
				shown, ok := strings.CutPrefix(message, begin)
				if !ok {
					t.Fatalf("the synthesis warns %q, want at its beginning %q", message, begin)
				}
				var pasted struct{ Sid string }
				if err := json.NewDecoder(strings.NewReader(shown)).Decode(&pasted); err != nil {
					t.Fatalf("%q begins with no JSON: %v", shown, err)
				}
				want := test.want[pasted.Sid[:len(pasted.Sid)-8]]
				if want == "" || !strings.Contains(shown, want) || !strings.Contains(shown, test.end+" [ack: outboxkit:key-policy:") || strings.Contains(shown, "$") {
					t.Errorf("it shows %q, want in it %q and %q, and nothing of this template", shown, want, test.end)
				}
			}
			if again := told(test.env); !slices.Equal(again, messages) {
				t.Errorf("the next synthesis warns %q, the one before %q", again, messages)
			}
		})
	}
}

// EventBridge gives up at once on a queue whose key it may not use.
func TestSuppliedQueueWithAKeyOfItsOwn(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		own := func(id string) awskms.IKey { return awskms.NewKey(stack, &id, nil) }
		deadLetters := awssqs.NewQueue(stack, jsii.String("ShipDLQ"), &awssqs.QueueProps{RetentionPeriod: days(14), EncryptionMasterKey: own("DeadLetterKey")})
		newOutbox(stack).AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
			GoFunction: greeter(), Queue: awssqs.NewQueue(stack, jsii.String("ShipQueue"), &awssqs.QueueProps{
				VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1)), EncryptionMasterKey: own("QueueKey"),
				DeadLetterQueue: &awssqs.DeadLetterQueue{Queue: deadLetters, MaxReceiveCount: jsii.Number(3)},
			}),
		})
	})
	tpl := synthesize(t, stack)
	statements := tpl.statements(tpl.part(t, "QueueKey").Properties["KeyPolicy"])
	same(t, "the key's statement for EventBridge", statements[len(statements)-1], `{
		"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"], "Resource": "*",
		"Condition": {"StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"}}
	}`)
	// The function receives from the queue and may put what it cannot handle into the dead-letter queue.
	var granted []any
	for _, s := range tpl.statements(tpl.part(t, "Outbox/Shipping/Function/Role/DefaultPolicy").Properties["PolicyDocument"]) {
		if strings.Contains(canonical(t, s), "kms:") {
			granted = append(granted, s)
		}
	}
	const via = `"Condition": {"StringLike": {"kms:ViaService": "sqs.${AWS::Region}.amazonaws.com*"}}`
	same(t, "the function's use of the keys", granted, `[
		{"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": "${DeadLetterKey.Arn}", `+via+`},
		{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "${QueueKey.Arn}", `+via+`}
	]`)
}

func TestImportedQueueWithAKeyOfItsOwn(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		newOutbox(stack).AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
			GoFunction: greeter(), VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1)),
			Queue: awssqs.Queue_FromQueueAttributes(stack, jsii.String("Ship"), &awssqs.QueueAttributes{
				QueueArn: jsii.String("arn:aws:sqs:eu-west-1:111111111111:ship"), KeyArn: jsii.String(keyARN),
			}),
			DeadLetterQueue: awssqs.NewQueue(stack, jsii.String("ShipDLQ"), &awssqs.QueueProps{RetentionPeriod: days(14)}),
		})
	})
	told := strings.Join(warnings(t, stack), "\n")
	wants(t, told, "/Stack/Outbox/Shipping: the policy of the imported key Stack/Ship/Key cannot be changed from here: its owner must add "+
		`{"Action":["kms:DescribeKey","kms:GenerateDataKey","kms:Decrypt"],"Condition":{"StringEquals":{"aws:SourceAccount":"ACCOUNT"}},"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Resource":"*"`)
}
