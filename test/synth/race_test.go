//go:build race

package synth

func init() { underRace = true }
