package golambda

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"
)

// FunctionProps are the properties of a Go function.
type FunctionProps struct {
	// Entry is the folder of the main package, relative to the app's working directory. It may lie in a Go
	// module of its own. With Module, it is relative to that module's folder, with slashes. Required.
	Entry *string
	// Module is the path of the module that holds Entry, where that is one that the app depends on. The app's go.mod says
	// which version, and go.work or a replace what takes its place. The program is built in the module's own folder, by its own
	// go.mod and go.sum: the app's need not name what only the program needs. Where it is the app's own module, or one of its
	// go.work, the program is built as the app's own are.
	// Default: Entry is a folder of the app.
	Module *string
	// Build is how the go command builds the program, beyond what every function gets. The environment
	// counts too: see the package documentation.
	// Default: no further tags or flags.
	Build *BuildOptions
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
	// ReservedConcurrentExecutions is how many invocations may run at once, 0 or more.
	// Default: no limit but the account's.
	ReservedConcurrentExecutions *float64
	// Description shows in the console, at most 256 characters.
	// Default: none.
	Description *string
	// LogRetention is how long log lines are kept.
	// Default: one month.
	LogRetention awslogs.RetentionDays
	// RemovalPolicy is what happens to the log group when it leaves the stack.
	// Default: RETAIN.
	RemovalPolicy awscdk.RemovalPolicy
	// EncryptionKey encrypts the log group and the environment variables. Its policy gets the statement
	// that CloudWatch Logs needs; for an imported key the synthesis warns and shows what the owner must add.
	// Default: keys that AWS owns or manages.
	EncryptionKey awskms.IKey
	// Tracing is whether invocations are traced with X-Ray, for which AWS charges by the trace.
	// Default: awslambda.Tracing_ACTIVE.
	Tracing awslambda.Tracing
	// Options is everything else that CDK's own function takes: VPC, security groups, layers, ephemeral
	// storage, log level, file system and so on. What has a field above, and what this package sets itself
	// (Role, LogGroup, LoggingFormat and the older settings of logs), is refused there.
	// Default: CDK's defaults.
	Options *awslambda.FunctionOptions
}

// The defaults of a function.
const (
	defaultMemoryMiB      = 128
	defaultTimeoutSeconds = 10
)

// WithDefaults returns a copy in which every property that has a default has a value. A nil receiver counts
// as no properties.
func (p *FunctionProps) WithDefaults() *FunctionProps {
	var c FunctionProps
	if p != nil {
		c = *p
	}
	if c.Architecture == nil {
		c.Architecture = awslambda.Architecture_ARM_64()
	}
	if c.MemorySize == nil {
		c.MemorySize = jsii.Number(defaultMemoryMiB)
	}
	if c.Timeout == nil {
		c.Timeout = awscdk.Duration_Seconds(jsii.Number(defaultTimeoutSeconds))
	}
	if c.LogRetention == "" {
		c.LogRetention = awslogs.RetentionDays_ONE_MONTH
	}
	if c.RemovalPolicy == "" {
		c.RemovalPolicy = awscdk.RemovalPolicy_RETAIN
	}
	if c.Tracing == "" {
		c.Tracing = awslambda.Tracing_ACTIVE
	}
	return &c
}
