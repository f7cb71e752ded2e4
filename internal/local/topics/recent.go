package topics

import "time"

// deduplicationInterval is how long a FIFO topic remembers the deduplication id of a message.
// Source: SNS developer guide, fifo-message-dedup.
const deduplicationInterval = 5 * time.Minute

// A recent knows the deduplication ids of the last messages of a FIFO topic. Its zero value knows none.
type recent struct {
	results map[string]Result // by id
	ids     []recentID        // the oldest first
}

type recentID struct {
	id string
	at time.Time
}

// find returns what came of the message that had the id, and whether there was one.
func (r *recent) find(id string, now time.Time) (Result, bool) {
	for len(r.ids) > 0 && now.Sub(r.ids[0].at) >= deduplicationInterval {
		delete(r.results, r.ids[0].id)
		r.ids = r.ids[1:]
	}
	result, found := r.results[id]
	return result, found
}

func (r *recent) add(id string, result Result, now time.Time) {
	if r.results == nil {
		r.results = map[string]Result{}
	}
	r.results[id] = result
	r.ids = append(r.ids, recentID{id, now})
}
