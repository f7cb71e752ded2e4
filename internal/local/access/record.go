package access

import (
	"encoding/json"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/iam"
)

// now returns the time as aws:CurrentTime has it.
func now() string { return time.Now().UTC().Format(time.RFC3339) }

// A recorder writes each kind of request once: the roles' permissions that a run has used.
type recorder struct {
	mu   sync.Mutex
	into io.Writer
	seen map[string]bool
}

// A Recorded is a line of the record.
type Recorded struct {
	Role    string      `json:"role,omitempty"`    // name, for the session of a role
	Session string      `json:"session,omitempty"` // its name
	Service string      `json:"service,omitempty"` // for a service that acts by itself
	Action  string      `json:"action"`
	On      string      `json:"resource"`
	Context iam.Context `json:"context"` // without what every request has
}

func newRecorder(into io.Writer) *recorder { return &recorder{into: into, seen: map[string]bool{}} }

func (r *recorder) write(request iam.Request) {
	if r.into == nil {
		return
	}
	enclosing := strings.Join(request.Context["dynamodb:enclosingoperation"], " ")
	kind := strings.Join([]string{request.Principal.Session, request.Principal.Service, request.Action, request.Resource, enclosing}, "\n")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[kind] {
		return
	}
	r.seen[kind] = true
	line, err := json.Marshal(newRecorded(request))
	if err == nil {
		_, _ = r.into.Write(append(line, '\n'))
	}
}

func newRecorded(request iam.Request) Recorded {
	line := Recorded{Service: request.Principal.Service, Action: request.Action, On: request.Resource, Context: iam.Context{}}
	if request.Principal.Role != "" {
		line.Role, line.Session = nameOf(request.Principal.Role), nameOf(request.Principal.Session)
	}
	for key, values := range request.Context {
		if !strings.HasPrefix(key, "aws:") || key == "aws:sourcearn" {
			line.Context[key] = values
		}
	}
	return line
}
