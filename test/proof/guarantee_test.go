package proof

import (
	"fmt"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/chaos"
	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
)

// TestGuarantee is the short form of `make chaos`: fixed seeds, every legal fault, and in each one mistake of an operator,
// which is found by the audit and repaired. The one has a kill of the whole run and a consumer that joins, the other a kill of
// DynamoDB Local: each start of a run takes longer than its orders.
func TestGuarantee(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs the whole stack")
	}
	// Most orders are under way from the first moment on: mistakes that come late find little left to cost.
	killed, tablesKilled := chaos.NewPlan(1, 1, 0), chaos.NewPlan(2, 0, 1)
	killed.Mistakes = []chaos.Mistake{{Kind: check.PipeStopped, After: 0, Until: 0.13}}
	tablesKilled.Join = 0
	tablesKilled.Mistakes = []chaos.Mistake{{Kind: check.RuleDisabled, Consumer: chaos.Ledger, After: 0.2, Until: 0.5}}
	for _, plan := range []chaos.Plan{killed, tablesKilled} {
		t.Run(fmt.Sprintf("seed %d", plan.Seed), func(t *testing.T) {
			t.Parallel()
			guarantee(t, plan)
		})
	}
}

func guarantee(t *testing.T, plan chaos.Plan) {
	t.Helper()
	const orders = 30
	replay := fmt.Sprintf("go test ./test/proof -run 'Guarantee/seed_%d'", plan.Seed)
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
		t.Errorf("%s cost nothing, so it shows nothing", plan.Mistakes[0].Kind)
	}
}
