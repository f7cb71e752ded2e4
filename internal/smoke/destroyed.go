package smoke

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/operate"
)

var destroyedCheck = Check{
	Number: 16, Title: "what is left after cdk destroy",
	Does: "reads what CloudFormation deleted and kept, and looks for it; changes nothing",
	Open: "whether something stays that the stack did not name",

	Minutes: 0.5, AfterDestroy: true, run: destroyed,
}

// apiLogging are the resources of API Gateway's log role of the whole account, which stays on purpose: other APIs may log
// through it by then.
var apiLogging = map[string]bool{"AWS::IAM::Role": true, "AWS::ApiGateway::Account": true}

func destroyed(ctx context.Context, j *job) error {
	id, err := j.deletedStack(ctx)
	if err != nil {
		return err
	}
	resources := 0
	pages := cloudformation.NewListStackResourcesPaginator(j.Clients.Stacks, &cloudformation.ListStackResourcesInput{StackName: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("read what stack %s had: %w", j.Stack.Name, err)
		}
		for _, r := range page.StackResourceSummaries {
			resources++
			if err := j.remains(ctx, r); err != nil {
				return err
			}
		}
	}
	j.see("looked at %d resources of %s", resources, id)
	return j.leftovers(ctx)
}

// deletedStack returns the id of the stack that was deleted last under the name: by its name it can no longer be read.
// Source: CloudFormation API reference, ListStacks (90 days).
func (j *job) deletedStack(ctx context.Context) (string, error) {
	_, err := j.Clients.Stacks.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &j.Stack.Name})
	if err == nil {
		return "", fmt.Errorf("stack %s is still there: run `npx cdk destroy %s` first", j.Stack.Name, j.Stack.Name)
	}
	if !hasCode(err, "ValidationError") { // CloudFormation's word for a stack that is not there
		return "", fmt.Errorf("look for stack %s: %w", j.Stack.Name, err)
	}
	var found cftypes.StackSummary
	pages := cloudformation.NewListStacksPaginator(j.Clients.Stacks, &cloudformation.ListStacksInput{StackStatusFilter: []cftypes.StackStatus{cftypes.StackStatusDeleteComplete}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", fmt.Errorf("list deleted stacks: %w", err)
		}
		for _, s := range page.StackSummaries {
			if aws.ToString(s.StackName) == j.Stack.Name && aws.ToTime(s.DeletionTime).After(aws.ToTime(found.DeletionTime)) {
				found = s
			}
		}
	}
	if found.StackId == nil {
		return "", fmt.Errorf("no stack %q was deleted in %s within the last 90 days", j.Stack.Name, j.Clients.Where)
	}
	j.see("deleted %s", aws.ToTime(found.DeletionTime).UTC().Format(time.RFC3339))
	return *found.StackId, nil
}

// remains notes a resource that is still there.
func (j *job) remains(ctx context.Context, r cftypes.StackResourceSummary) error {
	kind, name := aws.ToString(r.ResourceType), aws.ToString(r.PhysicalResourceId)
	if r.ResourceStatus == cftypes.ResourceStatusDeleteComplete {
		there, err := j.exists(ctx, kind, name)
		if there {
			j.fail("CloudFormation says that %s %s is deleted, and it is there", kind, name)
		}
		return err
	}
	if apiLogging[kind] && strings.Contains(aws.ToString(r.LogicalResourceId), "Api") {
		j.see("%s %s stays on purpose: other APIs of the account may log through it", kind, name)
		return nil
	}
	j.fail("%s %s is left, as %s", kind, name, r.ResourceStatus)
	return nil
}

// exists reports whether a table or a queue is there. Of other kinds CloudFormation's word counts.
func (j *job) exists(ctx context.Context, kind, name string) (bool, error) {
	var err error
	var gone []string
	switch kind {
	case "AWS::DynamoDB::Table":
		_, err = j.Clients.Tables.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
		gone = []string{"ResourceNotFoundException"}
	case "AWS::SQS::Queue":
		_, err = j.Clients.Queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &name})
		gone = []string{"QueueDoesNotExist", "NonExistentQueue"}
	default:
		return false, nil
	}
	if err == nil {
		return true, nil
	}
	if hasCode(err, gone...) {
		return false, nil
	}
	return false, fmt.Errorf("look for %s %s: %w", kind, name, err)
}

