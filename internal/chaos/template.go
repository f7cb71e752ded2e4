package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// Template is a stack's template while it is changed. A change that finds something else than it expects
// is noted, and reported by patch.
type Template struct {
	assembly, root string // folder of the assembly it is in, and of the repository
	resources      map[string]any
	outputs        map[string]any
	problems       []error
}

// Change is a change of a template.
type Change func(*Template)

// patch copies the assembly in one folder to another, with changes to the template of the stack. The folder root
// is the repository.
func patch(root, from, to, stack string, changes ...Change) error {
	if err := localrun.CopyAssembly(from, to); err != nil {
		return err
	}
	file := filepath.Join(to, stack+".template.json")
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if raw, err = change(root, to, raw, changes...); err != nil {
		return fmt.Errorf("change %s: %w", file, err)
	}
	return os.WriteFile(file, raw, 0o644)
}

// Apply reports what keeps the changes from fitting a template.
func Apply(template []byte, changes ...Change) error {
	_, err := change("", "", template, changes...)
	return err
}

// change returns the template with the changes made.
func change(root, assembly string, template []byte, changes ...Change) ([]byte, error) {
	var whole map[string]any
	if err := json.Unmarshal(template, &whole); err != nil {
		return nil, err
	}
	t := &Template{root: root, assembly: assembly, resources: object(whole["Resources"]), outputs: object(whole["Outputs"])}
	for _, c := range changes {
		c(t)
	}
	if err := errors.Join(t.problems...); err != nil {
		return nil, err
	}
	return json.Marshal(whole)
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// Problem notes that a change does not fit.
func (t *Template) Problem(format string, args ...any) {
	t.problems = append(t.problems, fmt.Errorf(format, args...))
}

// Resource returns the one resource of the type whose construct path holds the text, and its logical id.
func (t *Template) Resource(kind, path string) (string, map[string]any) {
	var ids []string
	for id, r := range t.resources {
		if object(r)["Type"] == kind && strings.Contains(pathOf(r), path) {
			ids = append(ids, id)
		}
	}
	if len(ids) != 1 {
		t.Problem("the template has %d resources %s with %q in their path, expected one", len(ids), kind, path)
		return "", map[string]any{}
	}
	return ids[0], object(t.resources[ids[0]])
}

// Properties returns those of the one resource that Resource finds.
func (t *Template) Properties(kind, path string) map[string]any {
	_, r := t.Resource(kind, path)
	if p := object(r["Properties"]); p != nil {
		return p
	}
	return map[string]any{}
}

// Each calls change with the properties of every resource of the type.
func (t *Template) Each(kind string, change func(properties map[string]any)) {
	for _, r := range t.resources {
		if object(r)["Type"] == kind {
			change(object(object(r)["Properties"]))
		}
	}
}

// pathOf returns the construct path that CDK leaves in the metadata.
func pathOf(resource any) string {
	path, _ := object(object(resource)["Metadata"])["aws:cdk:path"].(string)
	return path
}

// shortenTimeouts shortens what a run would otherwise wait for: a message comes back after seconds instead of a
// minute, and a function that hangs is ended sooner. The ratio that AWS advises, six times the function's
// timeout, is given up for that: a message may become visible while it is still being handled, which is one
// more fault that the guarantee has to bear.
func shortenTimeouts(t *Template) {
	const seconds = 4
	t.Each("AWS::Lambda::Function", func(p map[string]any) { p["Timeout"] = seconds })
	// The auditor begins nothing in its last ten seconds.
	t.Properties("AWS::Lambda::Function", "/Auditor/")["Timeout"] = 5 * seconds
	t.Each("AWS::SQS::Queue", func(p map[string]any) {
		if p["RedrivePolicy"] != nil {
			p["VisibilityTimeout"] = seconds
		}
	})
}

// auditAtOnce makes the auditor take up events as they come, and look for their effects when it is invoked: the run does
// that, in place of the schedule, when everything has come to rest. The rules of the local run are active at once.
func auditAtOnce(t *Template) {
	t.Properties("AWS::Events::Rule", "/AuditSchedule")["State"] = "DISABLED"
	t.Properties("AWS::Lambda::EventSourceMapping", "/AuditMapping")["MaximumBatchingWindowInSeconds"] = 1
	shortened := 0
	t.Each("AWS::SSM::Parameter", func(p map[string]any) {
		join, _ := object(p["Value"])["Fn::Join"].([]any)
		if len(join) != 2 {
			return
		}
		parts, _ := join[1].([]any)
		for i, part := range parts {
			text, isText := part.(string)
			if !isText {
				continue
			}
			changed := descriptionInTests.Replace(text)
			if changed != text {
				shortened++
			}
			parts[i] = changed
		}
	})
	if shortened < 2 {
		t.Problem("the descriptions have no confirmWithinSeconds, or no rule")
	}
}

// descriptionInTests shortens times in descriptions.
var descriptionInTests = strings.NewReplacer(
	`"confirmWithinSeconds":"900"`, `"confirmWithinSeconds":"1"`,
	`"rule":"`, `"ruleActiveAfterSeconds":"0","rule":"`,
)
