package golambda

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/internal/keypolicy"
)

// MetadataKey is the key of the function's template metadata under which it says how it was built:
//
//	{"package": "<import path>", "tags": "lambda.norpc,…", "gcflags": "…=-l", "ldflags": "-s -w -buildid="}
const MetadataKey = "outboxkit:golambda"

// Ids of the constructs inside a function. A change replaces the resources of deployed stacks.
const (
	functionID = "Default" // CDK leaves it out of the logical id
	logGroupID = "LogGroup"
	roleID     = "Role"
)

// FunctionProps are the properties of a Go function.
type FunctionProps struct {
	// Entry is the folder of the main package, relative to the app's working directory. Required.
	Entry *string
	// Architecture the program is built for and runs on.
	// Default: arm64.
	Architecture awslambda.Architecture
	// MemorySize in MiB, 128 to 10240.
	// Default: 128.
	MemorySize *float64
	// Timeout of one invocation, 1 second to 15 minutes.
	// Default: 10 seconds.
	Timeout awscdk.Duration
	// Environment variables of the program.
	// Default: none.
	Environment *map[string]*string
	// ReservedConcurrentExecutions is how many invocations may run at once.
	// Default: no limit but the account's.
	ReservedConcurrentExecutions *float64
	// Description shows in the console.
	// Default: none.
	Description *string
	// LogRetention is how long log lines are kept.
	// Default: one month.
	LogRetention awslogs.RetentionDays
	// RemovalPolicy says what happens to the log group when it leaves the stack.
	// Default: RETAIN.
	RemovalPolicy awscdk.RemovalPolicy
	// EncryptionKey encrypts the log group and the environment variables. Its policy gets the statement
	// that CloudWatch Logs needs; for an imported key the synthesis warns and shows what the owner must add.
	// Default: keys that AWS owns or manages.
	EncryptionKey awskms.IKey
}

// NewFunction adds a Go function on provided.al2023, with JSON logs, a log group of its own, active
// X-Ray tracing, and a role that may do nothing but log and trace.
//
// An entry that does not exist, is no main package or does not compile stops the synthesis with a
// panic that shows the go command's own output. Where the stack needs no bundling (`cdk list`, or a
// test that sets the context aws:cdk:bundling-stacks to an empty list) nothing is compiled and the
// source folder stands in for the asset.
func NewFunction(scope constructs.Construct, id *string, props *FunctionProps) awslambda.Function {
	c := newConfig(props)
	code, err := bundle(c.Entry, Architecture(*c.Architecture.Name()), *awscdk.Stack_Of(scope).BundlingRequired())
	if err != nil {
		panic(fmt.Sprintf("golambda %q: %v", *id, err))
	}
	defer code.discard()

	group := constructs.NewConstruct(scope, id)
	logGroup := newLogGroup(group, c)
	function := awslambda.NewFunction(group, jsii.String(functionID), &awslambda.FunctionProps{
		Runtime:                      awslambda.Runtime_PROVIDED_AL2023(),
		Handler:                      jsii.String(bootstrap),
		Code:                         awslambda.Code_FromAsset(&code.dir, nil),
		Architecture:                 c.Architecture,
		MemorySize:                   c.MemorySize,
		Timeout:                      c.Timeout,
		Environment:                  c.Environment,
		EnvironmentEncryption:        c.EncryptionKey,
		ReservedConcurrentExecutions: c.ReservedConcurrentExecutions,
		Description:                  c.Description,
		Role:                         newRole(group, logGroup),
		LogGroup:                     logGroup,
		LoggingFormat:                awslambda.LoggingFormat_JSON,
		Tracing:                      awslambda.Tracing_ACTIVE,
	})
	function.Node().DefaultChild().(awslambda.CfnFunction).AddMetadata(jsii.String(MetadataKey), map[string]string{
		"package": code.importPath,
		"tags":    buildTags,
		"gcflags": compilerFlags,
		"ldflags": linkerFlags,
	})
	return function
}

// newConfig is a copy of the properties with the defaults filled in.
func newConfig(props *FunctionProps) FunctionProps {
	var c FunctionProps
	if props != nil {
		c = *props
	}
	if c.Architecture == nil {
		c.Architecture = awslambda.Architecture_ARM_64()
	}
	if c.MemorySize == nil {
		c.MemorySize = jsii.Number(128)
	}
	if c.Timeout == nil {
		c.Timeout = awscdk.Duration_Seconds(jsii.Number(10))
	}
	if c.LogRetention == "" {
		c.LogRetention = awslogs.RetentionDays_ONE_MONTH
	}
	return c
}

func newLogGroup(scope constructs.Construct, c FunctionProps) awslogs.LogGroup {
	if c.EncryptionKey != nil {
		keypolicy.AllowLogs(scope, c.EncryptionKey)
	}
	return awslogs.NewLogGroup(scope, jsii.String(logGroupID), &awslogs.LogGroupProps{
		Retention:     c.LogRetention,
		RemovalPolicy: c.RemovalPolicy,
		EncryptionKey: c.EncryptionKey,
	})
}

// newRole is narrower than the role that CDK would make, whose managed policy lets a function write
// to every log group of the account.
func newRole(scope constructs.Construct, logGroup awslogs.LogGroup) awsiam.Role {
	role := awsiam.NewRole(scope, jsii.String(roleID), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	})
	logGroup.GrantWrite(role)
	return role
}
