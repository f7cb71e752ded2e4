package synth

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The app in examples/shipping is a module of its own, as another team's would be.
func TestShippingExampleSynthesizes(t *testing.T) {
	assembly := t.TempDir()
	runIn := func(args ...string) {
		cmd := exec.Command("go", args...)
		cmd.Dir = filepath.Join("examples", "shipping")
		cmd.Env = append(os.Environ(), "CDK_OUTDIR="+assembly,
			`CDK_CONTEXT_JSON={"aws:cdk:bundling-stacks":[],"aws:cdk:enable-path-metadata":true}`)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	runIn("vet", "./...")
	runIn("run", ".")

	raw, err := os.ReadFile(filepath.Join(assembly, "Shipping.template.json"))
	if err != nil {
		t.Fatal(err)
	}
	var tpl template
	if err := json.Unmarshal(raw, &tpl); err != nil {
		t.Fatal(err)
	}
	same(t, "pattern", tpl.part(t, "Outbox/Ship/Rule").Properties["EventPattern"], `{"source": ["orders"], "detail-type": ["OrderCreated"]}`)
	built := tpl.part(t, "Outbox/Ship/Function").Metadata["outboxkit:golambda"].(map[string]any)
	if source := filepath.Join(absolute(t, assembly), built["source"].(string)); source != absolute(t, "examples/shipping/lambdas/ship") {
		t.Errorf("the source folder is %s", source)
	}
}
