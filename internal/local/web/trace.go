package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// TraceID returns the root of the caller's X-Ray trace, or a new one.
// Source: X-Ray developer guide, xray-concepts, "Tracing header".
func TraceID(r *http.Request, now time.Time) string {
	for field := range strings.SplitSeq(r.Header.Get("X-Amzn-Trace-Id"), ";") {
		if root, ok := strings.CutPrefix(strings.TrimSpace(field), "Root="); ok {
			return root
		}
	}
	id := uuid.New()
	return "1-" + strconv.FormatInt(now.Unix(), 16) + "-" + strings.ReplaceAll(id.String(), "-", "")[:24]
}
