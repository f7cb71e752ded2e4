package mutations

import (
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/chaos"
)

func TestAChangeThatDoesNotFitIsReported(t *testing.T) {
	for name, m := range All {
		if m.Change == nil {
			continue
		}
		if err := chaos.Apply([]byte(`{"Resources":{}}`), m.Change); err == nil {
			t.Errorf("%s found nothing to change and reported nothing", name)
		}
	}
}
