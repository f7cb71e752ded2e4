package outbox_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outboxkit/transactional-outbox/runtime/internal/dynamotest"
	"github.com/outboxkit/transactional-outbox/runtime/outbox"
)

func TestFromEnv(t *testing.T) {
	t.Setenv("OUTBOX_TABLE", "")
	t.Setenv("OUTBOX_SOURCE", "")
	t.Setenv("OUTBOX_RETENTION_SECONDS", "")
	_, err := outbox.FromEnv(newDB())
	for _, name := range []string{"OUTBOX_TABLE", "OUTBOX_SOURCE"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error does not name %s: %v", name, err)
		}
	}
	t.Setenv("OUTBOX_TABLE", outboxTable)
	t.Setenv("OUTBOX_SOURCE", "orders")
	if got := stringOf(written(t), "source"); got != "orders" {
		t.Errorf("source = %q", got)
	}
}

func TestFromEnvTakesTheRetention(t *testing.T) {
	for name, tc := range map[string]struct {
		variable string
		want     time.Duration
	}{
		"not set":     {"", outbox.DefaultRetention},
		"a second":    {"1", time.Second},
		"thirty days": {"2592000", 30 * 24 * time.Hour},
		"the longest": {"2147483647", math.MaxInt32 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			setEnv(t, tc.variable)
			synctest.Test(t, func(t *testing.T) {
				want := strconv.FormatInt(time.Now().Add(tc.want).Unix(), 10)
				if got := stringOf(written(t), "expiresAt"); got != want {
					t.Errorf("expiresAt = %s, want %s", got, want)
				}
			})
		})
	}
}

func TestFromEnvRefusesARetention(t *testing.T) {
	for _, value := range []string{"0", "-1", "a week", "1.5", "7d", " 1", "2147483648"} {
		t.Run(value, func(t *testing.T) {
			setEnv(t, value)
			_, err := outbox.FromEnv(newDB())
			want := fmt.Sprintf("outbox: environment variable OUTBOX_RETENTION_SECONDS must be whole seconds from 1 to 2147483647, got %q", value)
			if err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}

// written is the item of an event that was committed by an outbox from the environment.
func written(t *testing.T) dynamotest.Item {
	t.Helper()
	db := newDB()
	o, err := outbox.FromEnv(db)
	if err != nil {
		t.Fatal(err)
	}
	tx := o.Begin(t.Context())
	tx.Append(created())
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db.Items(outboxTable)[0]
}

// setEnv sets what the construct gives to a writer.
func setEnv(t *testing.T, retention string) {
	t.Helper()
	t.Setenv("OUTBOX_TABLE", outboxTable)
	t.Setenv("OUTBOX_SOURCE", "orders")
	t.Setenv("OUTBOX_RETENTION_SECONDS", retention)
}
