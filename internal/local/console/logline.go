package console

import (
	"encoding/json"
	"fmt"
	"strings"
)

// omittedFields are the fields of a function's log line that add nothing to the hop itself.
var omittedFields = map[string]bool{"timestamp": true, "time": true, "level": true, "requestId": true, "consumer": true, "messageId": true}

// metricsField is the field by which CloudWatch recognizes a line of metrics, which is not for people to read.
// Source: CloudWatch user guide, CloudWatch_Embedded_Metric_Format_Specification.
const metricsField = "_aws"

// LogLine shortens a structured log line for a person: its message, then its fields as name=value in
// the order of the line. A message that is itself such a line is shortened too. It returns "" for a line of metrics, and any other line unchanged.
func LogLine(line string) string {
	dec := json.NewDecoder(strings.NewReader(line))
	dec.UseNumber()
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return line
	}
	var message string
	var fields []string
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return line
		}
		var value any
		if err := dec.Decode(&value); err != nil {
			return line
		}
		switch {
		case name == metricsField:
			return ""
		case name == "message" || name == "msg":
			message = fmt.Sprint(value)
			if strings.HasPrefix(message, "{") { // a line of JSON in the entry of a runtime
				message = LogLine(message)
			}
		case !omittedFields[fmt.Sprint(name)]:
			fields = append(fields, fmt.Sprintf("%v=%v", name, value))
		}
	}
	return strings.TrimSpace(message + "  " + strings.Join(fields, " "))
}
