// Package operate is what the command's subcommands do against AWS or the local run: everything but flags and exit codes.
package operate

import (
	"errors"
	"fmt"
	"io"

	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

// ShowRedrive prints what a redrive did. Its error names each message that was kept, with the reason, and says how many
// are left; it is nil when nothing is.
func ShowRedrive(out io.Writer, report redrive.Report) error {
	fmt.Fprintf(out, "%d redriven, %d kept, %d still in flight\n", report.Redriven, len(report.Kept), report.Left)
	var problems []error
	for _, kept := range report.Kept {
		problems = append(problems, fmt.Errorf("message %s was kept: %w", kept.MessageID, kept.Err))
	}
	if report.Left > 0 {
		problems = append(problems, fmt.Errorf("by SQS's count the queue holds %d more: another receiver has them or they have just arrived; redrive again in a minute", report.Left))
	}
	return errors.Join(problems...)
}
