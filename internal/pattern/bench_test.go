package pattern_test

import (
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

const (
	smallPattern = `{"source": ["orders"], "detail-type": ["OrderCreated"], "detail": {"aggregateType": ["Order"]}}`
	smallEvent   = `{"version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "detail-type": "OrderCreated", "source": "orders",
		"account": "000000000000", "time": "2026-11-23T15:20:00Z", "region": "eu-central-1", "resources": [],
		"detail": {"id": "x", "type": "OrderCreated", "aggregateType": "Order", "aggregateId": "1", "version": "1", "data": "{}"}}`
)

func BenchmarkMatch(b *testing.B) {
	p := compileSmall(b)
	event, err := pattern.Decode([]byte(smallEvent))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !p.Match(event) {
			b.Fatal("no match")
		}
	}
}

func BenchmarkMatchJSON(b *testing.B) {
	p, event := compileSmall(b), []byte(smallEvent)
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := p.MatchJSON(event); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		compileSmall(b)
	}
}

func compileSmall(b *testing.B) *pattern.Pattern {
	p, err := pattern.Compile([]byte(smallPattern), pattern.Rules)
	if err != nil {
		b.Fatal(err)
	}
	return p
}
