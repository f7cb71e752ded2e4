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

// A recorder writes each kind of request once, up to maxKinds: the roles' permissions that a run has used.
type recorder struct {
	seen once

	mu   sync.Mutex
	into io.Writer
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

func newRecorder(into io.Writer) *recorder { return &recorder{into: into} }

func (r *recorder) write(request iam.Request) {
	if r.into == nil {
		return
	}
	enclosing := strings.Join(request.Context["dynamodb:enclosingoperation"], " ")
	kind := strings.Join([]string{request.Principal.Session, request.Principal.Service, request.Action, request.Resource, enclosing}, "\n")
	if first, _ := r.seen.first(kind); !first {
		return
	}
	line, err := json.Marshal(newRecorded(request))
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.into.Write(append(line, '\n'))
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
