package outbox

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/interfaces"
	"github.com/aws/constructs-go/constructs/v10"
)

// A place is where a construct stands: in which deployed stack, and where below it. Neither changes when the
// stack moves below a Stage and keeps its name. See docs/adr/0011.
type place struct {
	stack     awscdk.Stack // the one that a template is made of
	outermost awscdk.Stack // that nested ones are deployed with
	stackName string       // of the outermost stack, which nested ones are deployed with
	stackPath string       // where the outermost stack is in the app
	app       constructs.Node
	below     string // the path below the outermost stack
}

// placeOf returns the place of a construct with the id in the scope.
func placeOf(scope constructs.Construct, id *string) place {
	stack := awscdk.Stack_Of(scope)
	outermost := stack
	for parent := outermost.NestedStackParent(); parent != nil; parent = outermost.NestedStackParent() {
		outermost = parent
	}
	node := scope.Node()
	stackPath := *outermost.Node().Path()
	below := strings.TrimPrefix(strings.TrimPrefix(*node.Path(), stackPath), "/")
	return place{stack: stack, outermost: outermost, stackName: *outermost.StackName(), stackPath: stackPath, app: node.Root().Node(), below: below}.child(id)
}

// child returns the place of a construct with the id below this one. In paths the CDK writes "--" for a slash.
func (p place) child(id *string) place {
	if id != nil {
		p.below = strings.TrimPrefix(p.below+"/"+strings.ReplaceAll(*id, "/", "--"), "/")
	}
	return p
}

// String returns the place as a consumer's name has it: "Orders/Outbox/History".
func (p place) String() string { return p.stackName + "/" + p.below }

// path returns the path in the construct tree.
func (p place) path() string { return p.stackPath + "/" + p.below }

// id returns the id of the construct itself.
func (p place) id() string { return p.below[strings.LastIndex(p.below, "/")+1:] }

// register keeps an entry of a kind in the metadata of the app, for what must be unique in all of it. It reaches no template.
func (p place) register(kind string, entry map[string]any) { p.app.AddMetadata(&kind, entry, nil) }

// registered returns the entries of a kind.
func (p place) registered(kind string) []map[string]any {
	var entries []map[string]any
	for _, entry := range *p.app.Metadata() {
		if data, ok := entry.Data.(map[string]any); ok && *entry.Type == kind {
			entries = append(entries, data)
		}
	}
	return entries
}

// busName returns the name for the bus of the outbox at this place. CloudFormation asks for one. The stack's
// name in it keeps two copies of an app in one account apart, the hash two outboxes of one id in a stack.
func (p place) busName() string {
	hash := sha256.Sum256([]byte(p.below))
	return fmt.Sprintf("%s-%s-%s", *awscdk.Aws_STACK_NAME(), p.id(), hex.EncodeToString(hash[:4]))
}

// What a bus may be called, and how much of that is left for an outbox's id: a stack's name has at most 128
// characters, the hash 8, and the hyphens are 2.
// Source: EventBridge API reference, CreateEventBus; CloudFormation API reference, CreateStack.
const longestIDInBusName = 256 - 128 - 8 - 2

var inBusName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// busID checks the id of an outbox, which becomes part of the name of its bus.
func (f *problems) busID(id string) {
	if n := utf8.RuneCountInString(id); n > longestIDInBusName || !inBusName.MatchString(id) {
		f.add("the id must have 1 to %d of the characters A-Z a-z 0-9 . _ - because it is part of the name of the event bus, got %q", longestIDInBusName, id)
	}
}

// nameOfBus is what EventBridge takes as the name of a bus. Source: EventBridge API reference, CreateEventBus.
var nameOfBus = regexp.MustCompile(`^[/A-Za-z0-9._-]{1,256}$`)

// suppliedBusName checks the name of a supplied bus, for which an ARN is easily given.
func (f *problems) suppliedBusName(bus awsevents.IEventBus) {
	if name := bus.EventBusName(); !nameOfBus.MatchString(*name) && !unresolved(name) {
		f.add("EventBus must have a name of 1 to 256 of the characters A-Z a-z 0-9 / . _ -, got %q", *name)
	}
}

// suppliedHere checks that what an outbox is supplied with is in the account and the region of the stack. A key and a topic
// may be of another account, whose policies must then allow the use.
func (f *problems) suppliedHere(stack awscdk.Stack, bus awsevents.IEventBus, table, inboxTable awsdynamodb.ITable, key awskms.IKey, alarms *AlarmProps) {
	if bus != nil {
		f.suppliedBusName(bus)
		f.sameAccount("EventBus", bus, stack, "rules, pipes and archives work only with a bus of their own account and region")
	}
	if table != nil {
		f.sameAccountOfTable("Table", table, stack, "a pipe reads only a stream of its own account and region, and a transaction spans no others")
	}
	if inboxTable != nil {
		f.sameAccountOfTable("InboxTable", inboxTable, stack, "functions find it by its name, and a transaction spans no other account or region")
	}
	if key != nil {
		f.sameRegion("EncryptionKey", key, stack, "each service takes only keys of its own region")
	}
	if alarms != nil && alarms.Topic != nil {
		f.sameRegion("Alarms.Topic", alarms.Topic, stack, "alarms notify only topics of their own region")
	}
}

// A located resource has an account and a region, as everything has that a property can name.
type located interface {
	Env() *interfaces.ResourceEnvironment
}

// sameRegion checks that a resource is in the region of the stack, where both are known.
func (f *problems) sameRegion(name string, resource located, stack awscdk.Stack, reason string) {
	f.same(name, "region", resource.Env().Region, stack.Region(), reason)
}

// sameAccount checks that a resource is in the account and the region of the stack, where they are known.
func (f *problems) sameAccount(name string, resource located, stack awscdk.Stack, reason string) {
	env := resource.Env()
	f.same(name, "account", env.Account, stack.Account(), reason)
	f.same(name, "region", env.Region, stack.Region(), reason)
}

// sameAccountOfTable is sameAccount for a table.
func (f *problems) sameAccountOfTable(name string, table awsdynamodb.ITable, stack awscdk.Stack, reason string) {
	f.sameAccountOf(name, *table.TableArn(), table, stack, reason)
}

// sameAccountOf is sameAccount for what may be imported: CDK takes an imported table to be where the stack is, so the ARN
// decides.
func (f *problems) sameAccountOf(name, arn string, resource located, stack awscdk.Stack, reason string) {
	parts := strings.Split(arn, ":")
	if len(parts) < 6 { // a token
		f.sameAccount(name, resource, stack, reason)
		return
	}
	f.same(name, "account", &parts[4], stack.Account(), reason)
	f.same(name, "region", &parts[3], stack.Region(), reason)
}

func (f *problems) same(name, what string, got, want *string, reason string) {
	if *got != *want && !unresolved(got) && !unresolved(want) {
		f.add("%s must be in the stack's %s %s, got one in %s: %s", name, what, *want, *got, reason)
	}
}
