package synth

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"
)

var (
	alarmHeading    = regexp.MustCompile(`(?m)^### ([A-Z]\w*Alarm)$`)
	alarmName       = regexp.MustCompile(`\b[A-Z][A-Za-z]*Alarm\b`)
	descriptionID   = regexp.MustCompile(`^Outbox(\w*)Description[0-9A-F]{8}$`)
	outboxAlarmName = regexp.MustCompile(`^Outbox(\w+Alarm)[0-9A-F]{8}$`)
)

// alarmsOf returns the ids of a template's alarms, those of its consumers without the consumer's.
func alarmsOf(t *testing.T, file string) map[string]bool {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Resources map[string]struct{ Type string }
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	var consumers []string
	for id := range golden.Resources {
		if found := descriptionID.FindStringSubmatch(id); found != nil && found[1] != "" {
			consumers = append(consumers, found[1])
		}
	}
	alarms := map[string]bool{}
	for id, resource := range golden.Resources {
		if resource.Type != "AWS::CloudWatch::Alarm" {
			continue
		}
		found := outboxAlarmName.FindStringSubmatch(id)
		if found == nil {
			t.Fatalf("alarm %s is none of the outbox", id)
		}
		name := found[1]
		for _, consumer := range consumers {
			if len(name) > len(consumer) && name[:len(consumer)] == consumer {
				name = name[len(consumer):]
			}
		}
		alarms[name] = true
	}
	return alarms
}

// TestOperationsPageHasEveryAlarm: docs/operations.md has one section for each alarm, and names none that is not there.
func TestOperationsPageHasEveryAlarm(t *testing.T) {
	page, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	alarms := alarmsOf(t, "test/synth/golden/Orders-prod.json")
	sections := map[string]int{}
	for _, found := range alarmHeading.FindAllSubmatch(page, -1) {
		sections[string(found[1])]++
	}
	for _, alarm := range slices.Sorted(maps.Keys(alarms)) {
		if sections[alarm] != 1 {
			t.Errorf("docs/operations.md has %d sections %q, want one", sections[alarm], alarm)
		}
	}
	for _, name := range alarmName.FindAllString(string(page), -1) {
		if !alarms[name] {
			t.Errorf("docs/operations.md names %s, which no stack has", name)
		}
	}
}
