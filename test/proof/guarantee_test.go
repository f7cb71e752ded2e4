package proof

import (
	"fmt"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/chaos"
)

// TestGuarantee is the short form of `make chaos`: fixed seeds, every legal fault, a kill of the whole run and
// one of DynamoDB Local.
func TestGuarantee(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs the whole stack")
	}
	for _, seed := range []uint64{1, 2} {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			guarantee(t, seed)
		})
	}
}

func guarantee(t *testing.T, seed uint64) {
	const orders = 40
	replay := fmt.Sprintf("go run ./internal/chaos/cmd/chaos --seeds %d --orders %d --kills 1 --table-kills 1", seed, orders)
	config := configOf(t, chaos.NewPlan(seed, 1, 1), orders)
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
}
