package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// standInStack is the name of the stack that has the stand-ins. It is no stack of the app: CloudFormation's API does not
// show it, and it would not take that name.
const standInStack = "--stand-in"

// StandInForms is what --stand-in takes, by the kind before the "=".
const StandInForms = "table=NAME[:KEY=S,SORTKEY=N], bus=NAME, queue=NAME, export=NAME=VALUE, ssm=NAME=VALUE"

// A standIn is what the template of the stand-ins has for one flag, by what is added to the logical id.
type standIn struct {
	resources map[string]map[string]any
	outputs   map[string]any
}

// resource returns a stand-in that is a resource.
func resource(kind string, properties map[string]any) standIn {
	return standIn{resources: map[string]map[string]any{"": entry(kind, properties)}}
}

func entry(kind string, properties map[string]any) map[string]any {
	return map[string]any{"Type": kind, "Properties": properties}
}

// standIns returns a stack with what is made in place of something that no stack of the run has, or nil for none. It runs
// like any stack: what imports from it, or reads its parameters, does so by CloudFormation's rules.
func standIns(texts []string) (*template.Stack, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	resources, outputs := map[string]any{}, map[string]any{}
	var problems []error
	for i, text := range texts {
		one, err := parseStandIn(fmt.Sprintf("StandIn%d", i+1), text)
		problems = append(problems, err)
		for suffix, r := range one.resources {
			r["Metadata"] = map[string]any{"aws:cdk:path": strings.TrimSuffix(whatStandsIn(text)+"/"+suffix, "/")}
			resources[fmt.Sprintf("StandIn%d%s", i+1, suffix)] = r
		}
		for suffix, o := range one.outputs {
			outputs[fmt.Sprintf("StandIn%d%s", i+1, suffix)] = o
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(map[string]any{"Resources": resources, "Outputs": outputs})
	if err != nil {
		return nil, err
	}
	return template.NewStack(standInStack, raw)
}

// whatStandsIn returns how hops and the page call it: "bus=shared", as the flag does, without keys and values.
func whatStandsIn(text string) string {
	kind, name, _ := strings.Cut(text, "=")
	if end := strings.IndexAny(name, ":="); end >= 0 {
		name = name[:end]
	}
	return kind + "=" + name
}

// parseStandIn reads the flag of the stand-in with that logical id.
func parseStandIn(id, text string) (standIn, error) {
	kind, name, _ := strings.Cut(text, "=")
	name, value, _ := strings.Cut(name, "=")
	switch {
	case name == "":
	case kind == "table":
		name, keys, _ := strings.Cut(strings.TrimPrefix(text, "table="), ":")
		return table(name, keys)
	case kind == "bus" && value == "":
		return resource("AWS::Events::EventBus", map[string]any{"Name": name}), nil
	case kind == "queue" && value == "":
		return queue(id, name), nil
	case kind == "export" && value != "":
		return standIn{outputs: map[string]any{"": map[string]any{"Value": value, "Export": map[string]any{"Name": name}}}}, nil
	case kind == "ssm" && value != "":
		return resource("AWS::SSM::Parameter", map[string]any{"Type": "String", "Name": name, "Value": value}), nil
	}
	return standIn{}, fmt.Errorf("--stand-in must be one of %s, got %q", StandInForms, text)
}

// queue returns a queue that lets everybody in: the policy of the one that it stands in for is not known.
func queue(id, name string) standIn {
	properties := map[string]any{"QueueName": name}
	if strings.HasSuffix(name, ".fifo") {
		properties["FifoQueue"] = true
	}
	all := map[string]any{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": map[string]any{"Fn::GetAtt": []any{id, "Arn"}}}
	return standIn{resources: map[string]map[string]any{
		"": entry("AWS::SQS::Queue", properties),
		"Policy": entry("AWS::SQS::QueuePolicy", map[string]any{
			"Queues":         []any{map[string]any{"Ref": id}},
			"PolicyDocument": map[string]any{"Version": "2012-10-17", "Statement": []any{all}},
		}),
	}}
}

// table returns a table with the given keys, "KEY=S" or "KEY=S,SORTKEY=N". Default: pk and sk, both strings.
func table(name, keys string) (standIn, error) {
	if keys == "" {
		keys = "pk=S,sk=S"
	}
	var attributes, schema []any
	for i, key := range strings.Split(keys, ",") {
		attribute, kind, _ := strings.Cut(key, "=")
		if attribute == "" || i > 1 || !slices.Contains([]string{"S", "N", "B"}, kind) {
			return standIn{}, fmt.Errorf("--stand-in table=%s must have one or two keys of type S, N or B, as in table=%[1]s:pk=S,sk=N, got %q", name, keys)
		}
		attributes = append(attributes, map[string]any{"AttributeName": attribute, "AttributeType": kind})
		schema = append(schema, map[string]any{"AttributeName": attribute, "KeyType": []string{"HASH", "RANGE"}[i]})
	}
	return resource("AWS::DynamoDB::Table", map[string]any{
		"TableName": name, "AttributeDefinitions": attributes, "KeySchema": schema, "BillingMode": "PAY_PER_REQUEST",
	}), nil
}
