package outboxtest

import (
	"strconv"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/events"
)

// logLine returns a function's log line about an event without the fields that say which event it is: each line of its timeline
// would repeat them. What a line says of another event stays.
func logLine(detail string, e events.Event) string {
	line := console.LogLine(detail) + " "
	for _, field := range [][2]string{
		{"eventId", e.ID},
		{"eventType", e.Type},
		{"aggregateType", e.AggregateType},
		{"aggregateId", e.AggregateID},
		{"version", strconv.FormatInt(e.Version, 10)},
		{"correlationId", e.CorrelationID},
		{"correlationId", e.ID}, // of the first event of a chain
	} {
		line = strings.Replace(line, " "+field[0]+"="+field[1]+" ", " ", 1)
	}
	return strings.TrimSpace(line)
}
