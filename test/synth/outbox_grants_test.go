package synth

import (
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

// newRole adds a role that somebody in the account assumes.
func newRole(stack awscdk.Stack, id string) awsiam.Role {
	return awsiam.NewRole(stack, &id, &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()})
}

// roleStatements are the statements of a role's policy.
func (tpl template) roleStatements(t *testing.T, path string) []any {
	t.Helper()
	return tpl.statements(tpl.part(t, path+"/DefaultPolicy").Properties["PolicyDocument"])
}

func TestOutboxGrants(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack)
		box.GrantWrite(newRole(stack, "Writer"))
		box.GrantPublish(newRole(stack, "Publisher"), jsii.Strings("billing", "shipping"))
	})
	tpl := synthesize(t, stack)
	// Events are put and never changed.
	same(t, "writer", tpl.roleStatements(t, "Writer"), `[{
		"Effect": "Allow", "Resource": "${Outbox/Table.Arn}", "Action": "dynamodb:PutItem",
		"Condition": {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}
	}]`)
	same(t, "publisher", tpl.roleStatements(t, "Publisher"), `[{
		"Effect": "Allow", "Action": "events:PutEvents", "Resource": "${Outbox/EventBus.Arn}",
		"Condition": {"StringEquals": {"events:source": ["billing", "shipping"]}}
	}]`)
}

// Under the outbox's own source only what was committed may be published.
func TestGrantPublishRefuses(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box, role := newOutbox(stack), newRole(stack, "Publisher")
		for name, test := range map[string]struct {
			sources *[]*string
			want    string
		}{
			"nothing":         {nil, "sources must name at least one source, got nil"},
			"an empty list":   {jsii.Strings(), "sources must name at least one, got none"},
			"nil":             {&[]*string{nil}, "sources[0] must have 1 to 256 characters, got nil"},
			"an empty source": {jsii.Strings(""), `sources[0] must have 1 to 256 characters of UTF-8, got 0 in ""`},
			"a source of AWS": {jsii.Strings("billing", "aws.s3"), `sources[1] must not begin with "aws.", which is reserved for AWS services, got "aws.s3"`},
			"its own source":  {jsii.Strings("billing", "orders"), `sources[1] must not be the outbox's own source, got "orders"`},
		} {
			message := refused(t, func() { box.GrantPublish(role, test.sources) })
			if !strings.Contains(message, `GrantPublish of outbox "Stack/Outbox": `) || !strings.Contains(message, test.want) {
				t.Errorf("%s: it says %q, want %q", name, message, test.want)
			}
		}
	})
	list(t, "policies", synthesize(t, stack).paths("AWS::IAM::Policy"))
}

func TestGrantTransactionWrites(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		outbox.GrantTransactionWrites(inboxTable(stack, "Orders", "id"), newRole(stack, "Writer"),
			outbox.TransactAction_PUT, outbox.TransactAction_UPDATE, outbox.TransactAction_DELETE, outbox.TransactAction_CONDITION_CHECK)
	})
	same(t, "policy", synthesize(t, stack).roleStatements(t, "Writer"), `[{
		"Effect": "Allow", "Resource": "${Orders.Arn}",
		"Action": ["dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
		"Condition": {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}
	}]`)
	wants(t, refused(t, func() { outbox.GrantTransactionWrites(nil, newRole(stack, "Other"), outbox.TransactAction_PUT) }),
		"GrantTransactionWrites: the table must be the one that is written, got nil")
	for want, actions := range map[string][]outbox.TransactAction{
		"actions must name at least one of Put, Update, Delete and ConditionCheck, got none": nil,
		`actions must be of Put, Update, Delete and ConditionCheck, got "Get"`:               {outbox.TransactAction_PUT, "Get"},
	} {
		other := newStack(t)
		message := refused(t, func() {
			outbox.GrantTransactionWrites(inboxTable(other, "Orders", "id"), newRole(other, "Writer"), actions...)
		})
		if !strings.Contains(message, `table "Stack/Orders": `+want) {
			t.Errorf("it says %q, want %q", message, want)
		}
	}
}
