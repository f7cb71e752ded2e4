package synth

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

type object = map[string]any

// A rule that can never match is a consumer that never hears of anything, and nothing tells.
func TestConsumerRefusesAPatternThatMatchesNoEvent(t *testing.T) {
	box := newOutbox(newStack(t))
	for name, test := range map[string]struct {
		detail object
		want   string
	}{
		"a field that the envelope lacks": {object{"currency": []string{"1"}}, "Detail.currency must be a field of the envelope, which has no currency"},
		"a field in other letters":        {object{"aggregateid": []string{"o-1"}}, "Detail.aggregateid must be a field of the envelope"},
		"the inside of data":              {object{"data": object{"currency": []string{"EUR"}}}, `Detail.data must be a pattern on the text in its S, like {"S": [{"prefix": "…"}]}, got {"currency":["EUR"]}`},
		"the inside of data's text":       {object{"data": object{"S": object{"currency": []string{"EUR"}}}}, `Detail.data.S must be a list of texts or comparisons, got {"currency":["EUR"]}`},
		"data as a text":                  {object{"data": []string{"{}"}}, `Detail.data must be a pattern on the text in its S`},
		"the cause as a text":             {object{"causationId": []string{"e-1"}}, `Detail.causationId must be a pattern on the text in its S`},
		"the trace as a text":             {object{"traceparent": []any{object{"exists": true}}}, `Detail.traceparent must be a pattern on the text in its S`},
		"a number for a text":             {object{"version": []any{1}}, "Detail.version[0] must be a text or a comparison, because every value of the envelope is a text, got 1"},
		"a boolean for a text":            {object{"id": []any{"e-1", true}}, "Detail.id[1] must be a text or a comparison, because every value of the envelope is a text, got true"},
		"null, which CDK leaves out":      {object{"correlationId": []any{nil}}, "Detail.correlationId must list at least one text or comparison, got none"},
		"a text that is no number":        {object{"version": []string{"v1"}}, `Detail.version[0] must be the text of a whole number, 1 or more, got "v1"`},
		"a number with leading zeros":     {object{"occurredAt": []string{"01"}}, `Detail.occurredAt[0] must be the text of a whole number, 1 or more, got "01"`},
		"version 0":                       {object{"version": []string{"0"}}, `Detail.version[0] must be the text of a whole number, 1 or more, got "0"`},
		"a negative version":              {object{"version": []string{"-1"}}, `Detail.version[0] must be the text of a whole number, 1 or more, got "-1"`},
		"a number in other letters":       {object{"version": []any{object{"equals-ignore-case": "one"}}}, `Detail.version[0].equals-ignore-case must match the text of a whole number, 1 or more, got "one"`},
		"how no number begins":            {object{"occurredAt": []any{object{"prefix": "2026-"}}}, `Detail.occurredAt[0].prefix must match the text of a whole number, 1 or more, got "2026-"`},
		"how no number begins, any case":  {object{"version": []any{object{"prefix": object{"equals-ignore-case": "0"}}}}, `Detail.version[0].prefix must match the text of a whole number, 1 or more, got "0"`},
		"how no number ends":              {object{"version": []any{object{"suffix": "b"}}}, `Detail.version[0].suffix must match the text of a whole number, 1 or more, got "b"`},
		"what no number looks like":       {object{"version": []any{object{"wildcard": "1.*"}}}, `Detail.version[0].wildcard must match the text of a whole number, 1 or more, got "1.*"`},
		"a number as an address":          {object{"version": []any{object{"cidr": "10.0.0.0/24"}}}, `Detail.version[0].cidr must be a range of IP addresses like 10.0.0.0/24 on a field that holds one, got "10.0.0.0/24"`},
		"a range that is none":            {object{"id": []any{object{"cidr": "foo"}}}, `Detail.id[0].cidr must be a range of IP addresses like 10.0.0.0/24 on a field that holds one, got "foo"`},
		"an empty text":                   {object{"id": []string{""}}, "Detail.id[0] must not be empty, because id never is"},
		"an empty text in any case":       {object{"correlationId": []any{object{"equals-ignore-case": ""}}}, "Detail.correlationId[0].equals-ignore-case must not be empty, because correlationId never is"},
		"CDK's matcher of numbers":        {object{"version": awsevents.Match_GreaterThan(jsii.Number(1))}, "Detail.version[0].numeric must not be used, because numbers are texts in the envelope"},
		"CDK's matcher of absence":        {object{"id": awsevents.Match_DoesNotExist()}, "Detail.id[0].exists must be true, because every field is always there, got false"},
		"CDK's matcher of null":           {object{"aggregateId": awsevents.Match_NullValue()}, "Detail.aggregateId[0] must be a text or a comparison, because every value of the envelope is a text, got null"},
		"numeric":                         {object{"version": []any{object{"numeric": []any{">", 1}}}}, "Detail.version[0].numeric must not be used, because numbers are texts in the envelope"},
		"a field that is always there":    {object{"id": []any{object{"exists": false}}}, "Detail.id[0].exists must be true, because every field is always there, got false"},
		"a text without a list":           {object{"id": "e-1"}, `Detail.id must be a list of texts or comparisons, got "e-1"`},
		"fields inside of a text":         {object{"aggregateId": object{"value": []string{"o-1"}}}, "Detail.aggregateId must be a list of texts or comparisons, got"},
		"an empty list":                   {object{"id": []string{}}, "Detail.id must list at least one text or comparison, got none"},
		"a list in a list":                {object{"id": []any{[]string{"e-1"}}}, `Detail.id[0] must be a text or a comparison, because every value of the envelope is a text, got ["e-1"]`},
		"no field at all":                 {object{}, "Detail must name at least one field, got none"},
		"an operator that is none":        {object{"id": []any{object{"startsWith": "e"}}}, "Detail.id[0].startsWith must be prefix, suffix, equals-ignore-case, wildcard, cidr, anything-but or exists"},
		"two operators":                   {object{"id": []any{object{"prefix": "e", "suffix": "1"}}}, `Detail.id[0] must have one operator, got {"prefix":"e","suffix":"1"}`},
		"a prefix that is a number":       {object{"version": []any{object{"prefix": 1}}}, "Detail.version[0].prefix must be a text, because every value of the envelope is one, got 1"},
		"a prefix that is a list":         {object{"id": []any{object{"prefix": []string{"e"}}}}, `Detail.id[0].prefix must be a text`},
		"two wildcards side by side":      {object{"id": []any{object{"wildcard": "e**"}}}, `Detail.id[0].wildcard must not have two wildcards side by side, which EventBridge refuses, got "e**"`},
		"anything but a number":           {object{"version": []any{object{"anything-but": 1}}}, "Detail.version[0].anything-but must be a text, because every value of the envelope is one, got 1"},
		"anything but numbers":            {object{"version": []any{object{"anything-but": []any{"1", 2}}}}, "Detail.version[0].anything-but[1] must be a text, because every value of the envelope is one, got 2"},
		"anything but nothing":            {object{"version": []any{object{"anything-but": []any{}}}}, "Detail.version[0].anything-but must list at least one text, got none"},
		"anything but what is there":      {object{"version": []any{object{"anything-but": object{"exists": true}}}}, "Detail.version[0].anything-but must be a text, a list of texts, or one of prefix, suffix, equals-ignore-case and wildcard"},
		"an alternative to a mistake":     {object{"$or": []any{object{"id": []string{"e-1"}}, object{"currency": []string{"1"}}}}, "Detail.$or[1].currency must be a field of the envelope"},
		"one alternative":                 {object{"$or": []any{object{"id": []string{"e-1"}}}}, "Detail.$or must be a list of two or more patterns"},
		"an empty alternative":            {object{"$or": []any{object{"id": []string{"e-1"}}, object{}}}, "Detail.$or[1] must be a pattern of one or more fields, got {}"},
	} {
		t.Run(name, func(t *testing.T) {
			message := refused(t, func() {
				box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter(), Detail: &test.detail})
			})
			const shown = `the detail of an event looks like {"id": "…", "type": "OrderCreated"`
			for _, want := range []string{test.want, shown} {
				if !strings.Contains(message, want) {
					t.Errorf("it says %q, want in it %q", message, want)
				}
			}
		})
	}
}

