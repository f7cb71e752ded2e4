package synth

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
	"github.com/outboxkit/transactional-outbox/internal/description"
)

// described returns the name of the parameter at a path and what it says, with readable names for what CloudFormation
// fills in.
func described[D any](t *testing.T, tpl template, path string) (name string, d D) {
	t.Helper()
	r := tpl.part(t, path+"/Description")
	same(t, "type of "+path, []any{r.Type, r.Properties["Type"], r.Properties["Tier"]}, `["AWS::SSM::Parameter", "String", "Standard"]`)
	value := tpl.joined(r.Properties["Value"])
	if err := description.Decode(value, &d); err != nil {
		t.Fatalf("%s: %v in %s", path, err, value)
	}
	return tpl.joined(r.Properties["Name"]), d
}

// joined is readable for a text of any intrinsics.
func (tpl template) joined(value any) string {
	v, ok := value.(map[string]any)
	if arguments, join := v["Fn::Join"].([]any); ok && join {
		var text strings.Builder
		for _, part := range arguments[1].([]any) {
			text.WriteString(tpl.joined(part))
		}
		return text.String()
	}
	if arguments, choice := v["Fn::Select"].([]any); ok && choice {
		return fmt.Sprintf("select(%v, %s)", arguments[0], strings.ReplaceAll(fmt.Sprint(tpl.readable(arguments[1])), `"`, ""))
	}
	return fmt.Sprint(tpl.readable(value))
}

func TestDescriptions(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack, outbox.TransactionalOutboxProps{ArchiveRetention: awscdk.Duration_Days(jsii.Number(30))})
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
			EventTypes: awsevents.Match_Prefix(jsii.String("Order")), AggregateTypes: jsii.Strings("Order"), GoFunction: greeter(),
		})
		box.AddConsumer(jsii.String("History"), &outbox.ConsumerProps{Ordered: jsii.Bool(true), AggregateTypes: jsii.Strings("Order"), GoFunction: greeter()})
		box.AddConsumer(jsii.String("Show"), &outbox.ConsumerProps{
			Inbox:             outbox.Inbox_NONE,
			Function:          awslambda.Function_FromFunctionName(stack, jsii.String("Function"), jsii.String("show")),
			VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(1)),
		})
	})
	tpl := synthesize(t, stack)

	name, box := described[description.Outbox](t, tpl, "Outbox")
	same(t, "name", name, `"/outboxkit/${AWS::StackName}/Outbox/outbox"`)
	sameJSON(t, "outbox", box, `{
		"version": "1", "path": "${AWS::StackName}/Outbox", "source": "orders", "table": "${Outbox/Table}", "eventRetentionSeconds": "604800",
		"bus": "${Outbox/EventBus}", "archive": "${Outbox/Archive.Arn}", "pipe": "${Outbox/Pipe}", "maximumRecordAgeSeconds": "72000",
		"pipeDeadLetterQueue": "${Outbox/PipeDeadLetterQueue}", "ruleDeadLetterQueue": "${Outbox/RuleDeadLetterQueue}"
	}`)

	name, shipping := described[description.Consumer](t, tpl, "Outbox/Shipping")
	same(t, "name", name, `"/outboxkit/${AWS::StackName}/Outbox/consumer/Shipping"`)
	sameJSON(t, "consumer", shipping, `{
		"version": "1", "id": "Shipping", "name": "Stack/Outbox/Shipping", "inbox": "TABLE", "inboxTable": "${Outbox/InboxTable}", "memorySeconds": "7603200",
		"pattern": {"source": ["orders"], "detail-type": [{"prefix": "Order"}], "detail": {"aggregateType": ["Order"]}},
		"bus": "${Outbox/EventBus}", "rule": "select(2, map[Fn::Split:[/ ${Outbox/Shipping/Rule.Arn}]])",
		"queue": "${Outbox/Shipping/Queue}", "deadLetterQueue": "${Outbox/Shipping/DeadLetterQueue}", "maxReceiveCount": "5",
		"ruleDeadLetterQueue": "${Outbox/RuleDeadLetterQueue}", "function": "${Outbox/Shipping/Function}", "mapping": "${Outbox/Shipping/Mapping}"
	}`)
	if _, history := described[description.Consumer](t, tpl, "Outbox/History"); !history.Ordered || history.MaxReceiveCount != "40" {
		t.Errorf("the ordered consumer is described as %+v", history)
	}
	if _, show := described[description.Consumer](t, tpl, "Outbox/Show"); show.Inbox != "NONE" || show.Name != "" || show.InboxTable != "" || !strings.Contains(show.Function, "function:show") {
		t.Errorf("the consumer without an inbox is described as %+v", show)
	}
	withoutCircles(t, tpl)
}

// sameJSON is same for a struct, whose fields have an order of their own.
func sameJSON(t *testing.T, what string, got any, wantJSON string) {
	t.Helper()
	var plain any
	if err := json.Unmarshal([]byte(canonical(t, got)), &plain); err != nil {
		t.Fatal(err)
	}
	same(t, what, plain, wantJSON)
}

