package faults

import (
	"slices"
	"time"
)

// A Setting is what a point does now, and has done.
type Setting struct {
	Point Point   `json:"point"`
	Rate  float64 `json:"rate"`           // probability from 0 to 1
	Once  []Step  `json:"once,omitempty"` // faults that are still to fire
	Fired int     `json:"fired"`
}

// Settings returns the settings of all points, in the order of [Points].
func (i *Injector) Settings() []Setting {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := make([]Setting, len(Points))
	for at, p := range Points {
		all[at] = Setting{Point: p, Fired: i.fired[string(p)]}
		if i.isHealed() || i.isOver() {
			continue
		}
		all[at].Rate = i.rates[p]
		for _, s := range i.script {
			if s.Point == p && s.checks < s.nth() {
				all[at].Once = append(all[at].Once, s.Step)
			}
		}
	}
	return all
}

// SetRate makes the faults of a point happen at a rate from 0, never, to 1, always. Its error says what is wrong with
// them.
func (i *Injector) SetRate(p Point, rate float64) error {
	if err := (&Plan{Rates: map[Point]float64{p: rate}}).validate(); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.revive()
	i.rates[p] = rate
	i.enable()
	return nil
}

// Once makes a fault fire once, as a step of a script does. Its error says what is wrong with the step.
func (i *Injector) Once(s Step) error {
	if err := (&Plan{Script: []Step{s}}).validate(); err != nil {
		return err
	}
	i.names.know(s.Key)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.revive()
	i.script = slices.DeleteFunc(i.script, func(old scriptStep) bool { return old.checks >= old.nth() })
	i.script = append(i.script, scriptStep{Step: s, added: true})
	i.enable()
	return nil
}

// Awaits reports whether a fault that [Injector.Once] has set for an event has not fired. Such an event is best on its own, so
// that the fault hits no other one of its batch.
func (i *Injector) Awaits(eventID string) bool {
	if i.isIdle() {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.ContainsFunc(i.script, func(s scriptStep) bool { return s.added && s.Key == eventID && s.checks < s.nth() })
}

// Cancel removes the faults that [Injector.Once] has set for a point and a key, and that have not fired.
func (i *Injector) Cancel(p Point, key string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.script = slices.DeleteFunc(i.script, func(s scriptStep) bool { return s.Point == p && s.Key == key })
	i.enable()
}

// revive begins anew where all faults have ended: none of them comes back. The lock is held.
func (i *Injector) revive() {
	if !i.isHealed() && !i.isOver() {
		return
	}
	if i.isHealed() {
		i.healed = make(chan struct{})
	}
	clear(i.rates)
	i.script, i.until = nil, time.Time{}
}
