package synth

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

// inboxName is the name by which a consumer's function knows itself in the inbox.
func inboxName(t *testing.T, tpl template, path string) any {
	t.Helper()
	return environment(t, tpl, path+"/Function")["Variables"].(map[string]any)["INBOX_CONSUMER"]
}

// addHistory adds an outbox and its consumer History below the scope.
func addHistory(scope constructs.Construct, props outbox.ConsumerProps) {
	props.GoFunction = greeter()
	box := outbox.NewTransactionalOutbox(scope, jsii.String("Outbox"), &outbox.TransactionalOutboxProps{Source: jsii.String("orders")})
	box.AddConsumer(jsii.String("History"), &props)
}

// resourceOf is the only resource of a type.
func resourceOf(t *testing.T, tpl template, typ string) (logicalID string, r resource) {
	t.Helper()
	found := tpl.ofType(typ)
	if len(found) != 1 {
		t.Fatalf("there are %d resources of type %s, want one", len(found), typ)
	}
	for id, r := range found {
		return id, r
	}
	panic("unreachable")
}

// synthesizeNested returns the templates of the nested stacks of an app of one stack.
func synthesizeNested(t *testing.T, stack awscdk.Stack) []template {
	t.Helper()
	synthesize(t, stack)
	files, err := filepath.Glob(filepath.Join(*awscdk.App_Of(stack).Outdir(), "*.nested.template.json"))
	if err != nil {
		t.Fatal(err)
	}
	templates := make([]template, len(files))
	for i, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &templates[i]); err != nil {
			t.Fatal(err)
		}
	}
	return templates
}

// The usual step to CDK Pipelines puts a stack below a Stage. What is deployed under the stack's name, and what
// the inbox remembers, must not notice.
func TestNamesStayWhenTheStackMovesBelowAStage(t *testing.T) {
	orders := func(scope constructs.Construct) template {
		stack := awscdk.NewStack(scope, jsii.String("Orders"), &awscdk.StackProps{StackName: jsii.String("Orders")})
		addHistory(stack, outbox.ConsumerProps{})
		return synthesize(t, stack)
	}
	alone := orders(newApp(t, noBundling))
	staged := orders(awscdk.NewStage(newApp(t, noBundling), jsii.String("Prod"), nil))
	for where, tpl := range map[string]template{"alone": alone, "below a stage": staged} {
		id, function := resourceOf(t, tpl, "AWS::Lambda::Function")
		variables := function.Properties["Environment"].(map[string]any)["Variables"].(map[string]any)
		same(t, "name "+where, variables["INBOX_CONSUMER"], `"Orders/Outbox/History"`)
		same(t, "logical id "+where, id, `"OutboxHistoryFunctionC90DD449"`)
		_, bus := resourceOf(t, tpl, "AWS::Events::EventBus")
		same(t, "bus "+where, tpl.readable(bus.Properties["Name"]), `"${AWS::StackName}-Outbox-49668afa"`)
	}
}

func TestNamesOfTwoStacksDiffer(t *testing.T) {
	app := newApp(t, noBundling)
	for _, id := range []string{"Orders-dev", "Orders-prod"} {
		stack := awscdk.NewStack(app, &id, nil)
		guard(t, func() { addHistory(stack, outbox.ConsumerProps{}) })
		same(t, "name in "+id, inboxName(t, synthesize(t, stack), "Outbox/History"), `"`+id+`/Outbox/History"`)
	}
}

func TestNameInANestedStack(t *testing.T) {
	stack := awscdk.NewStack(newApp(t, noBundling), jsii.String("Orders"), nil)
	guard(t, func() {
		addHistory(awscdk.NewNestedStack(stack, jsii.String("Flow"), nil), outbox.ConsumerProps{})
		addHistory(awscdk.NewNestedStack(stack, jsii.String("Other"), nil), outbox.ConsumerProps{})
	})
	names := map[any]bool{}
	for _, tpl := range synthesizeNested(t, stack) {
		_, function := resourceOf(t, tpl, "AWS::Lambda::Function")
		names[function.Properties["Environment"].(map[string]any)["Variables"].(map[string]any)["INBOX_CONSUMER"]] = true
		_, bus := resourceOf(t, tpl, "AWS::Events::EventBus")
		names[tpl.readable(bus.Properties["Name"])] = true
	}
	for _, want := range []string{
		"Orders/Flow/Outbox/History", "Orders/Other/Outbox/History",
		"${AWS::StackName}-Outbox-8c8a043e", "${AWS::StackName}-Outbox-e508c24b",
	} {
		if !names[want] {
			t.Errorf("the names are %v, want also %q", names, want)
		}
	}
}

