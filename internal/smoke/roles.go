package smoke

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

var rolesCheck = Check{
	Number: 8, Title: "consumers may put their memory, and writers their events, in a transaction, and nothing outside of one",
	Does: "asks IAM's policy simulator; changes nothing",
	Open: "that the conditions on dynamodb:EnclosingOperation and dynamodb:LeadingKeys hold as they are written",

	Minutes: 0.2, run: roles,
}

func roles(ctx context.Context, j *job) error {
	asked := 0
	for _, c := range j.Outbox.Consumers {
		if c.Function == "" || c.InboxTable == "" {
			continue
		}
		asked++
		if err := j.roleOf(ctx, c); err != nil {
			return err
		}
	}
	if j.reference != nil {
		if err := j.writersRoles(ctx); err != nil {
			return err
		}
	} else if asked == 0 {
		return skip("no consumer of the stack has a function and an inbox")
	}
	return nil
}

// roleOf asks what the role of a consumer's function may do.
func (j *job) roleOf(ctx context.Context, c *operate.Consumer) error {
	function, err := j.Clients.Lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &c.Function})
	if err != nil {
		return fmt.Errorf("find the role of function %s: %w", c.Function, err)
	}
	table, err := j.Clients.Tables.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &c.InboxTable})
	if err != nil {
		return fmt.Errorf("look at table %s: %w", c.InboxTable, err)
	}
	keyOf := func(name string) string {
		if c.Ordered {
			return record.PositionKey(name, j.Outbox.Source, "Order", "o")
		}
		return record.MarkerKey(name, j.Outbox.Source, "e")
	}
	return j.decide(ctx, c.Label(), aws.ToString(function.Role), aws.ToString(table.Table.TableArn), []request{
		{"its memory in a transaction", "dynamodb:PutItem", keyOf(c.Name), "TransactWriteItems", true},
		{"its memory outside of one", "dynamodb:PutItem", keyOf(c.Name), "", false},
		{"the memory of another consumer", "dynamodb:PutItem", keyOf(c.Name + "2"), "TransactWriteItems", false},
		{"a deletion of its memory", "dynamodb:DeleteItem", keyOf(c.Name), "TransactWriteItems", false},
	})
}

// writersRoles asks what those may do that write the reference application's events: its function UpdateOrder, by GrantWrite,
// and its API.
func (j *job) writersRoles(ctx context.Context) error {
	function, err := j.resource(ctx, "AWS::Lambda::Function", "UpdateOrder")
	if err != nil {
		return err
	}
	api, err := j.resource(ctx, "AWS::IAM::Role", "CreateOrderRole")
	if err != nil {
		return err
	}
	described, err := j.Clients.Lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &function})
	if err != nil {
		return fmt.Errorf("find the role of function %s: %w", function, err)
	}
	table, err := j.Clients.Tables.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &j.Outbox.Table})
	if err != nil {
		return fmt.Errorf("look at table %s: %w", j.Outbox.Table, err)
	}
	role := aws.ToString(described.Role)
	inAccount, _, _ := strings.Cut(role, ":role/")
	key := record.PartitionKey("Order", "o")
	for _, writer := range []struct{ name, role string }{{"UpdateOrder", role}, {"the API", inAccount + ":role/" + api}} {
		err := j.decide(ctx, writer.name, writer.role, aws.ToString(table.Table.TableArn), []request{
			{"an event in a transaction", "dynamodb:PutItem", key, "TransactWriteItems", true},
			{"an event outside of one", "dynamodb:PutItem", key, "", false},
			{"a deletion of an event", "dynamodb:DeleteItem", key, "TransactWriteItems", false},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// resource returns the physical name of the stack's resource whose logical id is the name with CDK's hash behind.
func (j *job) resource(ctx context.Context, kind, name string) (string, error) {
	logical := regexp.MustCompile("^" + name + "[0-9A-F]{8}$")
	pages := cloudformation.NewListStackResourcesPaginator(j.Clients.Stacks, &cloudformation.ListStackResourcesInput{StackName: &j.Stack.Name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", fmt.Errorf("list the resources of stack %s: %w", j.Stack.Name, err)
		}
		for _, r := range page.StackResourceSummaries {
			if aws.ToString(r.ResourceType) == kind && logical.MatchString(aws.ToString(r.LogicalResourceId)) {
				return aws.ToString(r.PhysicalResourceId), nil
			}
		}
	}
	return "", fmt.Errorf("stack %s has no %s %s", j.Stack.Name, kind, name)
}

// A request is one that a role may or must not make.
type request struct {
	what, action, key, operation string
	allowed                      bool
}

// decide asks what IAM decides of the requests of a role on a table.
func (j *job) decide(ctx context.Context, who, role, table string, requests []request) error {
	for _, one := range requests {
		decision, err := j.simulate(ctx, role, one.action, table, one.key, one.operation)
		if err != nil {
			return err
		}
		j.see("%s, %s: %s", who, one.what, decision)
		expect(&j.findings, who+", "+one.what+": allowed", decision == iamtypes.PolicyEvaluationDecisionTypeAllowed, one.allowed)
	}
	return nil
}

// simulate returns what IAM decides of a request. Source: IAM API reference, SimulatePrincipalPolicy.
func (r *Runner) simulate(ctx context.Context, role, action, resource, key, operation string) (iamtypes.PolicyEvaluationDecisionType, error) {
	given := func(name, value string) iamtypes.ContextEntry {
		return iamtypes.ContextEntry{ContextKeyName: &name, ContextKeyType: iamtypes.ContextKeyTypeEnumStringList, ContextKeyValues: []string{value}}
	}
	entries := []iamtypes.ContextEntry{given("dynamodb:LeadingKeys", key)}
	if operation != "" {
		entries = append(entries, given("dynamodb:EnclosingOperation", operation))
	}
	out, err := r.Clients.Roles.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: &role, ActionNames: []string{action}, ResourceArns: []string{resource}, ContextEntries: entries,
	})
	if err != nil {
		return "", fmt.Errorf("ask what role %s may do: %w", role, err)
	}
	if len(out.EvaluationResults) != 1 {
		return "", fmt.Errorf("the policy simulator must give 1 result, got %d", len(out.EvaluationResults))
	}
	return out.EvaluationResults[0].EvalDecision, nil
}
