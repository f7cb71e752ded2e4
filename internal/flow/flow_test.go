package flow_test

import (
	"os"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/flow"
)

func TestDump(t *testing.T) {
	raw, _ := os.ReadFile("../../test/synth/golden/Orders-prod.json")
	g, err := flow.Read(raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range g.Nodes {
		t.Logf("%+v", n)
	}
	for _, e := range g.Edges {
		t.Logf("%+v", e)
	}
	t.Log(g.Others)
}
