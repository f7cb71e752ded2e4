package metrics

import (
	"encoding/json"
	"strings"
	"time"
)

// An embedded is a document of the embedded metric format.
// Source: CloudWatch user guide, CloudWatch_Embedded_Metric_Format_Specification.
type embedded struct {
	AWS *struct {
		Timestamp         int64 // milliseconds
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	} `json:"_aws"`
}

// putEmbedded adds the metrics of a line of a function's log, if it is a document of metrics.
func (s *Store) putEmbedded(line string) {
	if !strings.Contains(line, `"_aws"`) {
		return
	}
	var document embedded
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(line), &document) != nil || document.AWS == nil || json.Unmarshal([]byte(line), &members) != nil {
		return
	}
	at := time.UnixMilli(document.AWS.Timestamp)
	for _, directive := range document.AWS.CloudWatchMetrics {
		for _, names := range directive.Dimensions {
			dimensions, complete := dimensionsOf(members, names)
			for _, metric := range directive.Metrics {
				if values := valuesOf(members[metric.Name]); complete && len(values) > 0 {
					s.Put(Metric{directive.Namespace, metric.Name, dimensions}, metric.Unit, at, values...)
				}
			}
		}
	}
}

// dimensionsOf returns the dimensions with the values that the document has for them, and whether it has all.
func dimensionsOf(members map[string]json.RawMessage, names []string) ([]Dimension, bool) {
	var all []Dimension
	for _, name := range names {
		var value string
		if json.Unmarshal(members[name], &value) != nil {
			return nil, false
		}
		all = append(all, Dimension{name, value})
	}
	return all, true
}

// valuesOf returns a number, or the numbers of a list.
func valuesOf(raw json.RawMessage) []float64 {
	var one float64
	if json.Unmarshal(raw, &one) == nil {
		return []float64{one}
	}
	var several []float64
	if json.Unmarshal(raw, &several) != nil {
		return nil
	}
	return several
}
