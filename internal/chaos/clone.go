package chaos

import (
	"path/filepath"
	"reflect"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// clone adds a copy of a consumer under another name, with another function. What depends on the consumer depends on the
// copy too, and the auditor may do with the copy what it may do with the consumer.
func clone(consumer, name, function string) Change {
	return func(t *Template) {
		ids := map[string]string{}
		for id, r := range t.resources {
			if strings.Contains(pathOf(r), "/"+consumer+"/") {
				ids[id] = strings.Replace(id, consumer, name, 1)
			}
		}
		if len(ids) == 0 {
			t.Problem("the template has no consumer %s", consumer)
			return
		}
		rename := renamer(ids, consumer, name)
		t.dependAlike(rename, ids)
		t.auditAlike(consumer, rename)
		for id, copied := range ids {
			t.resources[copied] = rename(t.resources[id])
		}
		_, f := t.Resource("AWS::Lambda::Function", "/"+name+"/")
		if m := object(object(f["Metadata"])["outboxkit:golambda"]); m != nil {
			var err error
			if m["source"], err = localrun.Source(t.assembly, filepath.Join(t.root, functions, function)); err != nil {
				t.Problem("function %s: %v", function, err)
			}
		}
		variables := object(object(object(f["Properties"])["Environment"])["Variables"])
		variables["LEDGER_TABLE"] = map[string]any{"Ref": t.ordersTable()}
		variables["LEDGER_ENTITY"] = strings.ToLower(name)
		t.allowUpdates(name)
		for id, output := range t.outputs {
			if strings.HasPrefix(id, consumer) {
				t.outputs[strings.Replace(id, consumer, name, 1)] = rename(output)
			}
		}
	}
}

// allowUpdates lets the function of a cloned consumer write its ledger, which the production function has not.
func (t *Template) allowUpdates(consumer string) {
	document := object(t.Properties("AWS::IAM::Policy", "/"+consumer+"/")["PolicyDocument"])
	statements, _ := document["Statement"].([]any)
	document["Statement"] = append(statements, map[string]any{
		"Effect": "Allow", "Action": "dynamodb:UpdateItem",
		"Resource": map[string]any{"Fn::GetAtt": []any{t.ordersTable(), "Arn"}},
	})
}

// dependAlike makes what comes after resources of the consumer come after their copies too. The consumer's own are copied.
func (t *Template) dependAlike(rename func(any) any, ids map[string]string) {
	for id, r := range t.resources {
		if _, own := ids[id]; own {
			continue
		}
		if before, some := object(r)["DependsOn"].([]any); some {
			object(r)["DependsOn"] = withCopies(before, rename)
		}
	}
}

// auditAlike extends the statements of the auditor's role that name the consumer's queue, or the keys of its items in the
// inbox, to those of the copy.
func (t *Template) auditAlike(consumer string, rename func(any) any) {
	document := object(t.Properties("AWS::IAM::Policy", "/Auditor/")["PolicyDocument"])
	statements, _ := document["Statement"].([]any)
	extended := false
	extend := func(in map[string]any, key string) {
		list, isList := in[key].([]any)
		if !isList {
			list = []any{in[key]}
		}
		if all := withCopies(list, rename); len(all) > len(list) {
			in[key], extended = all, true
		}
	}
	for _, s := range statements {
		extend(object(s), "Resource")
		for _, operator := range object(object(s)["Condition"]) {
			for key := range object(operator) {
				extend(object(operator), key)
			}
		}
	}
	if !extended {
		t.Problem("the auditor's role says nothing of the consumer %s", consumer)
	}
}

// withCopies returns the list, and behind it the renamed copies of those in it that concern the consumer.
func withCopies(list []any, rename func(any) any) []any {
	all := list[:len(list):len(list)]
	for _, v := range list {
		if renamed := rename(v); !reflect.DeepEqual(v, renamed) {
			all = append(all, renamed)
		}
	}
	return all
}

// functions is where the consumers of this package live in the repository.
const functions = "internal/chaos/functions"

func (t *Template) ordersTable() string {
	id, _ := t.Resource("AWS::DynamoDB::Table", "/Orders/")
	return id
}

// renamer copies a part of a template with logical ids, and the consumer's name in texts, replaced.
func renamer(ids map[string]string, consumer, name string) func(any) any {
	var rename func(any) any
	rename = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			out := make(map[string]any, len(v))
			for k, inner := range v {
				out[k] = rename(inner)
			}
			return out
		case []any:
			out := make([]any, len(v))
			for i, inner := range v {
				out[i] = rename(inner)
			}
			return out
		case string:
			if id, known := ids[v]; known {
				return id
			}
			return strings.ReplaceAll(v, consumer, name)
		}
		return v
	}
	return rename
}
