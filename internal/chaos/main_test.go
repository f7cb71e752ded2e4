package chaos

import (
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

var fixture localrun.Fixture

func TestMain(m *testing.M) { localrun.RunTests(m, &fixture) }

// must is a value that the test cannot do without.
func must[T any](t *testing.T, value T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return value
}
