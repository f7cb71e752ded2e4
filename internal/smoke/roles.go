package smoke

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

var rolesCheck = Check{
	Number: 8, Title: "a consumer may put its memory in a transaction, and nothing outside of one",
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
	if asked == 0 {
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
	for _, one := range []struct {
		what, action, key, operation string
		allowed                      bool
	}{
		{"its memory in a transaction", "dynamodb:PutItem", keyOf(c.Name), "TransactWriteItems", true},
		{"its memory outside of one", "dynamodb:PutItem", keyOf(c.Name), "", false},
		{"the memory of another consumer", "dynamodb:PutItem", keyOf(c.Name + "2"), "TransactWriteItems", false},
		{"a deletion of its memory", "dynamodb:DeleteItem", keyOf(c.Name), "TransactWriteItems", false},
	} {
		decision, err := j.simulate(ctx, aws.ToString(function.Role), one.action, aws.ToString(table.Table.TableArn), one.key, one.operation)
		if err != nil {
			return err
		}
		j.see("%s, %s: %s", c.Label(), one.what, decision)
		expect(&j.findings, c.Label()+", "+one.what+": allowed", decision == iamtypes.PolicyEvaluationDecisionTypeAllowed, one.allowed)
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
