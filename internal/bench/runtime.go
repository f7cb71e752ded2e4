package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// runtime measures what the runtime packages add to the time of DynamoDB and SQS, with the packages' own benchmarks,
// which document what they count.
func (b *bench) runtime(ctx context.Context) error {
	handler, err := goBench(ctx, "./runtime/inbox", "Handler", "-benchmem", "-count=9")
	if err != nil {
		return err
	}
	var rows [][]string
	for _, batch := range []string{"1", "10"} {
		figures := handler["BenchmarkHandler/batch_of_"+batch]
		rows = append(rows, []string{batch, fmt.Sprintf("%.1f µs", median(figures["ns/op"])/1000), fmt.Sprintf("%.0f", median(figures["allocs/op"]))})
	}
	b.table("inbox.Handler without the network, a message (median of 9)", []string{"messages in a batch", "time", "allocations"}, rows...)

	commit, err := goBench(ctx, "./runtime/internal/dynamotest", "Commit", "-benchtime=2000x", "-count=5")
	if err != nil {
		return err
	}
	figures := commit["BenchmarkCommit"]
	b.table("A commit of two items to DynamoDB Local (median of 5 times 2,000, in turn)",
		[]string{"TransactWriteItems", "outbox.Tx", "more"},
		[]string{
			fmt.Sprintf("%.2f ms", median(figures["bare-µs"])/1000),
			fmt.Sprintf("%.2f ms", median(figures["outbox-µs"])/1000),
			fmt.Sprintf("%.1f %%", median(figures["overhead-%"])),
		})
	return nil
}

// redrive measures a redrive of 10,000 messages in the local run's SQS, by the command's own code.
func (b *bench) redrive(ctx context.Context) error {
	figures, err := goBench(ctx, "./internal/operate", "Redrive", "-benchtime=1x")
	if err != nil {
		return err
	}
	var rows [][]string
	for _, order := range []struct{ name, text string }{{"as_they_come", "as they come"}, {"in_order", "in the order of the versions of 1,000 aggregates"}} {
		of := figures["BenchmarkRedrive/"+order.name]
		rows = append(rows, []string{order.text, fmt.Sprintf("%.0f s", median(of["looked-s"])), fmt.Sprintf("%.0f s", median(of["redriven-s"]))})
	}
	b.table("`outbox dead-letters redrive` of 10,000 messages, in the local run's SQS", []string{"", "`list` of all of them", "redrive"}, rows...)
	return nil
}

// goBench runs the benchmarks of a package on one processor. It returns the figures by benchmark and unit, one for each
// run of the benchmark.
func goBench(ctx context.Context, pkg, pattern string, args ...string) (map[string]map[string][]float64, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", pkg, "-run=^$", "-bench=" + pattern, "-cpu=1"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	found := map[string]map[string][]float64{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		if found[fields[0]] == nil {
			found[fields[0]] = map[string][]float64{}
		}
		for pair := range slices.Chunk(fields[2:], 2) { // after name and iterations: value and unit in turn
			value, err := strconv.ParseFloat(pair[0], 64)
			if err != nil || len(pair) < 2 {
				return nil, fmt.Errorf("%s printed the line %q, which is not the line of a benchmark", cmd, line)
			}
			found[fields[0]][pair[1]] = append(found[fields[0]][pair[1]], value)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s ran no benchmark", cmd)
	}
	return found, nil
}
