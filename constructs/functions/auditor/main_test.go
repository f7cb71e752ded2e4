package main

import (
	"strings"
	"testing"
)

func TestWireNamesWhatIsMissing(t *testing.T) {
	t.Setenv("AUDIT_PARAMETERS", "")
	if _, err := wire(t.Context()); err == nil || !strings.Contains(err.Error(), "AUDIT_PARAMETERS") {
		t.Errorf("got %v", err)
	}
	t.Setenv("AUDIT_PARAMETERS", "/outboxkit/Orders/Outbox")
	if a, err := wire(t.Context()); err != nil || a.catalog.path != "/outboxkit/Orders/Outbox" {
		t.Errorf("got %+v, %v", a, err)
	}
}