// The detail-type of an event is also its detail's type, and both must match.
func TestConsumerRefusesADetailThatExcludesItsTypes(t *testing.T) {
	box := newOutbox(newStack(t))
	const typed = "must allow one of EventTypes, which are values of the same field, got "
	for name, test := range map[string]struct {
		detail object
		want   string
	}{
		"another type":         {object{"type": []string{"C", "D"}}, "Detail.type " + typed + `["C","D"]`},
		"another beginning":    {object{"type": []any{object{"prefix": "C"}}}, "Detail.type " + typed},
		"another end":          {object{"type": []any{object{"suffix": "C"}}}, "Detail.type " + typed},
		"another in any case":  {object{"type": []any{object{"equals-ignore-case": "c"}}}, "Detail.type " + typed},
		"anything but these":   {object{"type": []any{object{"anything-but": []string{"B", "A"}}}}, "Detail.type " + typed},
		"an alternative":       {object{"$or": []any{object{"type": []string{"A"}}, object{"type": []string{"C"}}}}, "Detail.$or[1].type " + typed},
		"an aggregate instead": {object{"$or": []any{object{"id": []string{"e-1"}}, object{"aggregateType": []string{"Cart"}}}}, "Detail.$or[1].aggregateType must allow one of AggregateTypes"},
	} {
		t.Run(name, func(t *testing.T) {
			message := refused(t, func() {
				box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
					GoFunction: greeter(), EventTypes: jsii.Strings("A", "B"), AggregateTypes: jsii.Strings("Order"), Detail: &test.detail,
				})
			})
			wants(t, message, test.want)
		})
	}
	guard(t, func() {
		for i, list := range [][]any{{"C", "B"}, {object{"prefix": "A"}}, {object{"anything-but": "B"}}, {object{"wildcard": "*"}}, {object{"exists": true}}, {awscdk.Aws_REGION()}} {
			box.AddConsumer(jsii.String(fmt.Sprint("Shipping", i)), &outbox.ConsumerProps{GoFunction: greeter(), EventTypes: jsii.Strings("A", "B"), Detail: &object{"type": list}})
		}
		box.AddConsumer(jsii.String("Later"), &outbox.ConsumerProps{GoFunction: greeter(), EventTypes: &[]*string{awscdk.Aws_REGION()}, Detail: &object{"type": []string{"C"}}})
	})
}