// withoutCircles checks that CloudFormation can put the resources in an order.
func withoutCircles(t *testing.T, tpl template) {
	t.Helper()
	const visiting, done = 1, 2
	state := map[string]int{}
	var visit func(id string)
	var walk func(value any)
	walk = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			for key, inner := range v {
				switch target := inner.(type) {
				case string:
					if key == "Ref" {
						visit(target)
					}
				case []any:
					if key == "Fn::GetAtt" {
						visit(target[0].(string))
					}
				}
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	visit = func(id string) {
		r, ok := tpl.Resources[id]
		if !ok || state[id] == done {
			return
		}
		if state[id] == visiting {
			t.Fatalf("%s depends on itself", r.path())
		}
		state[id] = visiting
		walk(r.Properties)
		for _, other := range r.DependsOn {
			visit(other)
		}
		state[id] = done
	}
	for id := range tpl.Resources {
		visit(id)
	}
}

// The outbox of a nested stack is found by the stack that somebody deploys.
func TestDescriptionsInANestedStack(t *testing.T) {
	stack := newStack(t)
	nested := awscdk.NewNestedStack(stack, jsii.String("Nested"), nil)
	guard(t, func() {
		newOutbox(nested).AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter()})
	})
	tpl := synthesizeNested(t, stack)[0]
	r := tpl.part(t, "Nested/Outbox/Shipping/Description")
	parameter := strings.TrimSuffix(strings.TrimPrefix(tpl.joined(r.Properties["Name"]), "/outboxkit/${"), "}/Nested.Outbox/consumer/Shipping")
	_, inParent := resourceOf(t, synthesize(t, stack), "AWS::CloudFormation::Stack")
	same(t, "stack name", inParent.Properties["Parameters"].(map[string]any)[parameter], `{"Ref": "AWS::StackName"}`)
}

// A consumer of an imported outbox is found by its own stack.
func TestDescriptionOfAnImportedOutboxesConsumer(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		outbox.TransactionalOutbox_FromAttributes(stack, jsii.String("Orders"), &outbox.TransactionalOutboxAttributes{
			Source: jsii.String("orders"), EventBus: awsevents.EventBus_FromEventBusName(stack, jsii.String("Bus"), jsii.String("orders")),
		}).AddConsumer(jsii.String("Revenue"), &outbox.ConsumerProps{GoFunction: greeter()})
	})
	tpl := synthesize(t, stack)
	name, revenue := described[description.Consumer](t, tpl, "Orders/Revenue")
	same(t, "name", name, `"/outboxkit/${AWS::StackName}/Orders/consumer/Revenue"`)
	same(t, "bus and dead-letter queue", []string{revenue.Bus, revenue.RuleDeadLetterQueue}, `["orders", "${Orders/RuleDeadLetterQueue}"]`)
	if n := len(tpl.ofType("AWS::SSM::Parameter")); n != 1 {
		t.Errorf("there are %d parameters, want that of the consumer alone", n)
	}
}

// Ids may hold what the name of a parameter cannot, and two that differ must not become one.
func TestDescriptionsAreNamedApart(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		box := newOutbox(stack)
		for _, id := range []string{"A-B", "A B", "A.B", "É"} {
			box.AddConsumer(&id, &outbox.ConsumerProps{GoFunction: greeter(), Name: jsii.String("n" + fmt.Sprintf("%x", id))})
		}
	})
	seen := map[string]bool{}
	tpl := synthesize(t, stack)
	for _, r := range tpl.ofType("AWS::SSM::Parameter") {
		name := strings.ReplaceAll(tpl.joined(r.Properties["Name"]), "${AWS::StackName}", "Stack")
		if seen[name] || strings.Trim(name, "/ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") != "" {
			t.Errorf("the name %q is taken or no name", name)
		}
		seen[name] = true
	}
	if len(seen) != 5 {
		t.Errorf("there are %d names, want 5", len(seen))
	}
}

// As long as everything can be that a consumer may choose, its description fits a standard parameter.
func TestTheLongestDescriptionFits(t *testing.T) {
	stack := newStack(t)
	var types []*string
	for n := range 15 {
		types = append(types, jsii.String(fmt.Sprintf("%0125d", n)))
	}
	guard(t, func() {
		box := newOutbox(stack, outbox.TransactionalOutboxProps{
			EventBus: awsevents.EventBus_FromEventBusName(stack, jsii.String("Bus"), jsii.String(strings.Repeat("b", 256))),
		})
		box.AddConsumer(jsii.String(strings.Repeat("c", 200)), &outbox.ConsumerProps{
			Name: jsii.String(strings.Repeat("n", 128)), EventTypes: &types, GoFunction: greeter(),
		})
	})
	tpl := synthesize(t, stack)
	for _, r := range tpl.ofType("AWS::SSM::Parameter") {
		value := tpl.joined(r.Properties["Value"])
		if !json.Valid([]byte(value)) {
			t.Errorf("it is no JSON: %s", value)
		}
		// Three queues' URLs, a table, a function and a rule of at most 120, 255, 64 and 64 characters.
		if n := len(regexp.MustCompile(`\$\{[^}]*\}`).ReplaceAllString(value, "")) + 3*120 + 255 + 2*64; n > 4096 {
			t.Errorf("a description can have %d characters, want at most 4096", n)
		}
	}
}

func TestHeartbeatsAreNobodysEvents(t *testing.T) {
	stack := newStack(t)
	box := newOutbox(stack)
	message := refused(t, func() {
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter(), Sources: jsii.Strings("orders", "orders.heartbeat")})
	})
	wants(t, message, `Sources[1] must not be the source of the outbox's heartbeats, got "orders.heartbeat"`)
	message = refused(t, func() { box.GrantPublish(newRole(stack, "Publisher"), jsii.Strings("orders.heartbeat")) })
	wants(t, message, `sources[0] must not be the source of the outbox's heartbeats, got "orders.heartbeat"`)
}
