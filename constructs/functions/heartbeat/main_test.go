package main

import (
	"strings"
	"testing"
)

func TestWireNamesEachVariableThatIsMissing(t *testing.T) {
	names := []string{"OUTBOX_TABLE", "OUTBOX_SOURCE", "HEARTBEAT_QUEUE_URL", "OUTBOX_PATH"}
	for _, name := range names {
		t.Setenv(name, "")
	}
	_, err := wire(t.Context())
	for _, name := range names {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
	for _, name := range names {
		t.Setenv(name, "value")
	}
	if m, err := wire(t.Context()); err != nil || m.queue != "value" || m.path != "value" {
		t.Errorf("got %+v, %v", m, err)
	}
}
