package control

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/outboxkit/transactional-outbox/internal/local/control/wire"
)

// maxRefusals limits the operations that are counted by name: the paths of a REST API may be many.
const maxRefusals = 50

// refusals counts what was refused.
type refusals struct {
	notice func(string)

	mu    sync.Mutex
	times map[string]int // by what was asked for
}

// add counts a request and returns the error for its answer. No SDK repeats a request that was answered by 501.
// Source: AWS SDKs and Tools reference guide, feature-retry-behavior: 500, 502, 503 and 504 are transient.
func (f *refusals) add(r *wire.Request) error {
	service := cmp.Or(r.Service, "an unknown service")
	what := service + " " + r.Operation
	f.mu.Lock()
	if f.times == nil {
		f.times = map[string]int{}
	}
	_, known := f.times[what]
	if !known && len(f.times) >= maxRefusals {
		what = "others"
		_, known = f.times[what]
	}
	f.times[what]++
	f.mu.Unlock()
	if !known && f.notice != nil {
		f.notice(fmt.Sprintf("Refused: %s. The local run does not have it, and sends nothing to AWS.", what))
	}
	return &wire.Error{
		Status: http.StatusNotImplemented, Code: "UnsupportedOperation",
		Message: fmt.Sprintf("the local run does not have the operation %q of the service %q", r.Operation, service),
	}
}

// sum returns how often each operation was refused.
func (f *refusals) sum() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.times) == 0 || f.notice == nil {
		return
	}
	var all []string
	for _, what := range slices.Sorted(maps.Keys(f.times)) {
		all = append(all, fmt.Sprintf("%s (%d×)", what, f.times[what]))
	}
	f.notice("Refused in this run: " + strings.Join(all, ", "))
}
