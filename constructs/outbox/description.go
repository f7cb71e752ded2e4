package outbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/internal/description"
)

// descriptionLayout is the version of the layout that the constructs write.
const descriptionLayout = "1"

// describe leaves in the account what the parts of the outbox are called there. Nothing of the outbox may depend on the
// parameter, which names all of them.
func (o *TransactionalOutbox) describe(c outboxConfig) awsssm.CfnParameter {
	d := description.Outbox{
		Version:                 descriptionLayout,
		Path:                    *o.place.deployed(),
		Source:                  *o.source,
		Table:                   *o.table.TableName(),
		EventRetentionSeconds:   *o.eventRetention.seconds(),
		Bus:                     *o.eventBus.EventBusName(),
		Pipe:                    *o.pipe.Ref(),
		MaximumRecordAgeSeconds: *c.recordAge.seconds(),
		PipeDeadLetterQueue:     *o.pipeDeadLetterQueue.QueueUrl(),
		RuleDeadLetterQueue:     *o.ruleDeadLetterQueue.QueueUrl(),
		Heartbeat:               o.monitor.describe(o),
		Audit:                   o.auditor.describe(),
	}
	if o.archive != nil {
		d.Archive = *o.archive.AttrArn()
	}
	return newParameter(o, o.place.stack, *o.parameterPath()+"/outbox", "The parts of a transactional outbox, for its auditor and the command outbox", d)
}

// describe leaves in the account what the parts of the consumer are called there.
func (c *Consumer) describe(config *consumerConfig) {
	f := c.flow
	d := description.Consumer{
		Version:             descriptionLayout,
		ID:                  *c.Node().Id(),
		Inbox:               string(config.Inbox),
		Ordered:             config.ordered(),
		Pattern:             marshal(config.pattern()),
		Bus:                 *f.eventBus.EventBusName(),
		Rule:                *c.ruleName(),
		Queue:               *c.queue.QueueUrl(),
		DeadLetterQueue:     *c.deadLetterQueue.QueueUrl(),
		MaxReceiveCount:     numberText(config.receives),
		RuleDeadLetterQueue: *f.ruleDeadLetterQueue.QueueUrl(),
		Function:            *c.function.FunctionName(),
		Mapping:             *c.mapping.EventSourceMappingId(),
	}
	if config.Inbox == Inbox_TABLE {
		d.Name = *config.Name
		d.InboxTable = *f.inboxTable.TableName()
		d.MemorySeconds = *config.inboxTTL.seconds()
	}
	name := *f.parameterPath() + "/consumer/" + inParameterName(d.ID)
	c.description = newParameter(c, f.place.stack, name, "The parts of a consumer, for the auditor of its outbox and the command outbox", d)
}

// numberText returns a number as a text, or nothing for none.
func numberText(number *float64) string {
	switch {
	case number == nil:
		return ""
	case unresolved(number):
		return *awscdk.Tokenization_StringifyNumber(number)
	}
	return fmt.Sprint(*number)
}

// maxParameter is the longest value of a standard parameter, in characters. Where all that a consumer may choose is as long
// as it can be, about 3600 are used.
// Source: Systems Manager API reference, PutParameter, Value; user guide, parameter-store-advanced-parameters.
const maxParameter = 4096

// newParameter adds a parameter with the description as JSON. CloudFormation fills in the names that it gives.
func newParameter(scope constructs.Construct, stack awscdk.Stack, name, about string, value any) awsssm.CfnParameter {
	var plain map[string]any // jsii takes a Go struct for one of its own
	if err := json.Unmarshal(marshal(value), &plain); err != nil {
		panic(fmt.Sprintf("description of %s: %v", *scope.Node().Path(), err))
	}
	text := stack.ToJsonString(plain, nil)
	if n := knownLength(stack, text); n > maxParameter {
		panic(fmt.Sprintf("the description of %s must have at most %d characters, got %d: shorten its ids, its names or its pattern", *scope.Node().Path(), maxParameter, n))
	}
	return awsssm.NewCfnParameter(scope, jsii.String(descriptionID), &awsssm.CfnParameterProps{
		Name:        &name,
		Type:        jsii.String("String"),
		Tier:        jsii.String("Standard"),
		Description: &about,
		Value:       text,
	})
}

// knownLength counts the characters of a text that are known at synth.
func knownLength(stack awscdk.Stack, text *string) int {
	var resolved any
	resolve(stack, text, &resolved)
	joined, ok := resolved.(map[string]any)
	if !ok {
		return utf8.RuneCountInString(fmt.Sprint(resolved))
	}
	arguments, _ := joined["Fn::Join"].([]any)
	if len(arguments) != 2 {
		return 0
	}
	parts, _ := arguments[1].([]any)
	n := 0
	for _, part := range parts {
		if known, ok := part.(string); ok {
			n += utf8.RuneCountInString(known)
		}
	}
	return n
}

// marshal returns a value as JSON. It has nothing that JSON cannot hold.
func marshal(value any) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("description: %v", err))
	}
	return text
}

// parameterPath returns what the names of the parameters of the outbox and its consumers begin with, without a slash at
// the end.
func (f *flow) parameterPath() *string {
	return jsii.String(description.Prefix + *f.place.deployedStack() + "/" + inParameterName(f.place.below))
}

// deployed returns the place by the name that its stack is deployed under: "Orders/Outbox".
func (p place) deployed() *string { return jsii.String(*p.deployedStack() + "/" + p.below) }

// deployedStack returns the name under which the outermost stack is deployed, a token.
func (p place) deployedStack() *string { return awscdk.NewScopedAws(p.outermost).StackName() }

// A naming is how the path of a construct becomes a part of a name.
type naming struct {
	not     *regexp.Regexp // what it must not hold
	plain   *regexp.Regexp // of paths that no other path comes out the same as
	slash   string         // in place of one
	longest int
}

var (
	// A parameter's name has at most 1011 characters in all.
	// Source: Systems Manager API reference, PutParameter, Name.
	parameterNaming = naming{regexp.MustCompile(`[^A-Za-z0-9_.-]`), regexp.MustCompile(`^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$`), ".", 400}
	// A dashboard's has 255, of which a stack's name may have 128, and a hyphen follows.
	// Source: CloudWatch API reference, PutDashboard; CloudFormation API reference, CreateStack.
	dashboardNaming = naming{regexp.MustCompile(`[^A-Za-z0-9_-]`), regexp.MustCompile(`^[A-Za-z0-9_-]+$`), "-", 255 - 128 - 1}
)

// inParameterName returns the path of a construct as one part of a parameter's name, with dots for slashes.
func inParameterName(path string) string { return parameterNaming.of(path) }

// of returns the path as a part of a name. Where other paths could come out the same, a hash tells them apart.
func (n naming) of(path string) string {
	name := n.not.ReplaceAllString(strings.ReplaceAll(path, "/", n.slash), "-")
	if n.plain.MatchString(path) && len(name) <= n.longest {
		return name
	}
	hash := sha256.Sum256([]byte(path))
	suffix := "-" + hex.EncodeToString(hash[:4])
	return name[:min(len(name), n.longest-len(suffix))] + suffix
}
