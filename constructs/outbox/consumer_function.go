package outbox

import (
	"maps"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"

	"github.com/outboxkit/transactional-outbox/constructs/internal/environment"
)

// consumerOfFunction is the metadata that marks a function as the one of a consumer with an inbox.
const consumerOfFunction = "outboxkit:consumer"

// currentVersion is the id of the version that CDK publishes anew whenever the function changes.
// Source: AWS CDK reference, aws-cdk-lib.aws_lambda.Function, currentVersion.
const currentVersion = "CurrentVersion"

// checkFunction finds what is wrong with the function.
func (c *consumerConfig) checkFunction(found *problems) {
	switch {
	case c.Function == nil && c.GoFunction == nil:
		found.add("Function or GoFunction must be set, got neither")
	case c.Function != nil && c.GoFunction != nil:
		found.add("GoFunction must not be set together with Function")
	case c.GoFunction != nil:
		found.addAll("GoFunction", c.GoFunction.Validate())
		c.checkReserved(found, "GoFunction.ReservedConcurrentExecutions", c.GoFunction.ReservedConcurrentExecutions)
		c.checkEnvironment(found)
	default:
		found.sameAccount("Function", c.Function, c.at.stack, "an event source mapping is made in the function's account and region")
		if c.function != nil {
			c.checkReserved(found, "the reserved concurrency of Function", reservedOf(c.function))
		}
	}
}

// checkReserved checks that the function may run as often at once as the queue starts it: with fewer,
// throttled messages would end in the dead-letter queue.
func (c *consumerConfig) checkReserved(found *problems, name string, reserved *float64) {
	if reserved != nil && *reserved < *c.MaxConcurrency && !unresolved(reserved) && !unresolved(c.MaxConcurrency) {
		found.add("%s must be at least MaxConcurrency, which is %v, got %v: throttled messages would end in the dead-letter queue", name, *c.MaxConcurrency, *reserved)
	}
}

// checkEnvironment checks that the application leaves alone the variables that the construct sets.
func (c *consumerConfig) checkEnvironment(found *problems) {
	if c.GoFunction.Environment == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(*c.GoFunction.Environment)) {
		if slices.Contains(inboxVariables, name) || slices.Contains(writerVariables, name) {
			found.add("GoFunction.Environment must not set %s, which the outbox sets", name)
		}
	}
}

// checkInboxFunction checks that a supplied function can be given an inbox.
func (c *consumerConfig) checkInboxFunction(found *problems) {
	if c.Function == nil {
		return
	}
	if c.function == nil {
		found.add("Function must be one of this app, or an alias of its current version, with Inbox TABLE, got one whose environment cannot be set here, like an imported one: set Inbox to NONE")
		return
	}
	if version := fixedVersion(c.Function); version != "" {
		found.add("Function must not point to the version %s, whose environment stays as it was published: make the alias of the function's CurrentVersion()", version)
	}
	for _, name := range environment.Names(c.function) {
		if slices.Contains(inboxVariables, name) {
			found.add("Function must not set %s in its Environment, which the outbox sets", name)
		}
	}
	if other := markOf(c.function, consumerOfFunction); other != "" {
		found.add("Function must be that of one consumer with an inbox, got that of %s, whose name is in its environment: give each consumer a function, or set Inbox to NONE", other)
	}
}

// functionOf returns the function of this app that a grantee is, or that the alias or version points to, or nil.
func functionOf(grantee awsiam.IGrantable) awslambda.Function {
	switch it := grantee.(type) {
	case awslambda.Function:
		return it
	case awslambda.Alias:
		return functionOf(it.Lambda())
	case awslambda.IVersion:
		return functionOf(it.Lambda())
	}
	return nil
}

// fixedVersion returns the path of the version that a function points to, where that is another than the
// current one.
func fixedVersion(function awsiam.IGrantable) string {
	var version awslambda.IVersion
	switch it := function.(type) {
	case awslambda.Alias:
		version = it.Version()
	case awslambda.IVersion:
		version = it
	}
	if version == nil || *version.Node().Id() == currentVersion {
		return ""
	}
	return *version.Node().Path()
}

// timeoutOf returns how long one invocation of a function may take, where it is one of this app.
func timeoutOf(function awslambda.Function) span {
	if function == nil {
		return span{}
	}
	if timeout := function.Timeout(); timeout != nil {
		return spanOf(timeout)
	}
	return span{length: lambdaTimeout, known: true}
}

func reservedOf(function awslambda.Function) *float64 {
	if cfn, ok := function.Node().DefaultChild().(awslambda.CfnFunction); ok {
		return cfn.ReservedConcurrentExecutions()
	}
	return nil
}
