package outboxtest

import (
	"os"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/faults"
)

func TestThePageNamesAllFaults(t *testing.T) {
	page, err := os.ReadFile("../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, point := range faults.Points {
		if !strings.Contains(string(page), "`"+string(point)+"`") {
			t.Errorf("docs/testing.md does not name %s", point)
		}
	}
}