func TestNameOverride(t *testing.T) {
	tpl := synthesizeConsumer(t, outbox.ConsumerProps{Name: jsii.String("Orders/Outbox/Old-name_1.2")})
	same(t, "name", inboxName(t, tpl, "Outbox/Shipping"), `"Orders/Outbox/Old-name_1.2"`)
	same(t, "the same permission", strings.Contains(canonical(t, tpl.part(t, "Outbox/Shipping/Function/Role/DefaultPolicy").Properties), "event#Orders/Outbox/Old-name_1.2#*"), `true`)
}

func TestNameRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		outboxID, id string
		props        outbox.ConsumerProps
		want         string
	}{
		"a blank id":          {"Outbox", "Ship orders", outbox.ConsumerProps{}, `Name must be 1 to 128 of the characters A-Z a-z 0-9 . _ - and /, got "Stack/Outbox/Ship orders" from the stack's name and the ids on the way to the consumer: set Name, or choose other ids`},
		"an id with #":        {"Outbox", "a#b", outbox.ConsumerProps{}, `got "Stack/Outbox/a#b" from the stack's name`},
		"an id with +":        {"Outbox", "a+b", outbox.ConsumerProps{}, `got "Stack/Outbox/a+b" from the stack's name`},
		"an id with ä":        {"Outbox", "ä", outbox.ConsumerProps{}, `got "Stack/Outbox/ä" from the stack's name`},
		"a long id":           {"Outbox", strings.Repeat("x", 117), outbox.ConsumerProps{}, "Name must be 1 to 128 of the characters"},
		"no name":             {"Outbox", "Shipping", outbox.ConsumerProps{Name: jsii.String("")}, `Name must be 1 to 128 of the characters A-Z a-z 0-9 . _ - and /, got ""`},
		"a name with #":       {"Outbox", "Shipping", outbox.ConsumerProps{Name: jsii.String("a#b")}, `Name must be 1 to 128 of the characters A-Z a-z 0-9 . _ - and /, got "a#b"`},
		"a name with a blank": {"Outbox", "Shipping", outbox.ConsumerProps{Name: jsii.String("a b")}, `got "a b"`},
		"a name with :":       {"Outbox", "Shipping", outbox.ConsumerProps{Name: jsii.String("a:b")}, `got "a:b"`},
		"a long name":         {"Outbox", "Shipping", outbox.ConsumerProps{Name: jsii.String(strings.Repeat("x", 129))}, "Name must be 1 to 128 of the characters"},
		"a name of nothing":   {"Outbox", "Shipping", outbox.ConsumerProps{Name: jsii.String("a"), Inbox: outbox.Inbox_NONE}, "Name must not be set together with Inbox NONE: it needs the inbox"},
		"an empty id":         {"Outbox", "", outbox.ConsumerProps{}, `the id must not be blank, got ""`},
		"an id of blanks":     {"Outbox", "  ", outbox.ConsumerProps{Name: jsii.String("a")}, `the id must not be blank, got "  "`},
	} {
		t.Run(name, func(t *testing.T) {
			box := outbox.NewTransactionalOutbox(newStack(t), &test.outboxID, &outbox.TransactionalOutboxProps{Source: jsii.String("orders")})
			test.props.GoFunction = greeter()
			message := refused(t, func() { box.AddConsumer(&test.id, &test.props) })
			if !strings.Contains(message, test.want) {
				t.Errorf("it says %q, want in it %q", message, test.want)
			}
		})
	}
}

