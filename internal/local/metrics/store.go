package metrics

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// resolution is the length of the steps in which data is kept.
	resolution = 10 * time.Second
	// retention is how long data is kept.
	retention = 6 * time.Hour
)

// A Dimension is one of the names by which metrics of the same name are told apart.
type Dimension struct{ Name, Value string }

// A Metric names a metric. The order of its dimensions does not matter.
type Metric struct {
	Namespace, Name string
	Dimensions      []Dimension
}

// key returns what is equal for equal metrics.
func (m Metric) key() string {
	parts := []string{m.Namespace, m.Name}
	for _, d := range sorted(m.Dimensions) {
		parts = append(parts, d.Name, d.Value)
	}
	return strings.Join(parts, "\x00")
}

func sorted(dimensions []Dimension) []Dimension {
	return slices.SortedFunc(slices.Values(dimensions), func(a, b Dimension) int { return cmp.Compare(a.Name, b.Name) })
}

// A Statistic is what is known of the values of a time.
type Statistic struct{ Sum, Min, Max, Count float64 }

func (s *Statistic) add(other Statistic) {
	if s.Count == 0 {
		*s = other
		return
	}
	s.Sum, s.Count = s.Sum+other.Sum, s.Count+other.Count
	s.Min, s.Max = math.Min(s.Min, other.Min), math.Max(s.Max, other.Max)
}

// Statistics lists the statistics that [Statistic.Value] knows.
var Statistics = []string{"SampleCount", "Average", "Sum", "Minimum", "Maximum"}

// Value returns the statistic with that name. There must have been a value.
func (s Statistic) Value(name string) float64 {
	switch name {
	case "SampleCount":
		return s.Count
	case "Average":
		return s.Sum / s.Count
	case "Minimum":
		return s.Min
	case "Maximum":
		return s.Max
	default:
		return s.Sum
	}
}

// A Store keeps metrics. Its zero value is not usable, see [New].
type Store struct {
	now    func() time.Time
	sample func(*Store) // asks for the metrics that nobody reports
	// notifier hears of alarms that come to another state, or is nil.
	notifier Notifier

	mu     sync.RWMutex
	series map[string]*series // by Metric.key
	names  names
	alarms []*alarm

	evaluating sync.Mutex // held before mu
}

// Reset forgets the alarms and names of the template, before another one is provisioned. The metrics stay.
func (s *Store) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names, s.alarms = names{}, nil
}

type series struct {
	metric Metric
	unit   string
	steps  []step // in the order of time
}

type step struct {
	start time.Time
	Statistic
}

// Put adds a value. One that is older than what is kept is dropped, as CloudWatch does with one of two weeks ago.
func (s *Store) Put(m Metric, unit string, at time.Time, values ...float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := s.now().Add(-retention)
	if at.Before(oldest) || len(values) == 0 {
		return
	}
	key := m.key()
	one := s.series[key]
	if one == nil {
		one = &series{metric: Metric{m.Namespace, m.Name, sorted(m.Dimensions)}, unit: unit}
		s.series[key] = one
	}
	for len(one.steps) > 0 && one.steps[0].start.Before(oldest) {
		one.steps = one.steps[1:]
	}
	start := at.Truncate(resolution)
	i, found := slices.BinarySearchFunc(one.steps, start, func(s step, t time.Time) int { return s.start.Compare(t) })
	if !found {
		one.steps = slices.Insert(one.steps, i, step{start: start})
	}
	for _, value := range values {
		one.steps[i].add(Statistic{value, value, value, 1})
	}
}

// Between returns what is known of the values from a time until before another, and the unit.
func (s *Store) Between(m Metric, from, to time.Time) (Statistic, string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	one := s.series[m.key()]
	if one == nil {
		return Statistic{}, ""
	}
	var all Statistic
	i, _ := slices.BinarySearchFunc(one.steps, from, func(s step, t time.Time) int { return s.start.Compare(t) })
	for ; i < len(one.steps) && one.steps[i].start.Before(to); i++ {
		all.add(one.steps[i].Statistic)
	}
	return all, one.unit
}

// List returns all metrics that have had a value, by namespace and name.
func (s *Store) List() []Metric {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []Metric
	for _, one := range s.series {
		all = append(all, one.metric)
	}
	slices.SortFunc(all, func(a, b Metric) int { return cmp.Compare(a.key(), b.key()) })
	return all
}
