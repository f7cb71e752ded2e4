package outbox

import (
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
)

// The functions that the construct brings along, in this module.
const (
	heartbeatEntry = "constructs/functions/heartbeat"
	auditorEntry   = "constructs/functions/auditor"
)

// ownModule is the path of this module, which a fork may have changed.
var ownModule = strings.TrimSuffix(reflect.TypeFor[TransactionalOutbox]().PkgPath(), "/constructs/outbox")

// prebuildOwnFunctions starts building what the outbox is going to need, by one go command.
func prebuildOwnFunctions(scope constructs.Construct, c outboxConfig) {
	var entries []string
	if c.Monitor != nil {
		entries = append(entries, heartbeatEntry)
	}
	if c.Audit != nil {
		entries = append(entries, auditorEntry)
	}
	if len(entries) > 0 && *awscdk.Stack_Of(scope).BundlingRequired() {
		golambda.PrebuildModule(ownModule, golambda.ARM64, entries...)
	}
}

// newOwnFunction adds a function that the construct brings along. It is not traced: nobody waits for it, and a trace a
// minute would cost more than all its invocations.
//
// EventBridge invokes it asynchronously, so by default Lambda would try a failed run twice more and keep a late one for six
// hours: then more than one would run in a minute. The next minute's run does what a failed one has left.
// Source: Lambda developer guide, invocation-async-error-handling.
func (o *TransactionalOutbox) newOwnFunction(id, entry string, memory float64, timeout time.Duration, variables []variable) awslambda.Function {
	environment := map[string]*string{}
	for _, v := range variables {
		environment[v.name] = v.value
	}
	function := golambda.NewFunction(o, &id, &golambda.FunctionProps{
		Module:        &ownModule,
		Entry:         &entry,
		MemorySize:    &memory,
		Timeout:       spanFor(timeout).duration,
		Environment:   &environment,
		LogRetention:  o.logRetention,
		RemovalPolicy: o.removalPolicy,
		EncryptionKey: o.encryptionKey,
		Tracing:       awslambda.Tracing_DISABLED,
	})
	function.ConfigureAsyncInvoke(&awslambda.EventInvokeConfigOptions{
		RetryAttempts: jsii.Number(0),
		MaxEventAge:   spanFor(minute).duration,
	})
	return function
}

// grantQueue allows the actions on the queue, and the use of its key where the queue does that in the grantee's name.
func grantQueue(queue awssqs.IQueue, grantee awsiam.IGrantable, actions ...string) {
	allowPrincipal(grantee, queue.QueueArn(), actions...)
	if key := queue.EncryptionMasterKey(); key != nil {
		grantKeyVia(queue, "sqs", key, grantee, "kms:Decrypt", "kms:GenerateDataKey")
	}
}

// ownNamespace is that of the metrics that the construct's own functions emit.
const ownNamespace = "TransactionalOutbox"
