package flow

import (
	"slices"
	"strings"
)

// sending are the actions by which a function hands on events, by the kind of what takes them.
var sending = map[Kind]string{
	Table:       "dynamodb:PutItem",
	Bus:         "events:PutEvents",
	Topic:       "sns:Publish",
	Queue:       "sqs:SendMessage",
	DeadLetters: "sqs:SendMessage",
}

// sends adds the edges of what the functions' roles let them send, and receive without a mapping: what their code does is
// not in the template.
func (r *reader) sends() {
	functions := map[string][]string{} // by role
	for id, res := range r.Resources {
		if res.Type == "AWS::Lambda::Function" {
			for _, role := range r.references(res.Properties["Role"]) {
				functions[role] = append(functions[role], id)
			}
		}
	}
	for role, ids := range functions {
		for _, statement := range r.statements(role) {
			for _, to := range r.references(at(statement, "Resource")) {
				n := r.nodes[to]
				if n == nil {
					continue
				}
				for _, id := range ids {
					if allows(statement, sending[n.Kind]) {
						r.graph.add(Edge{From: id, To: to, DeadLetters: n.Kind == DeadLetters})
					}
					if n.Kind == Queue && allows(statement, "sqs:ReceiveMessage") {
						r.graph.add(Edge{From: to, To: id})
					}
				}
			}
		}
	}
}

// statements returns the statements of the policies of a role, its own and those that are attached to it.
func (r *reader) statements(role string) []any {
	var all []any
	for _, policy := range list(r.Resources[role].Properties["Policies"]) {
		all = append(all, list(at(policy, "PolicyDocument", "Statement"))...)
	}
	for _, res := range r.Resources {
		if (res.Type == "AWS::IAM::Policy" || res.Type == "AWS::IAM::ManagedPolicy") && slices.Contains(r.references(res.Properties["Roles"]), role) {
			all = append(all, list(at(res.Properties["PolicyDocument"], "Statement"))...)
		}
	}
	return all
}

// allows reports whether a statement allows an action.
func allows(statement any, want string) bool {
	service, _, ok := strings.Cut(want, ":")
	return ok && at(statement, "Effect") == "Allow" && slices.ContainsFunc(texts(at(statement, "Action")), func(action string) bool {
		return action == want || action == service+":*" || action == "*"
	})
}

// callbacks takes out the edges by which a function sends to what comes before it: they would make the flow a circle.
func (r *reader) callbacks() {
	for _, e := range slices.Clone(r.graph.Edges) {
		if from := r.nodes[e.From]; from != nil && from.Kind == Function && !e.DeadLetters && r.graph.reaches(e.To, e.From) {
			from.Writes = from.Writes || r.nodes[e.To].Kind != Queue
			r.graph.Edges = slices.DeleteFunc(r.graph.Edges, func(o Edge) bool { return o.From == e.From && o.To == e.To })
		}
	}
}
