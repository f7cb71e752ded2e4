package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

const (
	synthRuns = 5
	coldRuns  = 3 // each compiles the CDK's bindings
)

// synth measures `cdk synth` of all environments: warm, cold (an empty Go build cache, as after a fresh clone with the
// modules downloaded), and how much of the warm time the CDK's validation and the functions' builds take.
func (b *bench) synth(ctx context.Context) error {
	// The programs of functions are kept in the user's cache folder.
	caches := func(i int) []string {
		return []string{"GOCACHE=" + b.scratch(fmt.Sprintf("gocache-%d", i)), "XDG_CACHE_HOME=" + b.scratch(fmt.Sprintf("cache-%d", i))}
	}
	cold, err := b.synths(ctx, coldRuns, caches)
	if err != nil {
		return err
	}
	warm, err := b.synths(ctx, synthRuns, func(int) []string { return caches(0) })
	if err != nil {
		return err
	}
	unvalidated, err := b.synths(ctx, synthRuns, func(int) []string { return append(caches(0), "CDK_VALIDATION=false") })
	if err != nil {
		return err
	}
	builds, err := b.buildShare(ctx)
	if err != nil {
		return err
	}
	b.table("cdk synth, three environments", []string{"", fmt.Sprintf("median of %d", synthRuns)},
		[]string{"warm", seconds(warm)},
		[]string{"of that, the CDK's own validation of the templates (`CDK_VALIDATION=false` skips it)", shareOf(warm-unvalidated, warm)},
		[]string{"of that, what building the functions adds", shareOf(builds, warm)},
		[]string{fmt.Sprintf("cold: empty Go build cache (median of %d)", coldRuns), seconds(cold)},
	)
	return nil
}

// shareOf returns a part of the whole, in seconds and per cent.
func shareOf(part, whole time.Duration) string {
	return fmt.Sprintf("%s (%.0f %%)", seconds(part), 100*part.Seconds()/whole.Seconds())
}

func (b *bench) synths(ctx context.Context, runs int, env func(i int) []string) (time.Duration, error) {
	var all []time.Duration
	for i := range runs {
		cmd := exec.CommandContext(ctx, "npx", "--no-install", "cdk", "synth", "--quiet", "--output", b.scratch("cdk.out"))
		cmd.Env = append(os.Environ(), env(i)...)
		d, err := timed(cmd)
		if err != nil {
			return 0, err
		}
		all = append(all, d)
		fmt.Fprintf(os.Stderr, "synth %s\n", seconds(d))
	}
	return median(all), nil
}

// buildShare returns how much longer the app itself takes, warm, with the functions' builds than without.
func (b *bench) buildShare(ctx context.Context) (time.Duration, error) {
	app := func(bundling string) (time.Duration, error) {
		var all []time.Duration
		for range synthRuns {
			cmd := exec.CommandContext(ctx, "go", "run", ".")
			cmd.Env = append(os.Environ(),
				"CDK_VALIDATION=false",
				"CDK_OUTDIR="+b.scratch("app.out"),
				`CDK_CONTEXT_JSON={"aws:cdk:bundling-stacks":`+bundling+`}`)
			d, err := timed(cmd)
			if err != nil {
				return 0, err
			}
			all = append(all, d)
		}
		return median(all), nil
	}
	with, err := app(`["**"]`)
	if err != nil {
		return 0, err
	}
	without, err := app(`[]`)
	return with - without, err
}
