package audit

// The metrics of the auditor, in the namespace [emf.Namespace]. Those of a consumer have the dimensions Outbox and Consumer,
// the others Outbox alone.
const (
	MetricConfirmed         = "Confirmed"         // Count of a consumer: effects found since the last run
	MetricUnconfirmed       = "Unconfirmed"       // Count of a consumer: effects that are missing now
	MetricOldestUnconfirmed = "OldestUnconfirmed" // Seconds of a consumer, since the commit of the oldest event without effect; 0 for none
	MetricTimeToEffect      = "TimeToEffect"      // Milliseconds of a consumer, from commit to effect
	MetricAuditRuns         = "AuditRuns"         // Count: 1 for each run that did all that was due
	MetricUnreadable        = "Unreadable"        // Count: stream records that look like events and cannot be read; only where there are any
)

// The names of the dimensions.
const (
	DimensionOutbox   = "Outbox"   // [description.Outbox.Path]
	DimensionConsumer = "Consumer" // [description.Consumer.Name]
)
