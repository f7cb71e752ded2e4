// Command bench measures the figures of docs/benchmarks.md on this machine and writes them into that file, above the line
// from which on it is written by hand. It is a benchmark, not a test: no time makes it fail.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

const stack = "Orders-dev"

// A bench is one run of all measurements.
type bench struct {
	dir string    // for temporary files
	out io.Writer // the report
}

func main() {
	file := flag.String("out", "docs/benchmarks.md", "`file` to write; - for standard output only")
	only := flag.String("only", "", "comma-separated `names` of what to measure: synth, functions, latency, throughput, runtime, redrive; no file is written then (default: all)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := measure(ctx, *file, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, file, only string) error {
	dir, err := os.MkdirTemp("", "outbox-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var report strings.Builder
	b := &bench{dir: dir, out: io.MultiWriter(os.Stdout, &report)}
	b.heading()
	for _, section := range []struct {
		name    string
		measure func(context.Context) error
	}{
		{"synth", b.synth},
		{"functions", b.functions},
		{"latency", b.latency},
		{"throughput", b.throughput},
		{"runtime", b.runtime},
		{"redrive", b.redrive},
	} {
		if only != "" && !slices.Contains(strings.Split(only, ","), section.name) {
			continue
		}
		if err := section.measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", section.name, err)
		}
	}
	if file == "-" || only != "" {
		return nil
	}
	return write(file, report.String())
}

// byHand is the line of the report's file from which on it is written by hand.
const byHand = "<!-- From here on written by hand: make bench keeps it. -->"

// write replaces what the file has above the line byHand by the report, and keeps the rest.
func write(file, report string) error {
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, kept, found := strings.Cut(string(before), byHand)
	if len(before) > 0 && !found {
		return fmt.Errorf("%s must have the line %q, below which nothing is overwritten", file, byHand)
	}
	return os.WriteFile(file, []byte(report+"\n"+byHand+kept), 0o644)
}

func (b *bench) heading() {
	fmt.Fprintf(b.out, "# Benchmarks\n\n")
	fmt.Fprintf(b.out, "Written by `make bench` on %s, on %s.\n", time.Now().UTC().Format("2 January 2006"), machine())
	fmt.Fprintf(b.out, "Everything that takes part in a run, clients included, shares these processors.\n")
}

// machine describes the machine on which the figures were measured, without its name.
func machine() string {
	cpu := "an unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(model)
				break
			}
		}
	}
	return fmt.Sprintf("%d processors (%s), %s/%s, %s", runtime.NumCPU(), cpu, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// table writes one section as a Markdown table.
func (b *bench) table(title string, header []string, rows ...[]string) {
	fmt.Fprintf(b.out, "\n## %s\n\n", title)
	fmt.Fprintf(b.out, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat("---|", len(header)))
	for _, row := range rows {
		fmt.Fprintf(b.out, "| %s |\n", strings.Join(row, " | "))
	}
}

func (b *bench) scratch(name string) string { return filepath.Join(b.dir, name) }

// timed runs a command and returns how long it took.
func timed(cmd *exec.Cmd) (time.Duration, error) {
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return time.Since(begin), nil
}

// quantile returns the quantile q, from 0 to 1, of sorted figures.
func quantile[T any](sorted []T, q float64) T {
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

func median[T cmp.Ordered](all []T) T {
	slices.Sort(all)
	return quantile(all, 0.5)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
