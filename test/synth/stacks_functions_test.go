package synth

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/stacks"
)

// TestFunctionsMayWriteTheirTablesInTransactionsOnly shows every permission of the functions on tables.
func TestFunctionsMayWriteTheirTablesInTransactionsOnly(t *testing.T) {
	tpl := orders(t, stacks.Dev())
	const inTx = " in TransactWriteItems"
	inbox := []string{"Outbox/InboxTable: GetItem under its own keys", "Outbox/InboxTable: PutItem under its own keys" + inTx}
	for function, want := range map[string][]string{
		"Outbox/PublisherOne/Function":          append(inbox, "Orders: PutItem"+inTx, "Outbox/Table: PutItem"+inTx),
		"Outbox/PublisherTwo/Function":          append(inbox, "Notifications: PutItem"+inTx),
		"Outbox/OrderUpdatedPublisher/Function": append(inbox, "Orders: PutItem"+inTx, "Outbox/Table: Query of what orders them"),
		"UpdateOrder":                           {"Orders: GetItem", "Orders: UpdateItem" + inTx, "Outbox/Table: PutItem" + inTx},
	} {
		got := tpl.tablePermissions(t, function+"/Role")
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s may\n%s\nwant\n%s", function, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// tablePermissions returns the role's permissions on tables, as "table: actions", sorted.
func (tpl template) tablePermissions(t *testing.T, role string) []string {
	t.Helper()
	var found []string
	for _, s := range tpl.statements(tpl.part(t, role+"/DefaultPolicy").Properties["PolicyDocument"]) {
		statement := s.(map[string]any)
		var actions []string
		for _, action := range asList(statement["Action"]) {
			if name, ok := strings.CutPrefix(action, "dynamodb:"); ok {
				actions = append(actions, name)
			}
		}
		if len(actions) == 0 {
			continue
		}
		for _, resource := range asList(statement["Resource"]) {
			permission := strings.NewReplacer("${", "", ".Arn}", "").Replace(resource) + ": " + strings.Join(actions, " ")
			found = append(found, permission+tpl.limits(t, role, statement["Condition"]))
		}
	}
	slices.Sort(found)
	return found
}

// limits returns in words to what a condition limits a permission on a table.
func (tpl template) limits(t *testing.T, role string, condition any) (limits string) {
	t.Helper()
	for operator, operand := range asMap(condition) {
		switch operator {
		case "ForAnyValue:StringEquals":
			same(t, role+"'s operations", operand, `{"dynamodb:EnclosingOperation": ["TransactWriteItems"]}`)
			limits += " in TransactWriteItems"
		case "ForAllValues:StringLike": // the construct's own tests hold what the keys are
			limits = " under its own keys" + limits
		case "ForAllValues:StringEquals":
			limits = " of what orders them" + limits
		case "StringEquals":
			same(t, role+"'s selection", operand, `{"dynamodb:Select": "SPECIFIC_ATTRIBUTES"}`)
		case "Null":
			same(t, role+"'s keys", operand, `{"dynamodb:LeadingKeys": "false"}`)
		default:
			t.Errorf("%s has the condition %s, which the test does not know", role, operator)
		}
	}
	return limits
}

func asMap(value any) map[string]any {
	m, _ := value.(map[string]any)
	return m
}

// asList returns what a policy writes as one value or a list.
func asList(value any) []string {
	if list, ok := value.([]any); ok {
		var texts []string
		for _, v := range list {
			texts = append(texts, fmt.Sprint(v))
		}
		return texts
	}
	return []string{fmt.Sprint(value)}
}

var expiryInMapping = regexp.MustCompile(`\$now / 1000 \+ (\d+)\)`)

// TestEventsStayAsLongWhoeverWritesThem: the environment's setting reaches the API's mapping template and each function
// that writes events.
func TestEventsStayAsLongWhoeverWritesThem(t *testing.T) {
	elevenDays := stacks.Dev()
	elevenDays.EventRetentionDays = 11
	for name, tc := range map[string]struct {
		env     stacks.Environment
		seconds string
	}{
		"dev":            {stacks.Dev(), "604800"},
		"prod":           {stacks.Prod(), "2592000"},
		"another number": {elevenDays, "950400"},
	} {
		t.Run(name, func(t *testing.T) {
			tpl := orders(t, tc.env)
			post := jsonOf(t, tpl.part(t, "Api/Default/orders/POST").Properties["Integration"])
			if found := expiryInMapping.FindStringSubmatch(post); found == nil || found[1] != tc.seconds {
				t.Errorf("the API's events expire by %q, want %s s", found, tc.seconds)
			}
			var writers []string
			for _, path := range tpl.paths("AWS::Lambda::Function") {
				variables := environment(t, tpl, path)["Variables"].(map[string]any)
				if variables["OUTBOX_TABLE"] == nil || path == "Outbox/Heartbeat" { // whose events nobody looks for later
					continue
				}
				writers = append(writers, path)
				same(t, path+"'s "+retentionVariable, variables[retentionVariable], `"`+tc.seconds+`"`)
			}
			list(t, "functions that write events", writers, "Outbox/PublisherOne/Function", "UpdateOrder")
		})
	}
}

// TestEnvironmentThatForgetsEvents: without the setting, nothing would tell one order from another under its key.
func TestEnvironmentThatForgetsEvents(t *testing.T) {
	env := stacks.Dev()
	env.EventRetentionDays = 0
	app := newApp(t, noBundling)
	message := refused(t, func() { stacks.NewOrdersStack(app, env) })
	if want := "EventRetention must be whole days from 2 to 3650, got 0s"; !strings.Contains(message, want) {
		t.Errorf("it says %q, want %q", message, want)
	}
}

// TestConsumersOfOrders shows which events each consumer gets.
func TestConsumersOfOrders(t *testing.T) {
	tpl := orders(t, stacks.Dev())
	for consumer, want := range map[string]string{
		"PublisherOne":          `{"source": ["orders"], "detail-type": ["OrderCreated"]}`,
		"PublisherTwo":          `{"source": ["orders"], "detail-type": ["OrderCreated", "ShipmentRequested"]}`,
		"OrderUpdatedPublisher": `{"source": ["orders"], "detail": {"aggregateType": ["Order"]}}`,
	} {
		same(t, consumer, tpl.part(t, "Outbox/"+consumer+"/Rule").Properties["EventPattern"], want)
	}
}

// TestOnlyTheAPIMayCallUpdateOrder, and only for its method.
func TestOnlyTheAPIMayCallUpdateOrder(t *testing.T) {
	tpl := orders(t, stacks.Dev())
	permissions := tpl.ofType("AWS::Lambda::Permission")
	maps.DeleteFunc(permissions, func(_ string, p resource) bool { // the schedules of the outbox's own functions
		return strings.HasPrefix(p.path(), "Outbox/Heartbeat/") || strings.HasPrefix(p.path(), "Outbox/Auditor/")
	})
	if len(permissions) != 1 {
		t.Fatalf("there are %d permissions to call functions, want 1", len(permissions))
	}
	for _, p := range permissions {
		properties := tpl.readable(p.Properties).(map[string]any)
		if properties["Principal"] != "apigateway.amazonaws.com" || !strings.HasSuffix(fmt.Sprint(properties["SourceArn"]), "/${Api/DeploymentStage.dev}/PATCH/orders/*") {
			t.Errorf("it is %v, want the API's PATCH /orders/*", properties)
		}
	}
}
