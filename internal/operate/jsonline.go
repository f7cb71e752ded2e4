package operate

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/outboxkit/transactional-outbox/internal/terminal"
)

// PrintJSONLine prints a value as one line of JSON, for output that is a stream of them.
func PrintJSONLine(out io.Writer, value any) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s\n", terminal.VisibleJSON(encoded))
	return err
}