// What EventBridge takes and an event can match is not refused.
func TestConsumerTakesEveryOperator(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		newOutbox(stack).AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{GoFunction: greeter(), Detail: &map[string]any{
			"id":          []any{object{"exists": true}, object{"cidr": "10.0.0.0/24"}},
			"type":        []any{object{"prefix": object{"equals-ignore-case": "order"}}, object{"suffix": "Created"}},
			"aggregateId": []any{object{"equals-ignore-case": "O-1"}, object{"wildcard": "o-*-1"}, awscdk.Aws_REGION()},
			"version":     []any{"1", object{"anything-but": []any{"2", "3"}}},
			"occurredAt":  []any{object{"anything-but": object{"prefix": "17"}}},
			"data":        object{"S": []any{object{"wildcard": `*"currency":"EUR"*`}}},
			"causationId": object{"S": jsii.Strings("")},
			"$or":         []any{object{"correlationId": jsii.Strings("c")}, object{"traceparent": object{"S": []any{object{"anything-but": ""}}}}},
		}})
	})
	detail := synthesize(t, stack).part(t, "Outbox/Shipping/Rule").Properties["EventPattern"].(map[string]any)["detail"]
	same(t, "data", detail.(map[string]any)["data"], `{"S": [{"wildcard": "*\"currency\":\"EUR\"*"}]}`)
}

// CDK's own helpers make tokens, which are opened for the check, as TestConsumerRefusesAPatternThatMatchesNoEvent shows.
// What only the deployment knows stays closed.
func TestConsumerTakesCDKsMatchers(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		newOutbox(stack).AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
			GoFunction: greeter(), Detail: &map[string]any{
				"aggregateId":   awsevents.Match_Prefix(jsii.String("eu-")),
				"version":       []*string{awscdk.Aws_REGION()},
				"correlationId": awscdk.Fn_Split(jsii.String(","), awscdk.Fn_ImportValue(jsii.String("ids")), nil),
			},
		})
	})
	tpl := synthesize(t, stack)
	detail := tpl.part(t, "Outbox/Shipping/Rule").Properties["EventPattern"].(map[string]any)["detail"]
	same(t, "detail", tpl.readable(detail), `{"aggregateId": [{"prefix": "eu-"}], "version": ["${AWS::Region}"], "correlationId": {"Fn::Split": [",", {"Fn::ImportValue": "ids"}]}}`)
}

// No event of an outbox has a '#' in these, because they are parts of keys.
func TestConsumerRefusesWhatNoEventIsCalled(t *testing.T) {
	box := newOutbox(newStack(t))
	message := refused(t, func() {
		box.AddConsumer(jsii.String("Shipping"), &outbox.ConsumerProps{
			GoFunction: greeter(), Sources: jsii.Strings("orders", "or#ders"), AggregateTypes: jsii.Strings("Or#der", strings.Repeat("x", 129)), EventTypes: jsii.Strings("Order\xffCreated"),
		})
	})
	for _, want := range []string{
		`Sources[1] must have 1 to 256 bytes of UTF-8 without '#', got 7 in "or#ders"`,
		`AggregateTypes[0] must have 1 to 128 bytes of UTF-8 without '#', got 6 in "Or#der"`,
		`AggregateTypes[1] must have 1 to 128 bytes of UTF-8 without '#', got 129 in`,
		`EventTypes[0] must have 1 to 128 characters of UTF-8`,
	} {
		if !strings.Contains(message, want) {
			t.Errorf("it says %q, want in it %q", message, want)
		}
	}
}
