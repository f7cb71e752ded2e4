package local

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/access"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/control"
	"github.com/outboxkit/transactional-outbox/internal/local/eventbus"
	"github.com/outboxkit/transactional-outbox/internal/local/functions"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/local/queues"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/local/topics"
)

// accessLog is the file in the data folder with each kind of request that was evaluated, one a line.
const accessLog = "access.jsonl"

// permissions enforce the policies of the template. The zero value lets every call in.
type permissions struct {
	authority *access.Authority
	queues    string // URL that decides for the queues
	stop      func()
}

// newPermissions returns the permissions of a run.
func (s *services) newPermissions(o Options, out console.Console) (permissions, error) {
	if o.IAM == IAMOff {
		return permissions{stop: func() {}}, nil
	}
	authority := access.New(access.Config{Cloud: s.cloud, Notice: out.Notice, Record: s.logs.open(accessLog)})
	url, stop, err := authority.ServeQueues()
	if err != nil {
		return permissions{}, err
	}
	s.all = append(s.all, authority)
	return permissions{authority: authority, queues: url, stop: stop}, nil
}

// targetPolicies decide whether a service may use a queue, a topic, a function or a bus.
type targetPolicies interface {
	eventbus.Policies
	// addTopics makes the policies of topics count.
	addTopics(topic *topics.Service)
}

// callers returns what knows who has signed a request, or nil.
func (p permissions) callers() func(*http.Request) iam.Request {
	if p.authority == nil {
		return nil
	}
	return p.authority.Caller
}

// ofBuses makes the policies of the buses count.
func (p permissions) ofBuses(bus *eventbus.Service) {
	if p.authority != nil {
		p.authority.AddPolicies(bus.Policy)
	}
}

// policies makes the policies of the queues count, and returns what decides for services that act by themselves. A rule or a
// topic without permission loses messages silently on AWS, so that is decided with --iam=off too.
func (p permissions) policies(queue *queues.Service) targetPolicies {
	if p.authority == nil {
		return &withoutIAM{queues: queue}
	}
	p.authority.AddPolicies(queue.Policy)
	return withIAM{p.authority}
}

// withIAM are the policies of a run with --iam=on.
type withIAM struct{ *access.Authority }

func (w withIAM) addTopics(topic *topics.Service) { w.AddPolicies(topic.Policy) }

// withoutIAM asks the policies of queues and topics, and lets everything else in.
type withoutIAM struct {
	queues *queues.Service
	topics *topics.Service
}

func (w *withoutIAM) addTopics(topic *topics.Service) { w.topics = topic }

// Allows implements eventbus.Policies.
func (w *withoutIAM) Allows(targetARN, service, sourceARN string) bool {
	switch {
	case strings.HasPrefix(targetARN, "arn:aws:sqs:"):
		return w.queues.Allows(targetARN, service, sourceARN)
	case cloud.IsTopic(targetARN):
		return w.topics.Allows(targetARN, service, sourceARN)
	}
	return true
}

// RoleAllows implements eventbus.Policies.
func (w *withoutIAM) RoleAllows(_, _, _, _ string) bool { return true }

// others returns the guard of the endpoint of the other services, or nil.
func (p permissions) others() func(http.Handler) http.Handler {
	if p.authority == nil {
		return nil
	}
	return p.authority.GuardOthers
}

// identity returns what knows the role that has signed a request, or nil.
func (p permissions) identity() func(*http.Request) (control.Identity, bool) {
	if p.authority == nil {
		return nil
	}
	return func(r *http.Request) (control.Identity, bool) {
		arn, id, ok := p.authority.Identity(r)
		return control.Identity{Arn: arn, UserId: id, Account: cloud.Account}, ok
	}
}

// callerOf returns who has signed a request: the logical id of a function, the session of another role, or "" for the developer
// and where roles have no keys.
func (s *services) callerOf(host *functions.Service) func(*http.Request) string {
	return func(r *http.Request) string {
		if s.permissions.authority == nil {
			return ""
		}
		arn, _, ok := s.permissions.authority.Identity(r)
		if !ok {
			return ""
		}
		session := arn[strings.LastIndexByte(arn, '/')+1:]
		if id, found := host.LogicalID(session); found {
			return id
		}
		return session
	}
}

// invocation returns what decides whether the API may invoke a function, or nil.
func (p permissions) invocation() func(functionARN, roleARN, sourceARN string) error {
	if p.authority == nil {
		return nil
	}
	return p.authority.AuthorizeInvocation
}

// caller returns what decides whether a caller of the API is let in, or nil.
func (p permissions) caller(o Options) func(r *http.Request, body []byte, methodARN string) error {
	if p.authority == nil || !o.Auth {
		return nil
	}
	return p.authority.AuthorizeCaller
}

// url returns what decides whether everybody may call the URL of a function, or nil.
func (p permissions) url() func(functionARN string) error {
	if p.authority == nil {
		return nil
	}
	return p.authority.AuthorizeURL
}

// urlCaller returns what decides whether a caller of a function's URL is let in, or nil.
func (p permissions) urlCaller(o Options) func(r *http.Request, body []byte, functionARN string) error {
	if p.authority == nil || !o.Auth {
		return nil
	}
	return p.authority.AuthorizeURLCaller
}

// signedCurl returns a command that calls the API, signed with the developer's key.
func signedCurl(region, url string) string {
	return fmt.Sprintf(`curl --aws-sigv4 "aws:amz:%s:execute-api" --user %s:%[2]s %s`, region, cloud.DeveloperKey, url)
}

// observe returns the provisions with the Authority beside them.
func (p permissions) observe(provisions map[string]template.Provision) map[string]template.Provision {
	if p.authority == nil {
		return provisions
	}
	return p.authority.Observe(provisions)
}

// tables and buses put a guard in front of what faults are injected into.
func (p permissions) tables(faults func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	if p.authority == nil {
		return faults
	}
	return inFrontOf(faults, p.authority.GuardTables)
}

func (p permissions) buses(faults func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	if p.authority == nil {
		return faults
	}
	return inFrontOf(faults, p.authority.GuardBuses)
}

func inFrontOf(faults, guard func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if faults != nil {
			next = faults(next)
		}
		return guard(next)
	}
}
