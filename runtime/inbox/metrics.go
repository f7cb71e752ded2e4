package inbox

import (
	"encoding/json"
	"slices"
	"time"
)

// MetricNamespace is the CloudWatch namespace of the metrics below. Their one dimension is Consumer.
const MetricNamespace = "TransactionalOutbox"

// The metrics of a consumer. All but the last count messages, each as often as it is received. An event that was skipped,
// because it was written before an ordered consumer joined, counts in none.
const (
	MetricHandled    = "Handled"    // their effects are committed
	MetricDuplicates = "Duplicates" // handled before, and acknowledged without effect
	MetricFailed     = "Failed"     // they come back
	MetricPermanent  = "Permanent"  // moved to the dead-letter queue, with the reason
	MetricGaps       = "Gaps"       // they came before their predecessor, and come back soon
	MetricEventAge   = "EventAge"   // milliseconds from the event to the commit of its effects
)

// metrics is a document in CloudWatch's embedded metric format: the metrics by name, and in _aws what
// they are.
// Source: CloudWatch user guide, "Specification: Embedded metric format".
type metrics struct {
	AWS        metricsHeader `json:"_aws"`
	Consumer   string        `json:"Consumer"`
	Handled    int           `json:"Handled"`
	Duplicates int           `json:"Duplicates"`
	Failed     int           `json:"Failed"`
	Permanent  int           `json:"Permanent"`
	Gaps       int           `json:"Gaps"`
	EventAge   []int64       `json:"EventAge,omitempty"`
}

type metricsHeader struct {
	Timestamp         int64              `json:"Timestamp"` // epoch milliseconds
	CloudWatchMetrics []metricsDirective `json:"CloudWatchMetrics"`
}

type metricsDirective struct {
	Namespace  string       `json:"Namespace"`
	Dimensions [][]string   `json:"Dimensions"`
	Metrics    []metricUnit `json:"Metrics"`
}

type metricUnit struct {
	Name string `json:"Name"`
	Unit string `json:"Unit"`
}

var (
	metricDimensions = [][]string{{"Consumer"}}
	metricUnits      = []metricUnit{
		{MetricHandled, "Count"},
		{MetricDuplicates, "Count"},
		{MetricFailed, "Count"},
		{MetricPermanent, "Count"},
		{MetricGaps, "Count"},
		{MetricEventAge, "Milliseconds"},
	}
)

// maxValues is how many values of one metric a document can hold.
const maxValues = 100

// writeMetrics writes one document for each hundred messages of a batch.
func (c *consumer) writeMetrics(results []result) {
	for some := range slices.Chunk(results, maxValues) {
		// An Encoder writes no more after an error, so each document has its own.
		if err := json.NewEncoder(c.store.config.Metrics).Encode(c.metricsOf(some)); err != nil {
			c.store.config.Logger.Error("metrics", "error", err)
		}
	}
}

// metricsOf counts the results.
func (c *consumer) metricsOf(results []result) metrics {
	m := metrics{Consumer: c.store.config.Consumer, EventAge: make([]int64, 0, len(results))}
	for _, r := range results {
		switch r.outcome {
		case handled:
			m.Handled++
			m.EventAge = append(m.EventAge, r.age.Milliseconds())
		case duplicate:
			m.Duplicates++
		case failed:
			m.Failed++
		case permanent:
			m.Permanent++
		case tooEarly:
			m.Gaps++
		case skipped: // as if it had not come
		}
	}
	units := metricUnits
	if len(m.EventAge) == 0 {
		units = units[:len(units)-1] // an empty list of values is not allowed
	}
	m.AWS = metricsHeader{
		Timestamp:         time.Now().UnixMilli(),
		CloudWatchMetrics: []metricsDirective{{Namespace: MetricNamespace, Dimensions: metricDimensions, Metrics: units}},
	}
	return m
}
