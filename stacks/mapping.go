package stacks

import (
	"embed"
	"fmt"
	"strings"
	"text/template"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

//go:embed mapping/*.vtl
var mappingFiles embed.FS

// A mapping holds what the API's mapping templates need to know. API Gateway renders their Velocity code for each
// request; what stands in [[ ]] is filled in here, at synth.
type mapping struct {
	OrdersTable string
	OutboxTable string
	// EventRetentionSeconds is how long the outbox keeps an event after it was written.
	EventRetentionSeconds int64
}

// orderID is the form of an order's id, and so of an Idempotency-Key.
const orderID = "[A-Za-z0-9_-]{1,64}"

// traceparent is the form of a W3C trace context; an id that is all zeros is invalid.
// Source: W3C Trace Context, section 3.2.
const traceparent = "00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"

// attributes are the outbox item's attribute names, under the names that the templates use.
var attributes = struct {
	PK, SK, RecordType, ID, Type, Source, AggregateType, AggregateID, Version, OccurredAt, Data, Traceparent,
	CorrelationID, CausationID, ExpiresAt string
}{
	PK: record.AttrPK, SK: record.AttrSK, RecordType: record.AttrRecordType, ID: record.AttrID, Type: record.AttrType,
	Source: record.AttrSource, AggregateType: record.AttrAggregateType, AggregateID: record.AttrAggregateID,
	Version: record.AttrVersion, OccurredAt: record.AttrOccurredAt, Data: record.AttrData,
	Traceparent: record.AttrTraceparent, CorrelationID: record.AttrCorrelationID, CausationID: record.AttrCausationID,
	ExpiresAt: record.AttrExpiresAt,
}

// The templates call these methods for constants of the stack.
func (mapping) IDPattern() string       { return orderID }
func (mapping) Traceparent() string     { return traceparent }
func (mapping) Source() string          { return ordersSource }
func (mapping) Aggregate() string       { return orderAggregate }
func (mapping) OrderCreated() string    { return orderCreated }
func (mapping) RecordTypeEvent() string { return record.RecordTypeEvent }
func (mapping) Record() any             { return attributes }

// render returns the mapping template of that name, on one line and without its comments: what API Gateway renders goes
// to DynamoDB or to the client, and neither needs the layout.
func (m mapping) render(name string) string {
	templates := template.New("").Delims("[[", "]]").Funcs(template.FuncMap{"escape": escape, "escapeNumber": escapeNumber})
	for _, file := range []string{"partials.vtl", name} {
		source, err := mappingFiles.ReadFile("mapping/" + file)
		if err != nil {
			panic(fmt.Errorf("mapping template %s: %w", file, err)) // a file of this package: a programming error
		}
		template.Must(templates.New(file).Parse(compact(string(source))))
	}
	var out strings.Builder
	if err := templates.ExecuteTemplate(&out, name, m); err != nil {
		panic(fmt.Errorf("mapping template %s: %w", name, err))
	}
	return out.String()
}

// compact removes comments, indentation and line ends.
func compact(source string) string {
	var out strings.Builder
	for line := range strings.Lines(source) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "##") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// escape returns the Velocity code that writes a string for a place between the quotes of a JSON string.
// escapeJavaScript also writes \' for ', which is not JSON.
// Source: API Gateway developer guide, api-gateway-mapping-template-reference.
func escape(reference string) string {
	return "$util.escapeJavaScript(" + reference + `).replaceAll("\\'","'")`
}

// escapeNumber returns the Velocity code that writes a number from the request's body, escaped for the JSON string in
// which it stands. The model lets numbers through only, of which escaping changes nothing. Should its validator and the
// template ever read a body differently, for example one with two values under one key, then no value can leave the
// string and become a part of the transaction.
func escapeNumber(path string) string { return escape(escape(`"${` + path + `}"`)) }
