// Package environment reads the environment variables that the construct gives to a function.
package environment

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"
)

// outboxRetention is a contract with constructs/outbox, which sets the variable.
const outboxRetention = "OUTBOX_RETENTION_SECONDS"

// Variables reads variables and keeps what is wrong with them, so that all of it is reported at once.
type Variables struct{ problems []error }

// Need returns the value of a variable that must be set.
func (v *Variables) Need(name string) string {
	value := os.Getenv(name)
	if value == "" {
		v.Add(fmt.Errorf("environment variable %s is not set", name))
	}
	return value
}

// OutboxRetention returns how long an event stays in the outbox table after it was written, by
// OUTBOX_RETENTION_SECONDS: whole seconds from 1 to 2147483647. It is 0 when the variable is not set.
func (v *Variables) OutboxRetention() time.Duration {
	value := os.Getenv(outboxRetention)
	if value == "" {
		return 0
	}
	seconds, err := strconv.ParseInt(value, 10, 32)
	if err != nil || seconds < 1 {
		v.Add(fmt.Errorf("environment variable %s must be whole seconds from 1 to %d, got %q", outboxRetention, math.MaxInt32, value))
	}
	return time.Duration(seconds) * time.Second
}

// Add adds a problem that the reader has found.
func (v *Variables) Add(problem error) { v.problems = append(v.problems, problem) }

// Err returns all that is wrong, or nil.
func (v *Variables) Err() error { return errors.Join(v.problems...) }