// An id that fits nowhere is refused where it is given, before any part of the outbox is there.
func TestOutboxRefusesAnID(t *testing.T) {
	stack := newStack(t)
	const rule = "the id must have 1 to 118 of the characters A-Z a-z 0-9 . _ - because it is part of the name of the event bus, got "
	for id, want := range map[string]string{
		"Out box": rule + `"Out box"`, "Öutbox": rule + `"Öutbox"`, "a:b": rule + `"a:b"`, "a+b": rule + `"a+b"`, "a#b": rule + `"a#b"`,
		strings.Repeat("x", 119): rule, "": `the id must not be blank, got ""`, "\t": `the id must not be blank, got "\t"`,
		*awscdk.Aws_REGION(): "the id must be known when the app is synthesized, got the token",
	} {
		message := refused(t, func() {
			outbox.NewTransactionalOutbox(stack, &id, &outbox.TransactionalOutboxProps{Source: jsii.String("orders")})
		})
		if !strings.Contains(message, want) {
			t.Errorf("of the id %q it says %q, want in it %q", id, message, want)
		}
	}
	message := refused(t, func() { outbox.NewTransactionalOutbox(stack, nil, nil) })
	for _, want := range []string{"transactional outbox without an id: ", "the id must be a text, got nil", "Source is missing"} {
		if !strings.Contains(message, want) {
			t.Errorf("of no id it says %q, want in it %q", message, want)
		}
	}
	box := newOutbox(stack)
	message = refused(t, func() { box.AddConsumer(nil, nil) })
	for _, want := range []string{"consumer without an id: ", "the id must be a text, got nil", "Function or GoFunction must be set, got neither"} {
		if !strings.Contains(message, want) {
			t.Errorf("of no id of a consumer it says %q, want in it %q", message, want)
		}
	}
	message = refused(t, func() { outbox.TransactionalOutbox_FromAttributes(stack, nil, nil) })
	if want := "imported outbox without an id: the id must be a text, got nil"; !strings.Contains(message, want) {
		t.Errorf("of no id of an import it says %q, want in it %q", message, want)
	}
	guard(t, func() {
		outbox.NewTransactionalOutbox(stack, jsii.String("a/b"), &outbox.TransactionalOutboxProps{Source: jsii.String("orders")})
	})
	same(t, "bus of an id with a slash", synthesize(t, stack).part(t, "a--b/EventBus").Type, `"AWS::Events::EventBus"`)
}

// Two consumers of one name on one inbox table would take each other's events for duplicates.
func TestTwoConsumersOfOneNameAreRefused(t *testing.T) {
	named := outbox.ConsumerProps{GoFunction: greeter(), Name: jsii.String("shipping")}
	shared := func(stack awscdk.Stack) awsdynamodb.ITable {
		return awsdynamodb.Table_FromTableName(stack, jsii.String("Inbox"), jsii.String("inbox"))
	}
	t.Run("in one outbox", func(t *testing.T) {
		box := newOutbox(newStack(t))
		box.AddConsumer(jsii.String("One"), &named)
		message := refused(t, func() { box.AddConsumer(jsii.String("Two"), &named) })
		if want := `Name must differ from that of the other consumers in the stack, got "shipping", which is the name of Stack/Outbox/One`; !strings.Contains(message, want) {
			t.Errorf("it says %q, want in it %q", message, want)
		}
	})
	t.Run("by the default name of another", func(t *testing.T) {
		box := newOutbox(newStack(t))
		box.AddConsumer(jsii.String("One"), &outbox.ConsumerProps{GoFunction: greeter(), Name: jsii.String("Stack/Outbox/Two")})
		message := refused(t, func() { box.AddConsumer(jsii.String("Two"), &outbox.ConsumerProps{GoFunction: greeter()}) })
		if want := `got "Stack/Outbox/Two", which is the name of Stack/Outbox/One`; !strings.Contains(message, want) {
			t.Errorf("it says %q, want in it %q", message, want)
		}
	})
	t.Run("in two stacks on one inbox table", func(t *testing.T) {
		app := newApp(t, noBundling)
		first := awscdk.NewStack(app, jsii.String("First"), nil)
		newOutbox(first, outbox.TransactionalOutboxProps{InboxTable: shared(first)}).AddConsumer(jsii.String("Ship"), &named)
		second := awscdk.NewStack(awscdk.NewStage(app, jsii.String("Stage"), nil), jsii.String("Second"), nil)
		box := newOutbox(second, outbox.TransactionalOutboxProps{InboxTable: shared(second)})
		message := refused(t, func() { box.AddConsumer(jsii.String("Ship"), &named) })
		if want := `Name must differ from that of the other consumers on the inbox table, got "shipping", which is the name of First/Outbox/Ship: each would take the events of the other for duplicates`; !strings.Contains(message, want) {
			t.Errorf("it says %q, want in it %q", message, want)
		}
	})
	t.Run("but not in two stacks with an inbox table each", func(t *testing.T) {
		app := newApp(t, noBundling)
		for _, id := range []string{"Dev", "Prod"} {
			guard(t, func() { newOutbox(awscdk.NewStack(app, &id, nil)).AddConsumer(jsii.String("Ship"), &named) })
		}
	})
}
