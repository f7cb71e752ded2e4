package chaos

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
	"github.com/outboxkit/transactional-outbox/internal/local/faults"
)

// Plan is what goes wrong in a run. Everything in it follows from the seed.
type Plan struct {
	faults.Plan
	// Kills of whole processes, in their order.
	Kills []Kill
	// Join is after how many orders, as a share of all, an ordered consumer joins. 0: none does.
	Join float64
	// Mistakes of operators, in their order. After them comes an audit, and a repair.
	Mistakes []Mistake
}

// Mistake is something that an operator does to the running stack and puts right again.
type Mistake struct {
	// Kind is one of check.Mistakes, and Consumer whom it concerns where it does not concern all.
	Kind, Consumer string
	// After and Until are how many orders, as shares of all from 0 to 1, are done when it is made and when it is put right.
	// That dead-letter messages are deleted comes after the drain, which is when there are some.
	After, Until float64
}

// Kill is a kill -9 by the driver.
type Kill struct {
	// After is how many orders, as a share of all from 0 to 1, are done by then.
	After float64
	// Point is check.KillRun or check.KillTables.
	Point string
}

// rates are the mildest and the heaviest rate of each point. They are such that a client that retries, and a
// message that is received five times, mostly get through: a run in which all is dead-letter messages shows little.
var rates = map[faults.Point][2]float64{
	faults.DynamoDBThrottle:          {0.01, 0.05},
	faults.DynamoDBConflict:          {0.01, 0.05},
	faults.DynamoDBErrorBefore:       {0.005, 0.03},
	faults.DynamoDBErrorAfter:        {0.005, 0.03},
	faults.DynamoDBTimeoutAfter:      {0.002, 0.01},
	faults.StreamRedeliver:           {0.01, 0.05},
	faults.StreamExpiredIterator:     {0.002, 0.02},
	faults.StreamPause:               {0.0005, 0.002},
	faults.StreamReorder:             {0.01, 0.1},
	faults.StreamEmpty:               {0.005, 0.05},
	faults.PipeRestart:               {0.001, 0.01},
	faults.BusPartial:                {0.01, 0.05},
	faults.BusTimeoutAfter:           {0.001, 0.005},
	faults.BusDuplicate:              {0.01, 0.05},
	faults.BusDenyTarget:             {0.0005, 0.002},
	faults.BusNoPermission:           {0.001, 0.005},
	faults.QueueDuplicate:            {0.01, 0.05},
	faults.QueueReorder:              {0.01, 0.05},
	faults.QueueEarlyVisibility:      {0.01, 0.05},
	faults.QueueReceiveError:         {0.002, 0.02},
	faults.QueueDeleteFails:          {0.01, 0.03},
	faults.FunctionKillBefore:        {0.001, 0.005},
	faults.FunctionKillAfterCommit:   {0.002, 0.01},
	faults.FunctionKillAfterResponse: {0.002, 0.01},
	faults.FunctionTimeout:           {0.0005, 0.003},
	faults.FunctionOutOfMemory:       {0.001, 0.005},
	faults.FunctionMalformedResponse: {0.001, 0.01},
	faults.FunctionInitFailure:       {0.01, 0.05},
	faults.FunctionSlowStart:         {0.05, 0.2},
}

// firstTimes are how often a point is asked, for anything, before its scripted firing: each point fires at
// least once however short the run is.
const firstTimes = 12

// NewPlan returns the plan of a seed, with every legal fault in it, that many kills of each kind, and a consumer
// that joins.
func NewPlan(seed uint64, killRuns, killTables int) Plan {
	r := rand.New(rand.NewPCG(seed, uint64(len(rates))))
	p := Plan{Plan: faults.Plan{Seed: seed, Rates: map[faults.Point]float64{}}}
	for _, point := range faults.Points {
		bounds, known := rates[point]
		if !known {
			panic(fmt.Sprintf("no rate is known for the fault point %s", point)) // a programming error
		}
		// Spread over the magnitudes, so that mild and heavy are as likely.
		p.Rates[point] = bounds[0] * math.Pow(bounds[1]/bounds[0], r.Float64())
		nth := 1 + r.IntN(firstTimes)
		if point == faults.FunctionInitFailure || point == faults.FunctionSlowStart {
			nth = 1 + r.IntN(2) // asked only when a process starts
		}
		p.Script = append(p.Script, faults.Step{Point: point, Nth: nth})
	}
	kill := func(point string, times int) {
		for range times {
			p.Kills = append(p.Kills, Kill{After: 0.1 + 0.8*r.Float64(), Point: point})
		}
	}
	kill(check.KillRun, killRuns)
	kill(check.KillTables, killTables)
	p.Join = 0.2 + 0.4*r.Float64()
	slices.SortFunc(p.Kills, func(a, b Kill) int { return cmp.Compare(a.After, b.After) })
	return p
}

// WithMistakes returns the plan with each of the mistakes, one after the other and in an order that follows from the seed.
func (p Plan) WithMistakes() Plan {
	r := rand.New(rand.NewPCG(p.Seed, uint64(len(check.Mistakes))))
	kinds := slices.DeleteFunc(slices.Clone(check.Mistakes), func(kind string) bool { return kind == check.DeadLettersEmptied })
	r.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	const begin, end = 0.05, 0.95
	share := (end - begin) / float64(len(kinds))
	p.Mistakes = nil
	for n, kind := range kinds {
		m := Mistake{Kind: kind, After: begin + share*(float64(n)+0.3*r.Float64())}
		m.Until = m.After + share*(0.3+0.3*r.Float64())
		if kind != check.PipeStopped && kind != check.FilterBroken {
			m.Consumer = consumers[r.IntN(len(consumers)-1)] // the last one joins later
		}
		p.Mistakes = append(p.Mistakes, m)
	}
	p.Mistakes = append(p.Mistakes, Mistake{Kind: check.DeadLettersEmptied, After: 1, Until: 1})
	return p
}

// kindsOf returns the kinds of the mistakes.
func kindsOf(mistakes []Mistake) []string {
	var kinds []string
	for _, m := range mistakes {
		kinds = append(kinds, m.Kind)
	}
	return kinds
}

// Enabled returns the points of which each must fire.
func (p Plan) Enabled() []string {
	set := map[string]bool{}
	for point, rate := range p.Rates {
		if rate > 0 {
			set[string(point)] = true
		}
	}
	for _, step := range p.Script {
		set[string(step.Point)] = true
	}
	for _, kill := range p.Kills {
		set[kill.Point] = true
	}
	var all []string
	for point := range set {
		all = append(all, point)
	}
	slices.Sort(all)
	return all
}

// write writes the plan for the local run's --faults.
func (p Plan) write(path string) error {
	p.TrimStopped = slices.Contains(kindsOf(p.Mistakes), check.PipeStopped)
	raw, err := json.MarshalIndent(p.Plan, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o644)
}

// dice makes the decisions of the workload. What it says about a thing depends on the seed and the thing
// alone, not on what else happened before.
type dice struct{ seed uint64 }

// of returns a number from 0 up to, but not including, n.
func (d dice) of(n int, about ...any) int {
	h := fnv.New64a()
	fmt.Fprint(h, d.seed, about)
	return int(rand.New(rand.NewPCG(h.Sum64(), d.seed)).Uint64N(uint64(n)))
}

// percent reports whether the less likely thing happens.
func (d dice) percent(p int, about ...any) bool { return d.of(100, about...) < p }

// between returns a duration in the range.
func (d dice) between(least, most time.Duration, about ...any) time.Duration {
	return least + time.Duration(d.of(int(most-least), about...))
}
