package habits

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// amount is a cell that begins with a sum of money.
var amount = regexp.MustCompile(`^[*$]*([0-9]+[.][0-9]+)`)

// TestCostsAddUp: in each table of docs/costs.md whose last row is "together", that is the sum of the rows above it.
func TestCostsAddUp(t *testing.T) {
	var sums []int
	tables := 0
	for line := range strings.Lines(string(read(t, "docs/costs.md"))) {
		if !strings.HasPrefix(line, "|") {
			sums = nil
			continue
		}
		cells := strings.Split(strings.Trim(line, "|\n"), "|")
		amounts := make([]int, len(cells))
		for i, cell := range cells {
			amounts[i] = tenthsOfACent(t, strings.TrimSpace(cell))
		}
		if strings.TrimSpace(cells[0]) != "**together**" {
			sums = added(sums, amounts)
			continue
		}
		tables++
		for i, want := range sums {
			if amounts[i] != want {
				t.Errorf("%s: column %d must be %d tenths of a cent, the sum of its rows", strings.TrimSpace(line), i+1, want)
			}
		}
	}
	if tables != 2 {
		t.Errorf("%d tables add costs up, want 2", tables)
	}
}

// tenthsOfACent returns the sum that a cell begins with, 0 for a cell of words.
func tenthsOfACent(t *testing.T, cell string) int {
	t.Helper()
	found := amount.FindStringSubmatch(cell)
	if found == nil {
		return 0
	}
	dollars, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(dollars*1000 + 0.5)
}

func added(sums, amounts []int) []int {
	all := slices.Clone(amounts)
	for i := range min(len(sums), len(all)) {
		all[i] += sums[i]
	}
	return all
}
