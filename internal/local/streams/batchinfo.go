package streams

import "time"

// A BatchInfo names records that were given up, in a dead-letter message. As on AWS it does not hold the records: they
// are read back from the stream, while it has them, or from the table.
// Source: Lambda developer guide, services-dynamodb-errors, DDBStreamBatchInfo.
type BatchInfo struct {
	ShardID      string    `json:"shardId"`
	Start        string    `json:"startSequenceNumber"`
	End          string    `json:"endSequenceNumber"`
	FirstArrival time.Time `json:"approximateArrivalOfFirstRecord"`
	LastArrival  time.Time `json:"approximateArrivalOfLastRecord"`
	Size         int       `json:"batchSize"`
	Stream       string    `json:"streamArn"`
}

// NewBatchInfo returns the info for records of a shard, at least one, in the order of the stream.
func NewBatchInfo(stream, shard string, records []Record) BatchInfo {
	first, last := records[0], records[len(records)-1]
	return BatchInfo{
		ShardID:      shard,
		Start:        first.SequenceNumber,
		End:          last.SequenceNumber,
		FirstArrival: first.Arrival.UTC().Truncate(time.Second),
		LastArrival:  last.Arrival.UTC().Truncate(time.Second),
		Size:         len(records),
		Stream:       stream,
	}
}
