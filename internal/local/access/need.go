package access

import (
	"context"
	"errors"
	"fmt"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
)

// A need is what AWS checks of a role when a resource that uses it is made.
type need struct {
	who     string // logical id of the resource
	role    string // ARN
	session string
	// service must be able to assume the role on behalf of the resource source; empty: that is checked elsewhere.
	service, source string
	actions         []needed
	// sender is a service that does the optional actions by itself, without a role.
	sender string
	// optional are those without which AWS makes the resource, which then loses something.
	optional []needed
	loses    string // what: "its logs or traces", "events"
}

// needed are actions on one resource.
type needed struct {
	on      string // ARN
	actions []string
}

func (a *Authority) require(n need) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.needs = append(a.needs, n)
}

// Prepare checks, with all policies in place, what AWS checks when resources are made. The error names every role that
// cannot be assumed and every statement that is missing.
func (a *Authority) Prepare(context.Context) error {
	a.mu.RLock()
	needs := a.needs
	a.mu.RUnlock()
	var problems []error
	for _, n := range needs {
		if n.sender != "" {
			a.warnOfSender(n)
			continue
		}
		r := a.role(n.role)
		if r == nil {
			continue
		}
		if n.service != "" {
			problems = append(problems, a.assumable(n, r))
		}
		for _, denied := range a.lacks(n, r, n.actions) {
			problems = append(problems, fmt.Errorf("%s: the role %s", n.who, denied.explain()))
		}
		for _, denied := range a.lacks(n, r, n.optional) {
			a.noticeOnce(n.who+"\n"+denied.kind(), fmt.Sprintf("IAM: %s loses %s on AWS: %s", n.who, n.loses, denied.explain()))
		}
	}
	return errors.Join(problems...)
}

// warnOfSender prints which queues, topics and functions do not let a service send to them. Every topic of the stack has a
// policy; one without is another stack's, of which nothing is known.
func (a *Authority) warnOfSender(n need) {
	for _, one := range n.optional {
		if cloud.IsTopic(one.on) && a.policyOf(one.on) == nil {
			continue
		}
		for _, action := range one.actions {
			request := iam.Request{Action: action, Resource: one.on}.OfService(n.sender, n.source, cloud.Account)
			if decision := iam.Evaluate(request, iam.Policies{Resource: a.policyOf(one.on)}); !decision.Allowed {
				denied := &Denial{Request: request, Decision: decision, who: n.sender, nameOf: a.namesBeside(one.on)}
				a.noticeOnce(n.who+"\n"+denied.kind(), fmt.Sprintf("IAM: %s will lose events: %s", n.who, denied.explain()))
			}
		}
	}
}

// assumable returns an error when the service may not assume the role.
func (a *Authority) assumable(n need, r *role) error {
	request := iam.Request{Principal: iam.Principal{Service: n.service}, Action: "sts:AssumeRole", Resource: r.arn, Context: iam.Context{}}
	request.Context.Set("aws:SourceArn", n.source)
	request.Context.Set("aws:SourceAccount", cloud.Account)
	if iam.Evaluate(request, iam.Policies{Resource: r.trust}).Allowed {
		return nil
	}
	return fmt.Errorf(`%s: the role %s cannot be assumed by %s; missing in its AssumeRolePolicyDocument is {"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":%q},"Condition":{"StringEquals":{"aws:SourceAccount":{"Ref":"AWS::AccountId"}}}}`,
		n.who, r.logicalID, n.service, n.service)
}

// lacks returns the denials of the actions that the role may not do.
func (a *Authority) lacks(n need, r *role, wanted []needed) []*Denial {
	var denials []*Denial
	s := session{role: n.role, name: n.session}
	for _, one := range wanted {
		for _, action := range one.actions {
			request := iam.Request{Principal: s.principal(), Action: action, Resource: a.inRegion(one.on)}
			a.addContext(&request, s)
			decision := iam.Evaluate(request, a.policies(r, request))
			if !decision.Allowed {
				denials = append(denials, &Denial{Request: request, Decision: decision, who: r.logicalID, nameOf: a.namesIn(r.stack)})
			}
		}
	}
	return denials
}
