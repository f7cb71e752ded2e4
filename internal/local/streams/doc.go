// Package streams reads DynamoDB streams for those who deliver their records: pipes and event source mappings.
//
// It guarantees that a record is handed to the reader's Deliver at least once, that the records of one item are
// handed over in their order, and that the checkpoint of a shard, which is stored durably, never passes a record
// that is not settled. A kill at any moment therefore causes at most a duplicate.
//
// The files, in the order in which a record meets them: dynamodb (stream), cursor (one shard's place), reader (all
// shards), worker (one shard), batch (what is delivered and settled), checkpoints.
package streams
