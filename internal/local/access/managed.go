package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/iam"
)

// awsManaged is the prefix of the ARNs of the policies that AWS manages.
const awsManaged = "arn:aws:iam::aws:policy/"

const writeLogs = `"logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"`

// knownManaged holds the actions of the policies of AWS that roles of an outbox have, each on all resources.
// Source: AWS managed policy reference guide.
var knownManaged = map[string]string{
	"service-role/AWSLambdaBasicExecutionRole":    writeLogs,
	"service-role/AWSLambdaSQSQueueExecutionRole": `"sqs:ReceiveMessage","sqs:DeleteMessage","sqs:GetQueueAttributes",` + writeLogs,
	"service-role/AWSLambdaDynamoDBExecutionRole": `"dynamodb:DescribeStream","dynamodb:GetRecords","dynamodb:GetShardIterator","dynamodb:ListStreams",` + writeLogs,
	"service-role/AWSLambdaVPCAccessExecutionRole": `"ec2:CreateNetworkInterface","ec2:DescribeNetworkInterfaces","ec2:DescribeSubnets","ec2:DeleteNetworkInterface",` +
		`"ec2:AssignPrivateIpAddresses","ec2:UnassignPrivateIpAddresses",` + writeLogs,
	"service-role/AmazonAPIGatewayPushToCloudWatchLogs": `"logs:DescribeLogGroups","logs:DescribeLogStreams","logs:GetLogEvents","logs:FilterLogEvents",` + writeLogs,
	"AWSXRayDaemonWriteAccess":                          `"xray:PutTraceSegments","xray:PutTelemetryRecords","xray:GetSamplingRules","xray:GetSamplingTargets","xray:GetSamplingStatisticSummaries"`,
	"AmazonSQSFullAccess":                               `"sqs:*"`,
	"AdministratorAccess":                               `"*"`,
}

// knowManaged makes a managed policy known, or returns an error for one whose content is not known. The empty ARN is
// none.
func (a *Authority) knowManaged(arn string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if arn == "" || a.managed[arn] != nil {
		return nil
	}
	actions, known := knownManaged[strings.TrimPrefix(arn, awsManaged)]
	if !known || !strings.HasPrefix(arn, awsManaged) {
		return fmt.Errorf("managed policy %s is not known to the local run, which knows those of the template and of AWS %s; --iam=off runs the stack without permissions",
			arn, strings.Join(slices.Sorted(maps.Keys(knownManaged)), ", "))
	}
	parsed, err := iam.Parse(iam.Identity, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":[`+actions+`],"Resource":"*"}}`))
	a.managed[arn] = parsed
	return err
}
