// Package emf writes metrics as documents in CloudWatch's embedded metric format: a function prints them, and CloudWatch
// makes metrics of them without a request.
//
// Source: CloudWatch user guide, "Specification: Embedded metric format".
package emf

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Namespace is that of all metrics of an outbox and its consumers.
const Namespace = "TransactionalOutbox"

// A Unit is the unit of a metric.
type Unit string

// The units in use.
const (
	Count        Unit = "Count"
	Seconds      Unit = "Seconds"
	Milliseconds Unit = "Milliseconds"
)

// A Dimension is a name and a value by which a metric is found.
type Dimension struct{ Name, Value string }

// A Metric is the values of one metric. One without values is not written.
type Metric struct {
	Name   string
	Unit   Unit
	Values []int64
}

// maxValues is how many values of a metric one document holds.
const maxValues = 100

type header struct {
	Timestamp         int64       `json:"Timestamp"` // epoch milliseconds
	CloudWatchMetrics []directive `json:"CloudWatchMetrics"`
}

type directive struct {
	Namespace  string       `json:"Namespace"`
	Dimensions [][]string   `json:"Dimensions"`
	Metrics    []definition `json:"Metrics"`
}

type definition struct {
	Name string `json:"Name"`
	Unit Unit   `json:"Unit"`
}

// Write writes the metrics with the dimensions: one document a line, and as many as the values need.
func Write(out io.Writer, at time.Time, dimensions []Dimension, metrics ...Metric) error {
	for {
		var now, later []Metric
		for _, m := range metrics {
			if len(m.Values) > maxValues {
				later = append(later, Metric{m.Name, m.Unit, m.Values[maxValues:]})
				m.Values = m.Values[:maxValues]
			}
			if len(m.Values) > 0 {
				now = append(now, m)
			}
		}
		if len(now) == 0 {
			return nil
		}
		if err := json.NewEncoder(out).Encode(document(at, dimensions, now)); err != nil {
			return fmt.Errorf("write metrics: %w", err)
		}
		metrics = later
	}
}

func document(at time.Time, dimensions []Dimension, metrics []Metric) map[string]any {
	d := directive{Namespace: Namespace, Dimensions: [][]string{nil}}
	doc := map[string]any{}
	for _, dimension := range dimensions {
		d.Dimensions[0] = append(d.Dimensions[0], dimension.Name)
		doc[dimension.Name] = dimension.Value
	}
	for _, m := range metrics {
		d.Metrics = append(d.Metrics, definition{m.Name, m.Unit})
		doc[m.Name] = m.Values
		if len(m.Values) == 1 {
			doc[m.Name] = m.Values[0]
		}
	}
	doc["_aws"] = header{Timestamp: at.UnixMilli(), CloudWatchMetrics: []directive{d}}
	return doc
}
