package access

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// goldenTemplates are the reference application's, by environment, and recorded are the requests of one run of its tests in
// dev, which test/e2e compares with a run.
const (
	goldenTemplates = "../../../test/synth/golden/Orders-%s.json"
	recorded        = "testdata/orders-dev.jsonl"
)

// TestEveryPermissionOfTheReferenceApplicationIsNeeded removes every statement of the template in turn, and of a
// statement with more than one action or resource each of them, and requires that something then fails which names the
// action and the resource that are missing.
func TestEveryPermissionOfTheReferenceApplicationIsNeeded(t *testing.T) {
	requests := readRecord(t)
	whole := readTemplate(t, "dev")
	f, problems := problemsOf(t, whole, requests)
	if len(problems) > 0 {
		t.Fatalf("with all statements: %s", strings.Join(problems, "\n"))
	}
	removals := removalsOf(whole, f.resolved)
	if len(removals) < 60 {
		t.Fatalf("found %d things to remove, want at least 60", len(removals))
	}
	for _, name := range slices.Sorted(maps.Keys(removals)) {
		t.Run(name, func(t *testing.T) {
			r := removals[name]
			_, problems := problemsOf(t, without(whole, r.path), requests)
			if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, r.names) }) {
				t.Errorf("nothing fails that says %q: the statement is not needed. Problems: %q", r.names, problems)
			}
		})
	}
}

// TestEveryConditionOfTheReferenceApplicationMatters makes for every condition of the template a request that meets all
// conditions of its statement but this one, and requires that the statement does not apply to it, and does when the condition
// is removed.
func TestEveryConditionOfTheReferenceApplicationMatters(t *testing.T) {
	whole := readTemplate(t, "dev")
	f := deploy(t, whole, nil)
	conditions := conditionsOf(whole, f.resolved)
	if len(conditions) < 40 {
		t.Fatalf("found %d conditions, want at least 40", len(conditions))
	}
	for _, name := range slices.Sorted(maps.Keys(conditions)) {
		t.Run(name, func(t *testing.T) {
			c := conditions[name]
			if !f.applies(c.statement, c.meeting(nil)) {
				t.Fatal("the statement does not apply to a request that meets its conditions")
			}
			if f.applies(c.statement, c.meeting(c.violate)) {
				t.Errorf("the statement applies to a request that does not meet the condition")
			}
			if !deploy(t, without(whole, c.path), nil).applies(c.statement, c.meeting(c.violate)) {
				t.Errorf("the statement does not apply to the request without the condition either: something else keeps it out")
			}
		})
	}
}

// TestEveryEnvironmentHasTheSamePermissions: what is shown of dev's template holds of the others.
func TestEveryEnvironmentHasTheSamePermissions(t *testing.T) {
	dev := permissionsOf(readTemplate(t, "dev"), "dev")
	for _, environment := range []string{"staging", "prod"} {
		if other := permissionsOf(readTemplate(t, environment), environment); !slices.Equal(dev, other) {
			t.Errorf("%s has %d permissions that differ from the %d of dev:\n%s", environment, len(other), len(dev), strings.Join(difference(dev, other), "\n"))
		}
	}
}

// permissionsOf returns everything in a template that gives or denies a permission, without the names of the environment.
func permissionsOf(document map[string]any, environment string) []string {
	var all []string
	for _, s := range statementsOf(document) {
		all = append(all, string(encoded([]any{s.title, at(document, s.path)})))
	}
	for i, one := range all {
		one = strings.ReplaceAll(one, "Orders-"+environment, "Orders-dev")
		all[i] = stageID.ReplaceAllString(one, "$1")
	}
	slices.Sort(all)
	return all
}

// stageID matches the logical ids that the name of the stage is part of.
var stageID = regexp.MustCompile(`(ApiDeploymentStage|ApiPermission\.?Orders)\w+`)

func difference(a, b []string) []string {
	var only []string
	for _, one := range a {
		if !slices.Contains(b, one) {
			only = append(only, "- "+one)
		}
	}
	for _, one := range b {
		if !slices.Contains(a, one) {
			only = append(only, "+ "+one)
		}
	}
	return only
}

func readRecord(t *testing.T) []Recorded {
	t.Helper()
	file, err := os.Open(recorded)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []Recorded
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var one Recorded
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

func readTemplate(t *testing.T, environment string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf(goldenTemplates, environment))
	if err != nil {
		t.Fatal(err)
	}
	return decoded(raw)
}

func decoded(raw []byte) map[string]any {
	var document map[string]any
	if err := json.Unmarshal(raw, &document); err != nil {
		panic(err)
	}
	return document
}

func encoded(document any) []byte {
	raw, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return raw
}
