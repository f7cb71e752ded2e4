package smoke

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	"github.com/aws/aws-sdk-go-v2/service/pipes/types"
)

// productionName is what stacks are called that people depend on: a word by itself, or one that a capital letter begins and
// the next one ends. "Products" and "Delivery" are neither.
var productionName = regexp.MustCompile(`(?i:(^|[-_/.])(prod|production|prd|live)([-_/.]|$))|` +
	`(Prod|Production|Prd|Live|PROD|PRD|LIVE)([-_/.A-Z0-9]|$)|(^|[-_/.])(prod|production|prd|live)[A-Z0-9]`)

// ProductionFlag is the flag that lets checks run there all the same.
const ProductionFlag = "i-know-this-is-production"

// refuseProduction returns an error that names by what the stack looks like production, if it does.
func (r *Runner) refuseProduction(ctx context.Context) error {
	if r.Production {
		return nil
	}
	signs, err := r.productionSigns(ctx)
	if err != nil || len(signs) == 0 {
		return err
	}
	return fmt.Errorf("stack %s looks like production: %s. The checks stop its pipe and let events fail; on a stack that nobody depends on, --%s runs them",
		r.Stack.Name, strings.Join(signs, ", "), ProductionFlag)
}

// needRunningPipe returns an error where the pipe does not run. The checks do not start one that somebody has stopped.
func (r *Runner) needRunningPipe(ctx context.Context) error {
	out, err := r.Clients.Pipe.DescribePipe(ctx, &pipes.DescribePipeInput{Name: &r.Outbox.Pipe})
	if err != nil {
		return fmt.Errorf("look at pipe %s: %w", r.Outbox.Pipe, err)
	}
	if out.CurrentState != types.PipeStateRunning {
		return fmt.Errorf("pipe %s must be RUNNING, and is %s: find out who has stopped it and why, then `%s`",
			r.Outbox.Pipe, out.CurrentState, r.Command.For("resume", "--pipe"))
	}
	return nil
}

func (r *Runner) productionSigns(ctx context.Context) (signs []string, err error) {
	if productionName.MatchString(r.Stack.Name) {
		signs = append(signs, "its name")
	}
	stacks, err := r.Clients.Stacks.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &r.Stack.Name})
	if err != nil {
		return nil, fmt.Errorf("look at stack %s: %w", r.Stack.Name, err)
	}
	for _, s := range stacks.Stacks {
		if aws.ToBool(s.EnableTerminationProtection) {
			signs = append(signs, "its termination protection")
		}
	}
	if r.Outbox == nil {
		return nil, errors.New("it has no outbox")
	}
	table, err := r.Clients.Tables.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &r.Outbox.Table})
	if err != nil {
		return nil, fmt.Errorf("look at table %s: %w", r.Outbox.Table, err)
	}
	if aws.ToBool(table.Table.DeletionProtectionEnabled) {
		signs = append(signs, "the deletion protection of its outbox table")
	}
	return signs, nil
}
