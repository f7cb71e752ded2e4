package drift_test

import (
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/outboxkit/transactional-outbox/internal/local/drift"
)

func TestAChangeLastsUntilTheTemplateChanges(t *testing.T) {
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "local.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	load := func(kind, resource string, properties map[string]any) (value string) {
		t.Helper()
		if _, err := drift.New(db, kind).Load(resource, properties, &value); err != nil {
			t.Fatal(err)
		}
		return value
	}
	template := map[string]any{"State": "ENABLED", "Targets": []any{map[string]any{"Id": "T"}}}
	if got := load("rules", "a", template); got != "" {
		t.Errorf("before a change: %q", got)
	}
	for _, value := range []string{"first", "second"} {
		if err := drift.New(db, "rules").Save("a", template, value); err != nil {
			t.Fatal(err)
		}
	}
	same := map[string]any{"Targets": []any{map[string]any{"Id": "T"}}, "State": "ENABLED"}
	if got := load("rules", "a", same); got != "second" {
		t.Errorf("got %q", got)
	}
	for what, got := range map[string]string{
		"another template": load("rules", "a", map[string]any{"State": "DISABLED"}),
		"another resource": load("rules", "b", template),
		"another kind":     load("pipes", "a", template),
	} {
		if got != "" {
			t.Errorf("%s has %q", what, got)
		}
	}
}

func TestWithoutADatabase(t *testing.T) {
	s := drift.New(nil, "rules")
	if err := s.Save("a", nil, 1); err != nil {
		t.Error(err)
	}
	var value int
	if found, err := s.Load("a", nil, &value); found || err != nil {
		t.Errorf("%v, %v", found, err)
	}
}
