package topics

import (
	"testing"
	"time"
)

// The waits are those of SNS's delivery policy, with jitter where they grow.
func TestWaits(t *testing.T) {
	for n, most := range map[int]time.Duration{
		0: 0, 2: 0, 3: time.Second, 4: time.Second, 5: time.Second, 7: 4 * time.Second, 9: 16 * time.Second, 10: longestWait, 15: longestWait, 90_000: longestWait,
	} {
		got := waitBefore(n)
		if got > most || got < most/2 {
			t.Errorf("retry %d waits for %v, want at most %v", n, got, most)
		}
	}
}
