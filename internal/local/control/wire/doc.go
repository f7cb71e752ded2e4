// Package wire reads requests to AWS's APIs and writes the answers, in the protocols that the SDKs speak: Query (XML), JSON,
// RPC v2 (CBOR) and REST. A request becomes a tree of JSON values, so that one struct reads it in every protocol, and an
// answer is a struct whose field names are AWS's.
package wire
