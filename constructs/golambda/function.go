package golambda

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/internal/environment"
	"github.com/outboxkit/transactional-outbox/constructs/internal/keypolicy"
)

// MetadataKey is the key of the function's template metadata that holds how it was built:
//
//	{"source": "../lambdas/one", "tags": ["lambda.norpc"], "ldflags": ["-s", "-w"]}
//
// The source folder is relative to the folder of the cloud assembly that holds the template. "flags", "experiment" and
// "fips140" are there where the options, GOFLAGS, GOEXPERIMENT or GOFIPS140 say something.
//
// Of a program from a module that the app depends on, where its folder is differs from machine to machine. In place of
// "source" there are then the module, the package in it, and the app's folder, whose go.mod says which version:
//
//	{"module": "example.com/lib", "package": "functions/one", "app": "..", …}
const MetadataKey = "outboxkit:golambda"

// Ids of the constructs inside a function. A change replaces the resources of deployed stacks.
const (
	functionID = "Default" // CDK leaves it out of the logical id
	logGroupID = "LogGroup"
	roleID     = "Role"
)

// NewFunction adds a Go function on provided.al2023, with JSON logs, a log group of its own, active
// X-Ray tracing unless Tracing says otherwise, and a role that may do nothing but log, trace and, with a VPC, use its network.
//
// Properties that are wrong stop the synthesis with one panic that lists everything [FunctionProps.Validate]
// finds, before anything is added. So does an entry that is no main package or does not compile, with the go
// command's own output. Where the stack needs no bundling (`cdk list`, or a test that sets the context
// aws:cdk:bundling-stacks to an empty list) nothing is compiled and the source folder stands in for the asset.
func NewFunction(scope constructs.Construct, id *string, props *FunctionProps) awslambda.Function {
	if id == nil {
		panic("golambda: the id must be a text, got nil")
	}
	if scope == nil {
		panic(fmt.Sprintf("golambda %q: the scope must be a construct, got nil", *id))
	}
	if err := props.Validate(); err != nil {
		panic(fmt.Sprintf("golambda %q: %v", *id, err))
	}
	c := props.WithDefaults()
	code, built, err := c.code(scope)
	if err != nil {
		panic(fmt.Sprintf("golambda %q: %v", *id, err))
	}
	defer code.discard()

	group := constructs.NewConstruct(scope, id)
	logGroup := newLogGroup(group, c)
	functionProps := awslambda.FunctionProps{
		Runtime:                      awslambda.Runtime_PROVIDED_AL2023(),
		Handler:                      jsii.String(bootstrap),
		Code:                         awslambda.Code_FromAsset(&code.dir, &awss3assets.AssetOptions{AssetHash: code.hash}),
		Architecture:                 c.Architecture,
		MemorySize:                   c.MemorySize,
		Timeout:                      c.Timeout,
		Environment:                  c.Environment,
		EnvironmentEncryption:        c.EncryptionKey,
		ReservedConcurrentExecutions: c.ReservedConcurrentExecutions,
		Description:                  c.Description,
		Role:                         newRole(group, logGroup, c.inVPC()),
		LogGroup:                     logGroup,
		LoggingFormat:                awslambda.LoggingFormat_JSON,
		Tracing:                      c.Tracing,
	}
	apply(c.Options, &functionProps)
	function := awslambda.NewFunction(group, jsii.String(functionID), &functionProps)
	function.Node().DefaultChild().(awslambda.CfnFunction).AddMetadata(jsii.String(MetadataKey), built)
	environment.Keep(function, c.Environment)
	return function
}

// code returns the function's code, built where the stack needs that, and the metadata about how.
func (p *FunctionProps) code(scope constructs.Construct) (code, map[string]any, error) {
	src, err := newSource(p.Module, *p.Entry, Architecture(*p.Architecture.Name()), p.Build.settings())
	if err != nil {
		return code{}, nil, err
	}
	built, err := src.metadata(*awscdk.Stage_Of(scope).Outdir())
	if err != nil {
		return code{}, nil, err
	}
	if !*awscdk.Stack_Of(scope).BundlingRequired() {
		return code{dir: src.Dir, discard: func() {}}, built, nil
	}
	c, err := bundle(src.Target, !stagingDisabled(scope))
	return c, built, err
}

// metadata returns what a template in the cloud assembly says about the source.
func (s source) metadata(assembly string) (map[string]any, error) {
	effective, err := builder.Effective(context.Background(), s.Target)
	if err != nil {
		return nil, err
	}
	built := map[string]any{}
	for _, part := range []any{effective, s.origin} {
		text, err := json.Marshal(part)
		if err == nil {
			err = json.Unmarshal(text, &built)
		}
		if err != nil {
			return nil, err
		}
	}
	if s.Standalone {
		built["app"], err = relativeTo(assembly, ".")
	} else {
		built["source"], err = relativeTo(assembly, s.Dir)
	}
	return built, err
}

// relativeTo returns the path of dir from the folder assembly on, with slashes.
func relativeTo(assembly, dir string) (string, error) {
	assembly, err := filepath.Abs(assembly)
	if err != nil {
		return "", err
	}
	if linked, err := filepath.EvalSymlinks(assembly); err == nil { // ".." behind a link leads elsewhere
		assembly = linked
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	if linked, err := filepath.EvalSymlinks(dir); err == nil {
		dir = linked
	}
	path, err := filepath.Rel(assembly, dir)
	if err != nil {
		return "", fmt.Errorf("entry %s and the cloud assembly %s must be on one disk: %w", dir, assembly, err)
	}
	return filepath.ToSlash(path), nil
}

// stagingDisabled reports whether assets stay where they are, as with `cdk synth --no-staging`.
// Source: AWS CDK reference, aws-cdk-lib.cx_api, DISABLE_ASSET_STAGING_CONTEXT.
func stagingDisabled(scope constructs.Construct) bool {
	value := scope.Node().TryGetContext(jsii.String("aws:cdk:disable-asset-staging"))
	return value == true || value == "true"
}

func newLogGroup(scope constructs.Construct, c *FunctionProps) awslogs.LogGroup {
	if c.EncryptionKey != nil {
		keypolicy.AllowLogs(scope, c.EncryptionKey)
	}
	return awslogs.NewLogGroup(scope, jsii.String(logGroupID), &awslogs.LogGroupProps{
		Retention:     c.LogRetention,
		RemovalPolicy: c.RemovalPolicy,
		EncryptionKey: c.EncryptionKey,
	})
}

// networkActions are what a function in a VPC needs beyond its security groups.
// Source: Lambda developer guide, configuration-vpc; AWSLambdaVPCAccessExecutionRole.
var networkActions = []string{
	"ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces",
	"ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
}

// newRole returns a role that is narrower than the one that CDK would make, whose managed policy lets a
// function write to every log group of the account.
func newRole(scope constructs.Construct, logGroup awslogs.LogGroup, inVPC bool) awsiam.Role {
	role := awsiam.NewRole(scope, jsii.String(roleID), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	})
	logGroup.GrantWrite(role)
	if inVPC {
		// The interfaces are Lambda's, with ids that nobody knows before.
		role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Actions:   jsii.Strings(networkActions...),
			Resources: jsii.Strings("*"),
		}))
	}
	return role
}

// inVPC reports whether the function is attached to a VPC.
func (p *FunctionProps) inVPC() bool { return p.Options != nil && p.Options.Vpc != nil }
