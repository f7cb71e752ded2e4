package inbox_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// A schedule runs in virtual time, in about a millisecond. -rapid.checks still overrides it.
	if err := flag.Set("rapid.checks", "2000"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
