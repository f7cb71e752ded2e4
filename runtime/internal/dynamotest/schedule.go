package dynamotest

import "pgregory.net/rapid"

// Schedule draws the faults of a connection's first calls. The calls after them have none, so whoever
// keeps trying succeeds.
func Schedule(t *rapid.T, label string) func() Fault {
	faults := rapid.SliceOfN(rapid.SampledFrom(Faults), 0, 8).Draw(t, label)
	return func() Fault {
		if len(faults) == 0 {
			return None
		}
		fault := faults[0]
		faults = faults[1:]
		return fault
	}
}
