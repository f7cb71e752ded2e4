package iam

import (
	"slices"
	"strings"
)

// A Principal is who makes a request: a session of a role, an AWS service by itself, or somebody unknown.
type Principal struct {
	// Session is the ARN of a role's session: arn:aws:sts::<account>:assumed-role/<role>/<session>.
	Session string
	// Role is the ARN of the session's role.
	Role string
	// Account is the account of the role.
	Account string
	// Service is the name of an AWS service, for example "events.amazonaws.com", that acts by itself. The other fields
	// are then empty.
	Service string
	// Anonymous is set for somebody who has not signed. The other fields are then empty.
	Anonymous bool
}

// A Context holds the values of condition keys, by their names in lower case.
type Context map[string][]string

// Set sets the values of a key.
func (c Context) Set(key string, values ...string) { c[strings.ToLower(key)] = values }

// values returns the values of a key. Names of keys are not case-sensitive.
// Source: IAM user guide, reference_policies_elements_condition.
func (c Context) values(key string) []string { return c[strings.ToLower(key)] }

// A Request is one action on one resource.
type Request struct {
	Principal Principal
	Action    string // for example "dynamodb:PutItem"
	Resource  string // ARN, or "*" for an action that has none
	Context   Context

	bounded bool // the principal has a permissions boundary
}

// OfService returns the request as one that an AWS service makes by itself, on behalf of a resource of an account: with the
// service as principal, and the keys that requests of services have.
func (r Request) OfService(service, sourceARN, sourceAccount string) Request {
	r.Principal = Principal{Service: service}
	if r.Context == nil {
		r.Context = Context{}
	}
	r.Context.Set("aws:SourceArn", sourceARN)
	r.Context.Set("aws:SourceAccount", sourceAccount)
	r.Context.Set("aws:SecureTransport", "true")
	return r
}

// Policies are those that apply to a request.
type Policies struct {
	// Identity are the policies of the principal's role.
	Identity []*Policy
	// Boundary is the role's permissions boundary, or nil.
	Boundary *Policy
	// Resource is the policy of the resource, or nil.
	Resource *Policy
}

// A Decision is the result of an evaluation.
type Decision struct {
	Allowed bool
	// Statement is the statement that denies or allows the request. It is nil when none applies.
	Statement *Statement
	// Type is the type of the policy that denies, in the words of AWS's messages: "identity-based policy",
	// "resource-based policy" or "permissions boundary".
	Type string
}

// The types of policies in AWS's messages. Source: IAM user guide, troubleshoot_access-denied.
const (
	identityBased = "identity-based policy"
	resourceBased = "resource-based policy"
	boundary      = "permissions boundary"
)

// Evaluate decides a request by the rules for one account: an explicit deny wins; without one, the resource's policy or
// the role's must allow it, and the boundary must allow what only the role's policies, or a grant to the role, allow.
// Source: IAM user guide, reference_policies_evaluation-logic_policy-eval-denyallow and
// reference_policies_evaluation-logic_policy-eval-basics-single-account.
func Evaluate(request Request, policies Policies) Decision {
	request.bounded = policies.Boundary != nil
	if denied, ok := policies.explicitDeny(&request); ok {
		return denied
	}
	granted, grant := policies.Resource.allows(&request)
	if request.Principal.Service != "" || request.Principal.Anonymous {
		// A service that acts by itself, and somebody unknown, has no policies of its own.
		return Decision{Allowed: granted != nil, Statement: granted, Type: resourceBased}
	}
	// A boundary does not limit what the resource's policy grants to the session itself.
	if grant == toSession {
		return Decision{Allowed: true, Statement: granted}
	}
	if policies.Boundary != nil {
		if within, _ := policies.Boundary.allows(&request); within == nil {
			return Decision{Type: boundary}
		}
	}
	if granted != nil && grant == toRole {
		return Decision{Allowed: true, Statement: granted}
	}
	for _, p := range policies.Identity {
		if allowed, _ := p.allows(&request); allowed != nil {
			return Decision{Allowed: true, Statement: allowed}
		}
	}
	return Decision{Type: identityBased}
}

