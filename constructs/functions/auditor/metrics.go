package main

import (
	"time"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/description"
	"github.com/outboxkit/transactional-outbox/internal/emf"
)

// emit writes metrics of the outbox.
func (a *auditor) emit(outbox description.Outbox, metrics ...emf.Metric) {
	a.emitWith([]emf.Dimension{{Name: audit.DimensionOutbox, Value: outbox.Path}}, metrics...)
}

// emitFor writes metrics of a consumer.
func (a *auditor) emitFor(outbox description.Outbox, consumer string, metrics ...emf.Metric) {
	a.emitWith([]emf.Dimension{
		{Name: audit.DimensionOutbox, Value: outbox.Path},
		{Name: audit.DimensionConsumer, Value: consumer},
	}, metrics...)
}

func (a *auditor) emitWith(dimensions []emf.Dimension, metrics ...emf.Metric) {
	if err := emf.Write(a.metrics, time.Now(), dimensions, metrics...); err != nil {
		a.logger.Error("metrics", "error", err)
	}
}

// findings are what a run found of one consumer.
type findings struct {
	confirmed    int64
	timeToEffect []int64 // milliseconds

	swept       bool // what follows is known
	unconfirmed int64
	oldest      time.Time // when the oldest of them was written
}

// confirm counts an effect.
func (f *findings) confirm(event audit.Event, v audit.Verdict) {
	f.confirmed++
	if !v.HandledAt.IsZero() {
		f.timeToEffect = append(f.timeToEffect, max(0, v.HandledAt.Sub(event.WrittenAt).Milliseconds()))
	}
}

// metrics returns the metrics, zeros included: an alarm must be able to tell "none" from "not looked".
func (f *findings) metrics(now time.Time) []emf.Metric {
	metrics := []emf.Metric{
		{Name: audit.MetricConfirmed, Unit: emf.Count, Values: []int64{f.confirmed}},
		{Name: audit.MetricTimeToEffect, Unit: emf.Milliseconds, Values: f.timeToEffect},
	}
	if !f.swept {
		return metrics
	}
	var age int64
	if f.unconfirmed > 0 {
		age = max(0, int64(now.Sub(f.oldest)/time.Second))
	}
	return append(metrics,
		emf.Metric{Name: audit.MetricUnconfirmed, Unit: emf.Count, Values: []int64{f.unconfirmed}},
		emf.Metric{Name: audit.MetricOldestUnconfirmed, Unit: emf.Seconds, Values: []int64{age}})
}
