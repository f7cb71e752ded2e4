package outbox

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/internal/environment"
)

// The environment variables are the contract with runtime/inbox and runtime/outbox.
const (
	envOutboxTable       = "OUTBOX_TABLE"
	envOutboxSource      = "OUTBOX_SOURCE"
	envOutboxRetention   = "OUTBOX_RETENTION_SECONDS"
	envInboxTable        = "INBOX_TABLE"
	envInboxConsumer     = "INBOX_CONSUMER"
	envInboxTTL          = "INBOX_TTL_SECONDS"
	envInboxOrigin       = "INBOX_ORIGIN_TABLE"
	envConsumerQueue     = "CONSUMER_QUEUE_URL"
	envConsumerDeadQueue = "CONSUMER_DLQ_URL"
)

// What a consumer's function gets from AddConsumer, and a writer from GrantWrite.
var (
	inboxVariables  = []string{envInboxTable, envInboxConsumer, envInboxTTL, envInboxOrigin, envConsumerQueue, envConsumerDeadQueue}
	writerVariables = []string{envOutboxTable, envOutboxSource, envOutboxRetention}
)

// A variable stands in a list, because the order of a map, and with it the template, would change from synth
// to synth.
type variable struct {
	name  string
	value *string
}

// writerOfFunction is the metadata that marks a function as a writer of an outbox.
const writerOfFunction = "outboxkit:writer"

// markAsWriter refuses a function that already writes to another outbox, for its environment names one.
func (f *flow) markAsWriter(function awslambda.Function) {
	box := *f.scope.Node().Path()
	switch other := markOf(function, writerOfFunction); other {
	case box:
	case "":
		function.Node().AddMetadata(jsii.String(writerOfFunction), box, nil)
	default:
		panic(fmt.Sprintf("outbox %s: the function of GrantWrite must write to one outbox, got %s, which writes to %s: give it the second one's table and source in variables of your own, and the permission with GrantTransactionWrites",
			box, *function.Node().Path(), other))
	}
}

// refuseOwnVariables refuses a function that the application gave variables of the same names.
func (f *flow) refuseOwnVariables(function awslambda.Function) {
	var found problems
	for _, name := range environment.Names(function) {
		if slices.Contains(writerVariables, name) {
			found.add("function %s must not set %s in its Environment, which the outbox sets", *function.Node().Path(), name)
		}
	}
	found.refuse("GrantWrite of outbox", f.scope.Node().Path())
}

// markOf returns what the metadata of a type says of a function, or nothing.
func markOf(function awslambda.Function, kind string) string {
	for _, entry := range *function.Node().Metadata() {
		if *entry.Type == kind {
			return fmt.Sprint(entry.Data)
		}
	}
	return ""
}

// setWriterVariables gives a function what outbox.FromEnv of runtime/outbox reads. A grantee that is no
// function needs nothing.
func (f *flow) setWriterVariables(grantee awsiam.IGrantable) {
	function := functionOf(grantee)
	if function == nil {
		if imported, ok := grantee.(awslambda.IFunction); ok {
			path := *imported.Node().Path()
			warn(f.scope, "function-environment:"+path, fmt.Sprintf("the environment of the imported function %s cannot be set from here: its owner must set %s", path, strings.Join(writerVariables, ", ")))
		}
		return
	}
	f.refuseOwnVariables(function)
	f.markAsWriter(function)
	if version := fixedVersion(grantee); version != "" {
		warn(f.scope, "function-version:"+version, fmt.Sprintf("the environment of the function is set, but the version %s keeps what it was published with: grant to an alias of the function's CurrentVersion()", version))
	}
	for _, v := range []variable{
		{envOutboxTable, f.table.TableName()},
		{envOutboxSource, f.source},
		{envOutboxRetention, f.eventRetention.seconds()},
	} {
		function.AddEnvironment(&v.name, v.value, nil)
	}
}
