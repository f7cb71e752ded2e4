// Package environment reads what both runtime/outbox and runtime/inbox need of the environment variables
// that the construct gives to a function.
package environment

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"time"
)

// outboxRetention is a contract with constructs/outbox, which sets the variable.
const outboxRetention = "OUTBOX_RETENTION_SECONDS"

// OutboxRetention is how long an event stays in the outbox table after it was written, by
// OUTBOX_RETENTION_SECONDS: whole seconds from 1 to 2147483647. It is 0 when the variable is not set.
func OutboxRetention() (time.Duration, error) {
	value := os.Getenv(outboxRetention)
	if value == "" {
		return 0, nil
	}
	seconds, err := strconv.ParseInt(value, 10, 32)
	if err != nil || seconds < 1 {
		return 0, fmt.Errorf("environment variable %s is %q, allowed are whole seconds from 1 to %d", outboxRetention, value, math.MaxInt32)
	}
	return time.Duration(seconds) * time.Second, nil
}
