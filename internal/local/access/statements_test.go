package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
)

// A statement is one place in a template that gives or denies a permission: a statement of a policy, a managed policy of a
// role, or the permission of a function.
type statement struct {
	title string
	id    string // of the resource
	kind  statementKind
	path  []any // in the template
}

type statementKind int

const (
	trust statementKind = iota
	ofRole
	managedPolicy
	ofQueue
	ofFunction // a whole AWS::Lambda::Permission
)

// statementsOf returns all of them.
func statementsOf(document map[string]any) []statement {
	var all []statement
	resources := document["Resources"].(map[string]any)
	for _, id := range slices.Sorted(maps.Keys(resources)) {
		properties, _ := at(resources, []any{id, "Properties"}).(map[string]any)
		each := func(kind statementKind, name string, path ...any) {
			path = append([]any{"Resources", id, "Properties"}, path...)
			for i := range list(at(document, path)) {
				all = append(all, statement{fmt.Sprintf("%s/%s %d", id, name, i), id, kind, append(slices.Clone(path), i)})
			}
		}
		switch resources[id].(map[string]any)["Type"] {
		case "AWS::IAM::Role":
			each(trust, "trust", "AssumeRolePolicyDocument", "Statement")
			each(managedPolicy, "managed", "ManagedPolicyArns")
			for i := range list(properties["Policies"]) {
				each(ofRole, fmt.Sprintf("inline %d", i), "Policies", i, "PolicyDocument", "Statement")
			}
		case "AWS::IAM::Policy":
			each(ofRole, "policy", "PolicyDocument", "Statement")
		case "AWS::SQS::QueuePolicy":
			each(ofQueue, "policy", "PolicyDocument", "Statement")
		case "AWS::Lambda::Permission":
			all = append(all, statement{id, id, ofFunction, []any{"Resources", id}})
		}
	}
	return all
}

// in returns the statement with its intrinsics resolved.
func (s statement) in(resolved map[string]any) map[string]any {
	if s.kind == ofFunction {
		return resolved[s.id].(map[string]any)
	}
	// The path begins with Resources, the id and Properties.
	one, _ := at(resolved[s.id], s.path[3:]).(map[string]any)
	return one
}

// A removal is a thing to remove from the template, and what something that then fails must say.
type removal struct {
	path  []any
	names string
}

// removalsOf returns every statement, and each action and resource of a statement that has more than one.
func removalsOf(document, resolved map[string]any) map[string]removal {
	all := map[string]removal{}
	for _, s := range statementsOf(document) {
		one := s.in(resolved)
		actions, resources := texts(one["Action"]), texts(one["Resource"])
		all[s.title] = removal{s.path, s.missing(one, 0, 0)}
		for i := range actions {
			if len(actions) > 1 {
				all[s.title+"/"+actions[i]] = removal{append(slices.Clone(s.path), "Action", i), s.missing(one, i, 0)}
			}
		}
		for i := range resources {
			if len(resources) > 1 {
				all[fmt.Sprintf("%s/resource %d", s.title, i)] = removal{append(slices.Clone(s.path), "Resource", i), s.missing(one, 0, i)}
			}
		}
	}
	return all
}

// missing returns what is said where an action on a resource of the statement is missing.
func (s statement) missing(resolved map[string]any, action, resource int) string {
	switch {
	case s.kind == trust:
		return "the role " + s.id + " cannot be assumed by " + texts(resolved["Principal"].(map[string]any)["Service"])[0]
	case s.kind == managedPolicy:
		return "the role " + s.id + " may not logs:PutLogEvents on *"
	case s.kind == ofFunction:
		return " may not lambda:InvokeFunction on " + resolved["FunctionName"].(string)
	case resolved["Effect"] == "Deny":
		return texts(resolved["Resource"])[resource] + " takes sqs:* without TLS"
	}
	prefix, _, _ := strings.Cut(texts(resolved["Resource"])[resource], "*")
	return " may not " + texts(resolved["Action"])[action] + " on " + prefix
}

// A conditional is a condition of a statement.
type conditional struct {
	statement statement
	path      []any
	request   iam.Request // meets all conditions of the statement
	violate   func(iam.Context)
}

// meeting returns the request with its context changed.
func (c conditional) meeting(change func(iam.Context)) iam.Request {
	request := c.request
	request.Context = maps.Clone(request.Context)
	if change != nil {
		change(request.Context)
	}
	return request
}