// leftovers notes what earlier runs of these checks have left behind.
func (j *job) leftovers(ctx context.Context) error {
	all, err := j.earlier(ctx)
	for _, what := range all {
		j.fail("%s of an earlier run is left", what)
	}
	return err
}

// earlier returns what earlier runs have left behind, because they were killed. Another run that is under way counts too.
func (r *Runner) earlier(ctx context.Context) (all []string, err error) {
	queues, err := r.Clients.Queues.ListQueues(ctx, &sqs.ListQueuesInput{QueueNamePrefix: aws.String(namePrefix)})
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	for _, url := range queues.QueueUrls {
		all = append(all, "queue "+url)
	}
	if r.Outbox == nil { // and no bus either
		return all, nil
	}
	rules, err := r.Clients.Buses.ListRules(ctx, &eventbridge.ListRulesInput{EventBusName: &r.Outbox.Bus, NamePrefix: aws.String(namePrefix)})
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	for _, rule := range rules.Rules {
		all = append(all, "rule "+aws.ToString(rule.Name)+" on bus "+r.Outbox.Bus)
	}
	denials, err := r.earlierDenials(ctx)
	if err != nil {
		return nil, err
	}
	age, err := r.earlierAge(ctx)
	return slices.Concat(all, denials, age), err
}

// denialSid finds the statements that checks put into the policy of a bus.
var denialSid = regexp.MustCompile(`"Sid"\s*:\s*"(` + denialPrefix + `[^"]*)"`)

func (r *Runner) earlierDenials(ctx context.Context) (all []string, err error) {
	bus, err := r.Clients.Buses.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &r.Outbox.Bus})
	if err != nil {
		return nil, fmt.Errorf("read the policy of bus %s: %w", r.Outbox.Bus, err)
	}
	for _, found := range denialSid.FindAllStringSubmatch(aws.ToString(bus.Policy), -1) {
		all = append(all, "the denial "+found[1]+" in the policy of bus "+r.Outbox.Bus)
	}
	return all, nil
}

// earlierAge notes a record age of the pipe that is the check's and not the one it was deployed with.
func (r *Runner) earlierAge(ctx context.Context) ([]string, error) {
	p, err := r.Clients.Pipe.DescribePipe(ctx, &pipes.DescribePipeInput{Name: &r.Outbox.Pipe})
	if err != nil {
		return nil, fmt.Errorf("read pipe %s: %w", r.Outbox.Pipe, err)
	}
	if p.SourceParameters == nil || p.SourceParameters.DynamoDBStreamParameters == nil {
		return nil, nil
	}
	age := aws.ToInt32(p.SourceParameters.DynamoDBStreamParameters.MaximumRecordAgeInSeconds)
	if deployed := r.Outbox.MaximumRecordAgeSeconds; age == shortAge && deployed != fmt.Sprint(age) {
		return []string{fmt.Sprintf("MaximumRecordAgeInSeconds %d of pipe %s, which was deployed with %s,", age, r.Outbox.Pipe, deployed)}, nil
	}
	return nil, nil
}

// AfterDestroy runs the check of a stack that was destroyed: nothing else can be found of it.
func (r *Runner) AfterDestroy(ctx context.Context, stack string) (*Report, error) {
	if stack == "" {
		return nil, errors.New("--after-destroy needs --stack: there is no stack to find")
	}
	r.Stack = &operate.Stack{Name: stack}
	report := &Report{Stack: stack, Where: r.Clients.Where, Began: time.Now().UTC().Truncate(time.Second)}
	defer r.end(ctx, report)
	report.Checks = append(report.Checks, r.one(ctx, destroyedCheck))
	return report, nil
}
