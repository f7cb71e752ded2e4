package stacks

import (
	"slices"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	for name, tc := range map[string]struct {
		environment string
		want        []string
	}{
		"all by default": {"", []string{"dev", "staging", "prod"}},
		"dev":            {"dev", []string{"dev"}},
		"staging":        {"staging", []string{"staging"}},
		"prod":           {"prod", []string{"prod"}},
	} {
		t.Run(name, func(t *testing.T) {
			chosen, err := Choose(tc.environment, nil)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, env := range chosen {
				names = append(names, env.Name)
			}
			if !slices.Equal(names, tc.want) {
				t.Errorf("chosen: %v, want %v", names, tc.want)
			}
		})
	}
}

func TestChoosePins(t *testing.T) {
	chosen, err := Choose("", map[string]any{
		"prod": map[string]any{"account": "111122223333", "region": "eu-central-1", "alarmTopicArn": "arn:aws:sns:eu-central-1:111122223333:ops"},
		"dev":  map[string]any{"alarmEmail": "dev@example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Pin{
		"dev":     {AlarmEmail: "dev@example.com"},
		"staging": {},
		"prod":    {Account: "111122223333", Region: "eu-central-1", AlarmTopicARN: "arn:aws:sns:eu-central-1:111122223333:ops"},
	}
	for _, env := range chosen {
		if env.Pin != want[env.Name] {
			t.Errorf("%s: %+v, want %+v", env.Name, env.Pin, want[env.Name])
		}
	}
}

func TestChooseRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		environment string
		pins        any
		says        []string
	}{
		"an unknown environment": {"production", nil, []string{`"production"`, "dev, staging, prod"}},
		"a pin of an unknown environment, even when another is chosen": {
			"dev", map[string]any{"pord": map[string]any{"account": "1"}}, []string{`"pord"`, "dev, staging, prod"},
		},
		"an unknown setting":     {"", map[string]any{"dev": map[string]any{"acount": "1"}}, []string{"dev", `"acount"`, "account, region"}},
		"a number as account":    {"", map[string]any{"dev": map[string]any{"account": 1}}, []string{"dev", "strings"}},
		"no settings but a text": {"", map[string]any{"dev": "eu-central-1"}, []string{"dev", "account, region"}},
		"no object":              {"", "dev", []string{"environments", "object"}},
		"two receivers of alarms": {
			"", map[string]any{"dev": map[string]any{"alarmEmail": "a@example.com", "alarmTopicArn": "arn:aws:sns:::t"}}, []string{"alarmEmail", "alarmTopicArn"},
		},
		"all problems at once": {"", map[string]any{"one": nil, "two": nil}, []string{`"one"`, `"two"`}},
	} {
		t.Run(name, func(t *testing.T) {
			chosen, err := Choose(tc.environment, tc.pins)
			if err == nil {
				t.Fatalf("accepted: %v", chosen)
			}
			for _, part := range tc.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error is %q, want it to say %s", err, part)
				}
			}
		})
	}
}
