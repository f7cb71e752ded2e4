package trace_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/outboxkit/transactional-outbox/runtime/trace"
)

const (
	header      = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	traceparent = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"
)

func TestFromXRay(t *testing.T) {
	tests := map[string]struct{ header, want string }{
		"sampled":           {header, traceparent},
		"not sampled":       {"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0", traceparent[:53] + "00"},
		"sampling deferred": {"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=?", traceparent[:53] + "00"},
		"lineage ignored":   {header + ";Lineage=25:3e9a3aa4:0", traceparent},
		"other order":       {"Sampled=1; Parent=53995c3f42cd8ad8; Root=1-5759e988-bd862e3fe1be46a994272793", traceparent},
		"empty":             {"", ""},
		"no parent":         {"Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1", ""},
		"no root":           {"Parent=53995c3f42cd8ad8;Sampled=1", ""},
		"root too short":    {"Root=1-5759e988-bd86;Parent=53995c3f42cd8ad8", ""},
		"root version 2":    {"Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8", ""},
		"root not hex":      {"Root=1-5759e988-bd862e3fe1be46a99427279z;Parent=53995c3f42cd8ad8", ""},
		"parent too long":   {"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad88", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := trace.FromXRay(tt.header); got != tt.want {
				t.Errorf("FromXRay(%q) = %q, want %q", tt.header, got, tt.want)
			}
		})
	}
}

func TestToXRay(t *testing.T) {
	tests := map[string]struct{ traceparent, want string }{
		"sampled":             {traceparent, header},
		"not sampled":         {traceparent[:53] + "00", header[:len(header)-1] + "0"},
		"further flags":       {traceparent[:53] + "03", header},
		"a later version":     {"cc" + traceparent[2:] + "-more", header},
		"empty":               {"", ""},
		"too short":           {traceparent[:54], ""},
		"too long":            {traceparent + "-more", ""},
		"version ff":          {"ff" + traceparent[2:], ""},
		"upper case":          {"00-5759E988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01", ""},
		"trace id all zeros":  {"00-00000000000000000000000000000000-53995c3f42cd8ad8-01", ""},
		"parent id all zeros": {"00-5759e988bd862e3fe1be46a994272793-0000000000000000-01", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := trace.ToXRay(tt.traceparent); got != tt.want {
				t.Errorf("ToXRay(%q) = %q, want %q", tt.traceparent, got, tt.want)
			}
		})
	}
}

func TestFromContext(t *testing.T) {
	lambda := context.WithValue(t.Context(), "x-amzn-trace-id", header) //nolint:staticcheck // the key is aws-lambda-go's

	t.Run("nothing known", func(t *testing.T) {
		t.Setenv("_X_AMZN_TRACE_ID", "")
		if got := trace.FromContext(t.Context()); got != "" {
			t.Errorf("got %q, want none", got)
		}
	})
	t.Run("the environment's", func(t *testing.T) {
		t.Setenv("_X_AMZN_TRACE_ID", header)
		if got := trace.FromContext(t.Context()); got != traceparent {
			t.Errorf("got %q, want %q", got, traceparent)
		}
	})
	t.Run("the invocation's wins over the environment's", func(t *testing.T) {
		t.Setenv("_X_AMZN_TRACE_ID", "Root=1-00000001-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
		if got := trace.FromContext(lambda); got != traceparent {
			t.Errorf("got %q, want %q", got, traceparent)
		}
	})
	t.Run("the one that was set wins over both", func(t *testing.T) {
		other := traceparent[:53] + "00"
		if got := trace.FromContext(trace.NewContext(lambda, other)); got != other {
			t.Errorf("got %q, want %q", got, other)
		}
	})
	t.Run("setting none changes nothing", func(t *testing.T) {
		if got := trace.FromContext(trace.NewContext(lambda, "")); got != traceparent {
			t.Errorf("got %q, want %q", got, traceparent)
		}
	})
}

func ExampleFromXRay() {
	fmt.Println(trace.FromXRay("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"))
	// Output: 00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01
}

func ExampleToXRay() {
	fmt.Println(trace.ToXRay("00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"))
	// Output: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1
}