func (p *Policies) explicitDeny(request *Request) (Decision, bool) {
	if s := p.Resource.denies(request); s != nil {
		return Decision{Statement: s, Type: resourceBased}, true
	}
	if s := p.Boundary.denies(request); s != nil {
		return Decision{Statement: s, Type: boundary}, true
	}
	for _, policy := range p.Identity {
		if s := policy.denies(request); s != nil {
			return Decision{Statement: s, Type: identityBased}, true
		}
	}
	return Decision{}, false
}

// A grant is to whom a resource's policy gives a permission.
type grant int

const (
	toAccount grant = iota // the account, whose policies then decide
	toRole
	toSession // the session, or a service
)

// allows returns the statement that allows the request to whom it grants most, or nil.
func (p *Policy) allows(request *Request) (found *Statement, to grant) {
	if p == nil {
		return nil, toAccount
	}
	for _, s := range p.statements {
		if s.deny || !s.applies(request) {
			continue
		}
		if granted := s.grants(request.Principal); found == nil || granted > to {
			found, to = s, granted
		}
	}
	return found, to
}

func (p *Policy) denies(request *Request) *Statement {
	if p == nil {
		return nil
	}
	for _, s := range p.statements {
		if s.deny && s.applies(request) {
			return s
		}
	}
	return nil
}

// applies reports whether the statement is about the request.
func (s *Statement) applies(request *Request) bool {
	return s.principalApplies(request) && s.actionApplies(request.Action) && s.resourceApplies(request) &&
		!slices.ContainsFunc(s.conditions, func(c condition) bool { return !c.holds(request.Context, s.variables) })
}

func (s *Statement) actionApplies(action string) bool {
	return slices.ContainsFunc(s.actions, func(pattern string) bool { return actionLike(pattern, action) }) != s.notActions
}

func (s *Statement) resourceApplies(request *Request) bool {
	if s.resources == nil {
		return true // a trust policy
	}
	unknown := false
	listed := slices.ContainsFunc(s.resources, func(pattern string) bool {
		if s.variables {
			var ok bool
			if pattern, ok = expand(pattern, request.Context, true); !ok {
				unknown = true
				return false
			}
		}
		return resourceLike(pattern, request.Resource)
	})
	// A variable without a value makes an Allow match nothing, and must not make a NotResource match everything.
	if unknown && s.notResources && !s.deny {
		return false
	}
	return listed != s.notResources
}

func (s *Statement) principalApplies(request *Request) bool {
	if s.principals == nil {
		return true // a role's policy
	}
	if s.notPrincipals {
		// Whoever has a boundary is denied in any case. (IAM user guide, access_policies_boundaries)
		return request.bounded || !s.principals.exempts(request.Principal)
	}
	return s.principals.names(request.Principal)
}

// names reports whether the principal, its role, its account or everyone is listed.
func (p *principals) names(principal Principal) bool {
	if p.everyone {
		return true
	}
	if principal.Service != "" {
		return slices.ContainsFunc(p.services, func(name string) bool { return strings.EqualFold(name, principal.Service) })
	}
	return slices.Contains(p.aws, principal.Session) || slices.Contains(p.aws, principal.Role) || p.namesAccount(principal.Account)
}

// exempts reports whether a NotPrincipal leaves the principal alone: the session, its role and its account must all be
// listed. Source: IAM user guide, reference_policies_elements_notprincipal.
func (p *principals) exempts(principal Principal) bool {
	if principal.Service != "" || p.everyone {
		return p.names(principal)
	}
	return slices.Contains(p.aws, principal.Session) && slices.Contains(p.aws, principal.Role) && p.namesAccount(principal.Account)
}

func (p *principals) namesAccount(account string) bool {
	return slices.Contains(p.aws, account) || slices.Contains(p.aws, "arn:aws:iam::"+account+":root")
}

// grants returns to whom the statement of a resource's policy grants what it allows.
func (s *Statement) grants(principal Principal) grant {
	switch {
	case s.principals == nil:
		return toAccount
	case principal.Service != "" || slices.Contains(s.principals.aws, principal.Session):
		return toSession
	// AWS documents the boundary's effect for ARNs, not for "*": the stricter of the two is assumed.
	case s.principals.everyone || slices.Contains(s.principals.aws, principal.Role):
		return toRole
	}
	return toAccount
}