// conditionsOf returns every condition of every statement.
func conditionsOf(document, resolved map[string]any) map[string]conditional {
	all := map[string]conditional{}
	for _, s := range statementsOf(document) {
		one := s.in(resolved)
		if s.kind == ofFunction {
			one = map[string]any{
				"Action": one["Action"], "Resource": one["FunctionName"], "Principal": map[string]any{"Service": one["Principal"]},
				"Condition": map[string]any{"ArnLike": map[string]any{"aws:SourceArn": one["SourceArn"]}},
			}
		}
		given, ok := one["Condition"].(map[string]any)
		if !ok {
			continue
		}
		request := requestMeeting(one, given)
		for operator, keys := range given {
			for key := range keys.(map[string]any) {
				c := conditional{statement: s, request: request, path: append(slices.Clone(s.path), "Condition", operator, key)}
				if s.kind == ofFunction {
					c.path = append(slices.Clone(s.path), "Properties", "SourceArn")
				}
				c.violate = func(context iam.Context) { context.Set(key, "other") }
				if operator == "Null" {
					c.violate = func(context iam.Context) { delete(context, strings.ToLower(key)) }
				}
				all[s.title+"/"+operator+" "+key] = c
			}
		}
	}
	return all
}

// requestMeeting returns a request that a statement is about and that meets the conditions.
func requestMeeting(one, conditions map[string]any) iam.Request {
	example := func(pattern string) string { return strings.ReplaceAll(pattern, "*", "x") }
	request := iam.Request{Action: example(texts(one["Action"])[0]), Context: iam.Context{}}
	if resources := texts(one["Resource"]); len(resources) > 0 {
		request.Resource = example(resources[0])
	}
	if principal, ok := one["Principal"].(map[string]any); ok {
		if service := texts(principal["Service"]); service != nil {
			request.Principal = iam.Principal{Service: service[0]}
		}
	}
	for operator, keys := range conditions {
		for key, values := range keys.(map[string]any) {
			if operator != "Null" { // the other conditions of the key give it a value
				request.Context.Set(key, example(texts(values)[0]))
			}
		}
	}
	return request
}

// applies reports whether the statement's effect is that on the request: that it is allowed, or for Deny that it is denied.
func (f *deployment) applies(s statement, request iam.Request) bool {
	switch s.kind {
	case trust:
		return iam.Evaluate(request, iam.Policies{Resource: f.roleOf(s).trust}).Allowed
	case ofRole:
		role := f.roleOf(s)
		request.Principal = session{role: role.arn, name: "test"}.principal()
		return iam.Evaluate(request, f.authority.policies(role, request)).Allowed
	case ofQueue, ofFunction, managedPolicy:
	}
	if service := request.Principal.Service; service != "" {
		return iam.Evaluate(request, iam.Policies{Resource: f.authority.policyOf(request.Resource)}).Allowed
	}
	request.Principal.Account = cloud.Account // everybody is denied
	return !iam.Evaluate(request, iam.Policies{Identity: allowsAll, Resource: f.authority.policyOf(request.Resource)}).Allowed
}

// roleOf returns the role that the statement is of.
func (f *deployment) roleOf(s statement) *role {
	properties := f.resolved[s.id].(map[string]any)
	for _, r := range f.authority.roles {
		if r.logicalID == s.id || slices.Contains(texts(properties["Roles"]), nameOf(r.arn)) {
			return r
		}
	}
	return nil
}

func list(value any) []any {
	l, _ := value.([]any)
	return l
}

// texts returns a text or a list of them as a list.
func texts(value any) []string {
	if one, ok := value.(string); ok {
		return []string{one}
	}
	var all []string
	for _, one := range list(value) {
		all = append(all, one.(string))
	}
	return all
}

// at returns the value at a path of keys and indexes.
func at(value any, path []any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			value = value.(map[string]any)[step]
		case int:
			value = value.([]any)[step]
		}
	}
	return value
}

// without returns a copy of the document without the value at the path.
func without(document map[string]any, path []any) map[string]any {
	copied := decoded(encoded(document))
	parent, last := path[:len(path)-1], path[len(path)-1]
	switch last := last.(type) {
	case string:
		delete(at(copied, parent).(map[string]any), last)
	case int:
		above := at(copied, parent[:len(parent)-1]).(map[string]any)
		key := parent[len(parent)-1].(string)
		above[key] = slices.Delete(above[key].([]any), last, last+1)
	}
	return copied
}
