package operate

import (
	"errors"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

func TestShowRedrive(t *testing.T) {
	for name, tc := range map[string]struct {
		report redrive.Report
		out    string
		says   []string
	}{
		"all of it":        {redrive.Report{Redriven: 3}, "3 redriven, 0 kept, 0 still in flight\n", nil},
		"nothing":          {redrive.Report{}, "0 redriven, 0 kept, 0 still in flight\n", nil},
		"one was kept":     {redrive.Report{Redriven: 2, Kept: []redrive.Kept{{MessageID: "m-1", Err: errors.New("why")}}}, "2 redriven, 1 kept, 0 still in flight\n", []string{"m-1", "why"}},
		"some are left":    {redrive.Report{Left: 2}, "0 redriven, 0 kept, 2 still in flight\n", []string{"holds 2 more"}},
		"and one was kept": {redrive.Report{Left: 2, Kept: []redrive.Kept{{MessageID: "m-1", Err: errors.New("why")}}}, "0 redriven, 1 kept, 2 still in flight\n", []string{"m-1", "holds 2 more"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := ShowRedrive(&out, tc.report)
			if out.String() != tc.out {
				t.Errorf("it said %q, want %q", out.String(), tc.out)
			}
			if (err == nil) != tc.report.Done() {
				t.Errorf("the error is %v, and the redrive is done: %v", err, tc.report.Done())
			}
			for _, want := range tc.says {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error %v does not name %q", err, want)
				}
			}
		})
	}
}
