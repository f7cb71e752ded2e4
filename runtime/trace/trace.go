// Package trace carries a trace through the outbox: it converts between X-Ray's trace header, which
// Lambda hands to a function, and the W3C traceparent that an outbox event holds. It reads and writes
// identifiers only; it records no spans and needs no tracing SDK.
package trace

import (
	"context"
	"os"
	"strings"
)

// lambdaHeader is the context key, a plain string, under which aws-lambda-go keeps the invocation's
// X-Ray header; environment is the variable that holds it where the context does not.
// Source: Lambda developer guide, "Using the Lambda runtime API", header Lambda-Runtime-Trace-Id.
const (
	lambdaHeader = "x-amzn-trace-id"
	environment  = "_X_AMZN_TRACE_ID"
)

type contextKey struct{}

// NewContext returns a context in which the given traceparent is the current trace. An empty traceparent
// leaves the context as it is.
func NewContext(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return context.WithValue(ctx, contextKey{}, traceparent)
}

// FromContext returns the traceparent of the current trace: the one set by NewContext, else that of the
// Lambda invocation, else empty.
func FromContext(ctx context.Context) string {
	if traceparent, ok := ctx.Value(contextKey{}).(string); ok {
		return traceparent
	}
	if header, ok := ctx.Value(lambdaHeader).(string); ok {
		return FromXRay(header)
	}
	return FromXRay(os.Getenv(environment))
}

// FromXRay converts an X-Ray trace header, "Root=1-…;Parent=…;Sampled=1", to a traceparent. It is empty
// for a header without a valid root and parent: a traceparent cannot do without either.
// Source: X-Ray developer guide, "Tracing header".
func FromXRay(header string) string {
	root, parent, flags := "", "", "00"
	for field := range strings.SplitSeq(header, ";") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(field), "="); name {
		case "Root":
			root = value
		case "Parent":
			parent = value
		case "Sampled":
			if value == "1" {
				flags = "01"
			}
		}
	}
	// Root is version 1, eight hexadecimal digits of epoch seconds and 24 that are random.
	if len(root) != 35 || root[:2] != "1-" || root[10] != '-' {
		return ""
	}
	traceparent := "00-" + root[2:10] + root[11:] + "-" + parent + "-" + flags
	if _, _, _, ok := parse(traceparent); !ok {
		return ""
	}
	return traceparent
}

// ToXRay converts a traceparent to an X-Ray trace header. It is empty for anything that is not a valid
// traceparent.
func ToXRay(traceparent string) string {
	id, parent, sampled, ok := parse(traceparent)
	if !ok {
		return ""
	}
	header := "Root=1-" + id[:8] + "-" + id[8:] + ";Parent=" + parent + ";Sampled="
	if sampled {
		return header + "1"
	}
	return header + "0"
}

// XRayID returns the id under which X-Ray shows the trace of a traceparent, "1-…-…", or empty.
func XRayID(traceparent string) string {
	id, _, _, ok := parse(traceparent)
	if !ok {
		return ""
	}
	return "1-" + id[:8] + "-" + id[8:]
}

// oddDigits are those whose lowest bit is set: in a traceparent's flags, that of a sampled trace.
const oddDigits = "13579bdf"

// parse takes a traceparent apart: version-traceid-parentid-flags. A later version may append fields,
// version ff is forbidden, and so are ids that are all zeros.
// Source: W3C Trace Context, section 3.2 "Traceparent Header".
func parse(traceparent string) (id, parent string, sampled, ok bool) {
	if len(traceparent) < 55 || traceparent[2] != '-' || traceparent[35] != '-' || traceparent[52] != '-' {
		return "", "", false, false
	}
	version, flags := traceparent[:2], traceparent[53:55]
	id, parent = traceparent[3:35], traceparent[36:52]
	for _, field := range []string{version, id, parent, flags} {
		if !isHex(field) {
			return "", "", false, false
		}
	}
	rest := traceparent[55:]
	switch {
	case version == "ff", version == "00" && rest != "", rest != "" && rest[0] != '-':
		return "", "", false, false
	case strings.Trim(id, "0") == "", strings.Trim(parent, "0") == "":
		return "", "", false, false
	}
	return id, parent, strings.IndexByte(oddDigits, flags[1]) >= 0, true
}

// isHex reports whether the string has only the digits of a traceparent: no capitals.
func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
