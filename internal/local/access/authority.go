package access

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
)

// Config holds what [New] needs.
type Config struct {
	Cloud *cloud.Cloud
	// Notice prints one line for the developer: what is denied, and the statement that is missing.
	Notice func(text string)
	// Record receives each kind of request once, as a line of JSON. Default: they are discarded.
	Record io.Writer
}

// An Authority decides the requests of the roles of one template. Its methods may be called from many goroutines.
type Authority struct {
	cloud  *cloud.Cloud
	notice func(string)
	record *recorder

	mu        sync.RWMutex
	roles     map[string]*role // by ARN
	managed   map[string]*iam.Policy
	sessions  map[string]session         // by access key
	functions map[string]string          // ARN of the role, by ARN of the function
	tables    map[string]tableKeys       // by name
	resources map[string]*iam.Policy     // policies of functions, by ARN
	sources   []func(string) *iam.Policy // of policies that other services keep
	names     map[string]name            // what a template writes for an ARN
	needs     []need
	noticed   once
}

// A session is a role as somebody has assumed it.
type session struct {
	role string // ARN
	name string
}

// New returns an Authority that knows no role, and makes the callers of the cloud carry its keys.
func New(config Config) *Authority {
	a := &Authority{
		cloud: config.Cloud, notice: config.Notice, record: newRecorder(config.Record),
		roles: map[string]*role{}, managed: map[string]*iam.Policy{}, sessions: map[string]session{},
		functions: map[string]string{}, tables: map[string]tableKeys{}, resources: map[string]*iam.Policy{},
		names: map[string]name{},
	}
	config.Cloud.SetKeys(a)
	return a
}

// Reset forgets the roles and policies of the template, and the sources of policies, before another one is provisioned.
// Sessions keep their keys.
func (a *Authority) Reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.roles)
	clear(a.managed)
	clear(a.functions)
	clear(a.tables)
	clear(a.resources)
	clear(a.names)
	a.needs, a.sources = nil, nil
}

// AddPolicies adds a source of resource policies: policyOf returns the policy of the resource with an ARN, or nil.
func (a *Authority) AddPolicies(policyOf func(arn string) *iam.Policy) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sources = append(a.sources, policyOf)
}

// Key implements cloud.Keys. As on AWS, the key of a session begins with ASIA. It is the same in every run.
// Source: IAM user guide, reference_identifiers, "Understanding unique ID prefixes".
func (a *Authority) Key(roleARN, name string) string {
	sum := sha256.Sum256([]byte(roleARN + "\n" + name))
	key := "ASIA" + base32.StdEncoding.EncodeToString(sum[:10])
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions[key] = session{role: roleARN, name: name}
	return key
}

// FunctionRole implements cloud.Keys.
func (a *Authority) FunctionRole(functionARN string) string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.functions[functionARN]
}

// principal returns the session as a principal.
func (s session) principal() iam.Principal {
	return iam.Principal{
		Role: s.role, Account: cloud.Account,
		Session: "arn:aws:sts::" + cloud.Account + ":assumed-role/" + nameOf(s.role) + "/" + s.name,
	}
}

// nameOf returns what follows the last slash of an ARN: the name without its path.
func nameOf(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

// check decides a request of a session and returns why it is denied, or nil. A role that the template does not have may
// do everything, since nothing is known of its policies.
func (a *Authority) check(s session, request iam.Request) *Denial {
	r := a.role(s.role)
	if r == nil {
		a.noticeOnce(s.role, fmt.Sprintf("IAM: the role %s is not in the template, so its calls are let in unchecked", s.role))
		return nil
	}
	request.Principal = s.principal()
	a.addContext(&request, s)
	a.record.write(request)
	return a.decide(request, a.policies(r, request), r.logicalID, a.namesIn(r.stack))
}

// checkService decides a request that an AWS service makes by itself, on behalf of the resource sourceARN.
func (a *Authority) checkService(service, sourceARN string, request iam.Request) *Denial {
	request = request.OfService(service, sourceARN, cloud.Account)
	a.record.write(request)
	return a.decide(request, iam.Policies{Resource: a.policyOf(request.Resource)}, service, a.namesBeside(request.Resource))
}

func (a *Authority) decide(request iam.Request, policies iam.Policies, who string, nameOf func(arn string) string) *Denial {
	decision := iam.Evaluate(request, policies)
	if decision.Allowed {
		return nil
	}
	d := &Denial{Request: request, Decision: decision, who: who, nameOf: nameOf}
	a.noticeOnce(d.kind(), "IAM: "+d.explain())
	return d
}

// addContext adds the keys that every request of a role has.
// Source: IAM user guide, reference_policies_condition-keys.
func (a *Authority) addContext(request *iam.Request, s session) {
	if request.Context == nil {
		request.Context = iam.Context{}
	}
	c := request.Context
	c.Set("aws:PrincipalArn", s.role)
	c.Set("aws:PrincipalAccount", cloud.Account)
	c.Set("aws:PrincipalType", "AssumedRole")
	c.Set("aws:PrincipalIsAWSService", "false")
	c.Set("aws:ResourceAccount", cloud.Account)
	c.Set("aws:RequestedRegion", a.cloud.Region)
	c.Set("aws:SecureTransport", "true") // the same call goes over TLS on AWS
	c.Set("aws:ViaAWSService", "false")
	c.Set("aws:CurrentTime", now())
}

func (a *Authority) role(arn string) *role {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.roles[arn]
}

// policies returns those that apply to a request of the role. What the policy of a bus denies the bus itself refuses: single
// entries of a request, not the whole.
func (a *Authority) policies(r *role, request iam.Request) iam.Policies {
	a.mu.RLock()
	p := iam.Policies{Identity: r.policies}
	if r.boundary != "" {
		p.Boundary = a.managed[r.boundary]
	}
	for _, arn := range r.managed {
		p.Identity = append(p.Identity[:len(p.Identity):len(p.Identity)], a.managed[arn])
	}
	a.mu.RUnlock()
	p.Resource = a.policyOf(request.Resource)
	if request.Action == putEvents {
		p.Resource = p.Resource.WithoutDenials()
	}
	return p
}

func (a *Authority) policyOf(resource string) *iam.Policy {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if p := a.resources[resource]; p != nil {
		return p
	}
	for _, source := range a.sources {
		if p := source(resource); p != nil {
			return p
		}
	}
	return nil
}

// noticeOnce prints the text of one kind of notice the first time. When it has printed as many kinds as it keeps, it says
// so and prints no more.
func (a *Authority) noticeOnce(kind, text string) {
	first, last := a.noticed.first(kind)
	if !first || a.notice == nil {
		return
	}
	a.notice(text)
	if last {
		a.notice("IAM: further notices are not printed in this run.")
	}
}
