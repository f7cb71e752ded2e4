package local

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// reportUpdate prints a line for each resource that an update has changed.
func (s *Session) reportUpdate(before, after []*template.Deployment, took time.Duration) {
	lines := changes(resourcesOf(before), resourcesOf(after))
	s.out.Notice(fmt.Sprintf("updated in %s: %s", short(took), changed(len(lines))))
	for _, line := range lines {
		s.out.Notice("  " + line)
	}
}

func changed(resources int) string {
	if resources == 1 {
		return "1 resource has changed"
	}
	return fmt.Sprintf("%d resources have changed", resources)
}

// refuse prints, a line each, why another template does not run.
func (s *Session) refuse(err error) {
	s.out.Notice("the new template is refused, and the one before goes on. Synthesize again, or restart:")
	s.noticeLines(err)
}

func (s *Session) noticeLines(err error) {
	for line := range strings.Lines(err.Error()) {
		s.out.Notice("  " + strings.TrimSuffix(line, "\n"))
	}
}

// changes returns what an update has changed: "changed Outbox/Ship/Queue (AWS::SQS::Queue): VisibilityTimeout".
func changes(before, after []template.Deployed) []string {
	old := map[place]template.Deployed{}
	for _, r := range before {
		old[placeOf(r)] = r
	}
	var lines []string
	for _, r := range after {
		was, known := old[placeOf(r)]
		delete(old, placeOf(r))
		switch {
		case !known || was.Type != r.Type:
			lines = append(lines, fmt.Sprintf("added %s (%s)", r.Name, r.Type))
		default:
			if names := changedProperties(was, r); len(names) > 0 {
				lines = append(lines, fmt.Sprintf("changed %s (%s): %s", r.Name, r.Type, strings.Join(names, ", ")))
			}
		}
	}
	for _, r := range before {
		if _, gone := old[placeOf(r)]; gone {
			lines = append(lines, fmt.Sprintf("removed %s (%s)%s", r.Name, r.Type, remains(r.Type)))
		}
	}
	return lines
}

// A place identifies a resource whichever stacks run beside its own: the logical id in the run changes with them.
type place struct{ stack, id string }

func placeOf(r template.Deployed) place { return place{r.Stack, r.TemplateID()} }

// resourcesOf returns the resources of all stacks.
func resourcesOf(deployments []*template.Deployment) []template.Deployed {
	var all []template.Deployed
	for _, d := range deployments {
		all = append(all, d.Resources...)
	}
	return all
}

// remains says what is left of a resource that the template does not have any more.
func remains(kind string) string {
	switch kind {
	case "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::SQS::Queue", "AWS::Events::Archive":
		return ": what it holds stays in the data folder"
	}
	return ""
}

// changedProperties returns the names of the properties that differ, and of the metadata by which functions are built.
func changedProperties(before, after template.Deployed) []string {
	names := map[string]bool{}
	for _, properties := range []map[string]any{before.Properties, after.Properties} {
		for name := range properties {
			if !reflect.DeepEqual(before.Properties[name], after.Properties[name]) {
				names[name] = true
			}
		}
	}
	if !reflect.DeepEqual(before.Metadata[goBuild], after.Metadata[goBuild]) {
		names["the settings of its build"] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// sameStacks reports whether templates differ in nothing but the builds of Go functions for AWS, which do not run here.
func sameStacks(some, others []*template.Stack) bool {
	return slices.EqualFunc(some, others, func(one, other *template.Stack) bool {
		return one.Name == other.Name && sameText([]byte(one.Text()), []byte(other.Text()))
	})
}

func sameText(one, other []byte) bool {
	return reflect.DeepEqual(withoutBuilds(one), withoutBuilds(other))
}

func withoutBuilds(body []byte) any {
	var all map[string]any
	if json.Unmarshal(body, &all) != nil {
		return string(body)
	}
	resources, _ := all["Resources"].(map[string]any)
	for _, r := range resources {
		resource, _ := r.(map[string]any)
		metadata, _ := resource["Metadata"].(map[string]any)
		if properties, _ := resource["Properties"].(map[string]any); metadata[goBuild] != nil {
			delete(properties, "Code")
			delete(metadata, "aws:asset:path")
		}
	}
	return all
}

// goBuild is the metadata that says how a Go function is built.
const goBuild = "outboxkit:golambda"

// short returns a duration for a person: "0.8s".
func short(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }
