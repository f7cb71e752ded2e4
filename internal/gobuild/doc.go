// Package gobuild builds the programs of Lambda functions with the go command, the same way at synth and for the
// local run.
//
// A [Builder] builds each main package once, and as many as it can by one go command: four functions built by
// four commands at once take three times as long. A program that is up to date is not linked again: it stays in
// the user's cache folder, where the go command recognizes it by its build id.
//
// A program depends on the source, the version of Go, the [Settings], and of the environment on GOFLAGS,
// GOEXPERIMENT and GOFIPS140, which hold: they decide what the source means. GOFLAGS's -tags and -ldflags are
// added to those of the settings instead of being replaced by them. What of the environment holds and is on the
// list of Settings.Validate is part of [Builder.Effective], so that it holds for the local run in another shell; other
// words of GOFLAGS (-toolexec, -overlay) must be set in both. GOOS and GOARCH are the target's. Fixed are
// CGO_ENABLED=0, GOARM64=v8.0 and GOAMD64=v1, which every machine of Lambda runs, -trimpath and -buildvcs=false.
// Nothing else of the environment gets into a program, nor does the folder that it is built in.
//
// The go command runs in the folder of the nearest go.mod, so that a function may have a module of its own, and
// go.work, vendor folders and replaced modules work as in that folder.
//
// A main package may also be one of a module that the app depends on: [Builder.Find] returns its folder, and a
// [Target] that is Standalone is built there by that module's own go.mod and go.sum.
package gobuild
