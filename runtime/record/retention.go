package record

import "time"

// DefaultRetention is how long an event stays in the outbox table after it was written, where nothing else
// is set: 7 days. AttrExpiresAt is that much later than the write. It is long enough to find and redrive an
// event whose stream record, which DynamoDB keeps for 24 hours, is gone.
const DefaultRetention = 7 * 24 * time.Hour
