package outboxtest

import (
	"strings"
	"time"
)

// An Option says what [Start] runs. Tests with the same options share a run, unless [Own] is among them.
type Option func(*options)

type options struct {
	app      string // folder with cdk.json; empty: to be looked for
	assembly string // folder of a cloud assembly; empty: the app's
	stacks   string // names with commas between them; empty: the first
	own      bool
	patience time.Duration
}

// App sets the folder of the CDK app, with its cdk.json. Default: the nearest one at or above the test's folder.
func App(folder string) Option { return func(o *options) { o.app = folder } }

// Assembly sets the folder of a cloud assembly, which is run as it is: nothing is synthesized.
func Assembly(folder string) Option { return func(o *options) { o.assembly = folder } }

// Stack sets the names of the stacks, which run together. Default: the first of the app.
func Stack(names ...string) Option {
	return func(o *options) { o.stacks = strings.Join(names, ",") }
}

// Own starts a run for this test alone, which ends with it. It takes some seconds more; only such a run's time can be set
// forward, and a function of it be replaced for all events.
func Own() Option { return func(o *options) { o.own = true } }

// Patience sets how long this test waits for what should happen. Default: 30 s. A wait ends before the test's own deadline
// either way, so that its message is seen.
func Patience(d time.Duration) Option { return func(o *options) { o.patience = d } }

// defaultPatience is long beside what a step takes, which is milliseconds, or a second where a function starts.
const defaultPatience = 30 * time.Second
