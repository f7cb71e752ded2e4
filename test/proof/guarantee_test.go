package proof

import (
	"fmt"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/chaos"
	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
)

// TestGuarantee is the short form of `make chaos`: fixed seeds, every legal fault, a kill of the whole run and
// one of DynamoDB Local, and in each one mistake of an operator, which is found by the audit and repaired.
func TestGuarantee(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs the whole stack")
	}
	for seed, mistake := range map[uint64]chaos.Mistake{
		1: {Kind: check.PipeStopped, After: 0.3, Until: 0.5},
		2: {Kind: check.RuleDisabled, Consumer: chaos.Ledger, After: 0.4, Until: 0.7},
	} {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			guarantee(t, seed, mistake)
		})
	}
}

func guarantee(t *testing.T, seed uint64, mistake chaos.Mistake) {
	const orders = 40
	replay := fmt.Sprintf("go test ./test/proof -run 'Guarantee/seed_%d'", seed)
	plan := chaos.NewPlan(seed, 1, 1)
	plan.Mistakes = []chaos.Mistake{mistake}
	config := configOf(t, plan, orders)
	config.Replay = replay
	path, err := fixture.Binary()
	config.Binary = must(t, path, err)
	result, err := chaos.Run(t.Context(), config)
	var report strings.Builder
	result.Report(&report, replay)
	t.Log("\n" + report.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range result.Verdict.Violations {
		t.Error(v)
	}
	// What the run must have met to have shown anything.
	c := result.Verdict.Counts
	if c.Acknowledged < orders/2 || c.Unknown+c.Recovered == 0 || chaos.Deliveries(result.Entries) <= c.Effects {
		t.Errorf("the run was too mild: %+v, %d deliveries", c, chaos.Deliveries(result.Entries))
	}
	if c.Missed == 0 {
		t.Errorf("%s cost nothing, so it shows nothing", mistake.Kind)
	}
}
